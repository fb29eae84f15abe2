package coordinator

import (
	"cairn/checkpoint"
	"cairn/fsm"
)

// restorePoint returns the checkpoint that the next attempt starts from, nil for a fresh start.
func restorePoint(j *fsm.Job) *fsm.Completed { return newestCommitted(j) }

// restoredFrom returns what the current attempt was started from, nil for a fresh start.
func restoredFrom(j *fsm.Job) *fsm.Completed { return completedAs(j, j.RestoredFrom) }

// prepareRestore reports whether the manifest of c is at hand (a fresh start needs none), and asks for it
// where it is not.
func (d *decision) prepareRestore(j *fsm.Job, c *fsm.Completed) bool {
	if c == nil {
		return true
	}
	r := &d.view.jobs[j.ID].restore
	switch {
	case r.id == c.ID && r.manifest != nil:
		return true
	case r.id == c.ID && r.loading:
		return false
	case r.id == c.ID && r.err != "" && d.now.Sub(r.failedAt) < d.view.Timing.LoadRetry:
		return false
	}
	d.do(LoadManifest{Job: j.ID, Checkpoint: c.ID, Manifest: c.Manifest})
	return false
}

// deploy sends their share of the current attempt to the assigned nodes that do not have it.
func (d *decision) deploy(j *fsm.Job) {
	var missing []checkpoint.NodeRef
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if d.view.assigneeState(ref, d.now) == nodeAlive && !n.holds[attemptKey{j.ID, j.Attempt}] {
			missing = append(missing, ref)
		}
	}
	if len(missing) == 0 || !d.prepareRestore(j, restoredFrom(j)) {
		return
	}
	for _, ref := range missing {
		d.send(ref.ID, checkpoint.Deploy{
			Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Program: j.Program, Params: j.Params,
			Topology: j.Topology, Assignment: j.Assignment, Mode: j.Config.Mode, AfterTasksFinish: j.Config.AfterTasksFinish,
			Restore: j.RestoredFrom, States: d.statesFor(j, ref.ID),
		})
	}
}

// statesFor returns the restored state of a node's subtasks. The parallelism is that of the manifest: a
// job is restored in the shape in which it was submitted.
func (d *decision) statesFor(j *fsm.Job, id checkpoint.NodeID) []checkpoint.SubtaskState {
	if j.RestoredFrom == 0 {
		return nil
	}
	subtasks := j.Topology.Subtasks()
	here := make(map[checkpoint.SubtaskID]bool)
	for _, ordinal := range j.Assignment.Ordinals(id) {
		here[subtasks[ordinal]] = true
	}
	var states []checkpoint.SubtaskState
	for _, s := range d.view.jobs[j.ID].restore.manifest.Subtasks {
		if here[s.Subtask] {
			states = append(states, s)
		}
	}
	return states
}
