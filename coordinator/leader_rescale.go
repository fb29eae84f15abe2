package coordinator

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// rescaleRequest is a client's request for another parallelism of a job. It waits for a node to build the graph, and
// then for the job to go on in that shape, or not.
type rescaleRequest struct {
	job         checkpoint.JobID
	parallelism map[checkpoint.OperatorID]int // of the job once it is done
	node        checkpoint.NodeID             // that was asked for the graph; empty once it has answered
	inView      uint64                        // its name in the view, 0 before
	reply       chan rescaled                 // capacity 1
	ignore      func() bool                   // ends the watch over the client's context
}

// rescaled is what became of a request: the checkpoint from which the job goes on in the new shape, 0 when it had that
// shape already; or why it goes on in the old one.
type rescaled struct {
	from checkpoint.ID
	err  error
}

// rescale begins to change the parallelism of a running job, and answers on reply (capacity 1). The request is withdrawn
// when ctx is done before the change has been committed.
func (l *leader) rescale(ctx context.Context, j *fsm.Job, asked api.Parallelism, reply chan rescaled) {
	changes, err := l.rescaling(j, asked)
	if err != nil {
		reply <- rescaled{err: err}
		return
	}
	present := j.Topology.ParallelismOf()
	if !slices.ContainsFunc(slices.Collect(maps.Keys(changes)), func(op checkpoint.OperatorID) bool { return present[op] != changes[op] }) {
		reply <- rescaled{}
		return
	}
	node, err := l.plannerOf(j)
	if err != nil {
		reply <- rescaled{err: err}
		return
	}
	r := &rescaleRequest{job: j.ID, parallelism: maps.Clone(j.Parallelism), node: node, reply: reply}
	if r.parallelism == nil {
		r.parallelism = make(map[checkpoint.OperatorID]int)
	}
	maps.Copy(r.parallelism, changes)
	request := l.nextPlan()
	l.requests.rescales[request] = r
	r.ignore = context.AfterFunc(ctx, func() { l.inbox.post(func() { l.withdrawRescale(request) }) })
	l.send(node, checkpoint.PlanJob{
		Term: l.term, Request: request, Program: j.Program, Params: j.Params,
		Overrides: checkpoint.OverridesFor(j.Topology, r.parallelism),
	})
}

// rescaling returns the parallelism that operators of a job are to have, or why they cannot.
func (l *leader) rescaling(j *fsm.Job, asked api.Parallelism) (map[checkpoint.OperatorID]int, error) {
	switch s := l.view.job(j); {
	case j.Status != fsm.JobRunning:
		return nil, api.Errorf(api.Conflict, "job %s is %s, and the parallelism is changed of a RUNNING job%s", j.Name, j.Status, whenRunning(j))
	case s.facts.stopping:
		return nil, api.Errorf(api.Conflict, "job %s is stopping with a savepoint", j.Name)
	}
	for _, r := range l.requests.rescales {
		if r.job == j.ID {
			return nil, api.Errorf(api.Conflict, "the parallelism of job %s is being changed already: wait until that is done", j.Name)
		}
	}
	return parallelismFor(j, asked)
}

// parallelismFor reads what a client asks for: operators that the job has, and numbers that they can have.
func parallelismFor(j *fsm.Job, asked api.Parallelism) (map[checkpoint.OperatorID]int, error) {
	most := make(map[checkpoint.OperatorID]int)
	wanted := make(map[checkpoint.OperatorID]int)
	for _, v := range j.Topology.Vertices {
		for _, op := range v.Operators {
			most[op] = v.MaxParallelism
			if asked.All != 0 {
				wanted[op] = asked.All
			}
		}
	}
	for name, n := range asked.Operators {
		op := checkpoint.OperatorID(name)
		if _, known := most[op]; !known {
			return nil, api.Errorf(api.NotFound, "job %s has no operator %q; it has %s", j.Name, name, operatorList(most))
		}
		wanted[op] = n
	}
	for _, op := range slices.Sorted(maps.Keys(wanted)) {
		if n := wanted[op]; n < 1 || n > most[op] {
			return nil, api.Errorf(api.Invalid, "operator %s: parallelism %d, must be 1 to its max parallelism %d, which never changes", op, n, most[op])
		}
	}
	return wanted, nil
}

func operatorList(ops map[checkpoint.OperatorID]int) string {
	var names []string
	for _, op := range slices.Sorted(maps.Keys(ops)) {
		names = append(names, string(op))
	}
	return strings.Join(names, ", ")
}

// plannerOf returns a node that can build the job's graph: one that runs it.
func (l *leader) plannerOf(j *fsm.Job) (checkpoint.NodeID, error) {
	for _, ref := range j.Assignment.Nodes {
		if l.view.assigneeState(ref, time.Now()) == nodeAlive {
			return ref.ID, nil
		}
	}
	return "", api.Errorf(api.Unavailable, "no node that runs job %s answers; nothing was changed, try again", j.Name)
}

// rescalePlanned goes on with a request: the new graph is known, or the reason why there is none.
func (l *leader) rescalePlanned(request uint64, r *rescaleRequest, m checkpoint.JobPlanned) {
	r.node = ""
	l.refresh()
	j := l.view.byID[r.job]
	shape := fsm.Shape{Topology: m.Topology, Parallelism: r.parallelism}
	switch {
	case j == nil || j.Status != fsm.JobRunning:
		l.endRescale(request, rescaled{err: api.Errorf(api.Conflict, "the job stopped running before its parallelism could be changed")})
	case m.Error != "":
		l.endRescale(request, rescaled{err: api.Errorf(api.Invalid, "%s", m.Error)})
	case j.Fingerprint.Contradicts(m.Fingerprint):
		l.endRescale(request, rescaled{err: api.Errorf(api.Conflict, "a node that runs job %s makes another graph of it by now", j.Name)})
	default:
		if err := j.MayBecome(shape); err != nil {
			l.endRescale(request, rescaled{err: api.Errorf(api.Invalid, "job %s: %v", j.Name, err)})
			return
		}
		r.inView = l.view.OnRescale(j, shape, now())
	}
}

// answerRescale takes in a fate and reports whether it was a rescaling's.
func (l *leader) answerRescale(f fate) bool {
	for request, r := range l.requests.rescales {
		if r.inView != f.request {
			continue
		}
		if f.checkpoint != 0 {
			l.endRescale(request, rescaled{from: f.checkpoint})
		} else {
			l.endRescale(request, rescaled{err: api.Errorf(api.Conflict, "%s", f)})
		}
		return true
	}
	return false
}

// withdrawRescale gives up a request whose client has gone.
func (l *leader) withdrawRescale(request uint64) {
	if r := l.requests.rescales[request]; r != nil {
		l.view.OnWithdrawn(r.job, r.inView)
		delete(l.requests.rescales, request)
	}
}

// abandoned says what a client may take for granted whose request ends with the leadership. Nothing but this loop ever
// proposes the change, and it does so once the checkpoint for it is in the log.
func (l *leader) abandoned(r *rescaleRequest) error {
	if j := l.view.byID[r.job]; j != nil && r.inView != 0 {
		s := l.view.job(j)
		if latest := latestCompleted(j); s.isRescale(r.inView) && latest != nil && latest.ID == s.rescale.point {
			return api.Errorf(api.Unavailable, "leadership ended while the change of parallelism was being committed; "+
				"whether it took effect is unknown: coord job show %s tells", j.Name)
		}
	}
	return api.Errorf(api.Unavailable, "leadership ended before the parallelism was changed; the job goes on as it was, try again")
}

// endRescale answers a request.
func (l *leader) endRescale(request uint64, with rescaled) {
	r := l.requests.rescales[request]
	delete(l.requests.rescales, request)
	r.ignore()
	r.reply <- with
}
