package executor

import (
	"context"
	"fmt"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// setUp makes and starts what an attempt deploys on this node, once all of the previous one has ended that it has not
// taken over: two executions of a subtask must never work side by side in one process.
func (e *Executor) setUp(a *attempt, previous <-chan struct{}) {
	defer e.setUpOver(a)
	if previous != nil {
		<-previous // it has been cancelled
	}
	e.mu.Lock()
	a.building = true
	e.mu.Unlock()
	var made []*execution
	var err error
	labelled(a.ctx, a.deploy.Job, a.number(), settingUp, func(context.Context) { made, err = e.makeExecutions(a) })
	e.start(a, made)
	if err != nil {
		e.failAll(a, err)
	}
}

// start starts what has been made. What was cancelled meanwhile starts, too: it says itself how it ends.
func (e *Executor) start(a *attempt, made []*execution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(a.built)
	a.building = false
	var cancelled []*execution
	for _, x := range made {
		a.executions[x.subtask] = x
		a.unfinished++
		if a.ctx.Err() != nil || a.dropped[x.subtask] {
			cancelled = append(cancelled, x)
		}
	}
	e.stopLocked(a, cancelled)
	for _, x := range made {
		e.running.Go(func() { e.runExecution(x) }) // Run waits for this goroutine
	}
}

func (e *Executor) setUpOver(a *attempt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endedLocked(a)
}

// endedLocked notes that an execution of the attempt has ended, or its setting up.
func (e *Executor) endedLocked(a *attempt) {
	a.unfinished--
	e.overLocked(a)
}

// overLocked ends an attempt of which nothing is left to end.
func (e *Executor) overLocked(a *attempt) {
	if a.unfinished > 0 || a.over {
		return
	}
	a.cancel()
	a.over, a.progress = true, newProgress()
	if j := e.mu.jobs[a.deploy.Job]; j.current == a && a.forget {
		j.current = nil
	}
	close(a.done)
	e.signalAttemptEnded()
}

// makeExecutions builds the job's graph and a task for each subtask on this node that the attempt does not keep. What is
// wrong with the program or the deployment itself is wrong for good: the next attempt would find the same.
func (e *Executor) makeExecutions(a *attempt) ([]*execution, error) {
	if err := a.ctx.Err(); err != nil {
		return nil, err // superseded or cancelled while it waited
	}
	deployed := a.deployed()
	if len(deployed) == 0 {
		return nil, nil
	}
	graph, err := e.graphOf(a.deploy)
	if err != nil {
		return nil, err
	}
	m := a.deploy
	states := make(map[checkpoint.SubtaskID]checkpoint.SubtaskState, len(m.States))
	for _, s := range m.States {
		states[s.Subtask] = s
	}
	made := make([]*execution, 0, len(deployed))
	for _, s := range deployed {
		state, found := states[s]
		if m.Restore != 0 && !found {
			return nil, dataflow.Permanent(fmt.Errorf("%s: the deployment from checkpoint %d has no state for it", s, m.Restore))
		}
		x := newExecution(a, s)
		if x.task, err = e.newTask(e.taskSpec(a, s, graph, state), e.taskDeps(x)); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		made = append(made, x)
	}
	return made, nil
}

// graphOf builds the graph of a deployment, which has to be the one that the leader keeps.
func (e *Executor) graphOf(m checkpoint.Deploy) (*dataflow.Graph, error) {
	graph, err := e.buildGraph(m.Program, m.Params, m.Overrides)
	if err != nil {
		return nil, dataflow.Permanent(err)
	}
	if err := compareGraphs(m, graph); err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("program %s on node %s differs from the job that was submitted: %w",
			m.Program, e.cfg.Self.ID, err))
	}
	return graph, nil
}

// deployed returns the subtasks on this node that the attempt does not keep.
func (a *attempt) deployed() []checkpoint.SubtaskID {
	kept := make(map[checkpoint.SubtaskID]bool, len(a.deploy.Kept))
	for _, k := range a.deploy.Kept {
		kept[k.Subtask] = true
	}
	return slices.DeleteFunc(slices.Clone(a.roster.order), func(s checkpoint.SubtaskID) bool { return kept[s] })
}

// failAll reports what an attempt was to deploy as failed, or as cancelled if it has been cancelled meanwhile.
func (e *Executor) failAll(a *attempt, err error) {
	report := checkpoint.SubtaskReport{Status: checkpoint.SubtaskCanceled}
	if a.ctx.Err() == nil {
		e.log.Error("deployment failed", "job", a.deploy.Job, "attempt", a.number(), "cause", err)
		report = checkpoint.SubtaskReport{Status: checkpoint.SubtaskFailed, Failure: dataflow.FailureOf(err)}
	}
	for _, s := range a.deployed() {
		report.Subtask = s
		e.onStatusOf(a, report)
	}
}
