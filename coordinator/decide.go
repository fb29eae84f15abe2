package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Decide returns what the leader has to do at time now. It is a pure function of the view: it changes
// nothing, and asked twice it answers the same. The loop executes the actions in order, tells the view
// what came of them, and asks again until nothing is left to do.
func Decide(v *View, now time.Time) []Action {
	d := &decision{view: v, now: now, at: checkpoint.Timestamp(now.UnixMilli())}
	d.greetNodes()
	d.countSlots()
	for _, j := range v.Jobs {
		d.job(j)
	}
	d.clean()
	return d.actions
}

// decision is the work sheet of one call of Decide.
type decision struct {
	view    *View
	now     time.Time
	at      checkpoint.Timestamp
	free    map[checkpoint.NodeID]int // slots of alive nodes that no running job uses
	actions []Action
}

func (d *decision) do(a Action) { d.actions = append(d.actions, a) }

func (d *decision) send(id checkpoint.NodeID, m checkpoint.ToNode) {
	d.do(Send{Node: id, Message: m})
}

func (d *decision) greetNodes() {
	for _, n := range d.view.sortedNodes() {
		if n.connected && n.greet {
			d.send(n.ref.ID, checkpoint.Leading{Term: d.view.Term})
		}
	}
}

// countSlots fills free from the assignments of running jobs.
func (d *decision) countSlots() {
	d.free = make(map[checkpoint.NodeID]int, len(d.view.nodes))
	for id, n := range d.view.nodes {
		if n.reported && d.view.stateOf(n, d.now) == nodeAlive {
			d.free[id] = n.slots
		}
	}
	for _, j := range d.view.Jobs {
		if !holdsSlots(j) {
			continue
		}
		for id, used := range usedSlots(j) {
			if _, alive := d.free[id]; alive {
				d.free[id] = max(0, d.free[id]-used)
			}
		}
	}
}

// freeFor returns the free slots of the nodes that were built with the job's program.
func (d *decision) freeFor(j *fsm.Job) map[checkpoint.NodeID]int {
	free := make(map[checkpoint.NodeID]int, len(d.free))
	for id, n := range d.free {
		if slices.Contains(d.view.nodes[id].programs, j.Program) {
			free[id] = n
		}
	}
	return free
}

func total(slots map[checkpoint.NodeID]int) int {
	sum := 0
	for _, n := range slots {
		sum += n
	}
	return sum
}

// holdsSlots reports whether the job's assignment occupies slots.
func holdsSlots(j *fsm.Job) bool {
	return j.Status == fsm.JobRunning || j.Status == fsm.JobCancelling && j.Attempt > 0
}

// job decides for one job, by where it stands in its life.
func (d *decision) job(j *fsm.Job) {
	switch j.Status {
	case fsm.JobCreated, fsm.JobRestarting:
		d.notify(j)
		d.stopAttempts(j, j.Attempt)
		d.startAttempt(j)
	case fsm.JobRunning:
		d.stopAttempts(j, j.Attempt-1)
		d.notify(j)
		if d.endAttempt(j) {
			return
		}
		d.deploy(j)
		d.checkpoints(j)
	case fsm.JobCancelling:
		d.notify(j)
		d.stopAttempts(j, j.Attempt)
		if d.allStopped(j) {
			d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobCanceled, Term: d.view.Term, At: d.at}})
		}
	default: // ended: let the nodes forget it
		d.notify(j)
		d.stopAttempts(j, j.Attempt)
	}
}

// stopAttempts cancels, wherever they are held, the attempts of j up to and including last: the leftovers
// of earlier attempts, of zombies that come back, and of jobs that have ended.
func (d *decision) stopAttempts(j *fsm.Job, last checkpoint.Attempt) {
	for _, n := range d.view.sortedNodes() {
		if !n.connected || !n.reported {
			continue
		}
		newest := checkpoint.Attempt(0)
		for k := range n.holds {
			if k.job == j.ID && k.attempt <= last {
				newest = max(newest, k.attempt)
			}
		}
		if newest > 0 {
			d.send(n.ref.ID, checkpoint.CancelAttempt{Term: d.view.Term, Job: j.ID, Attempt: newest})
		}
	}
}

// allStopped reports whether no subtask of the current attempt can still be running.
func (d *decision) allStopped(j *fsm.Job) bool {
	s := d.view.jobs[j.ID]
	for ordinal := range j.Assignment.NodeOf {
		ref := j.Assignment.Node(ordinal)
		switch d.view.assigneeState(ref, d.now) {
		case nodeLost, nodeLeft:
			continue
		case nodeUnknown, nodeSuspect:
			return false
		}
		n := d.view.nodes[ref.ID]
		switch s.subtasks[ordinal].status {
		case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
			continue
		case 0: // never deployed there
			if !n.holds[attemptKey{j.ID, j.Attempt}] {
				continue
			}
		}
		return false
	}
	return true
}

// notify sends the latest completed checkpoint of the attempt to every assigned node whose session has not
// been sent it (I4), also when the attempt or the job is not to go on. It is derived from the committed log, so nothing is notified before it is committed
// (I3), and a new leader notifies again what an old one may not have.
func (d *decision) notify(j *fsm.Job) {
	latest := latestCompleted(j)
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if n == nil || !n.reported || n.ref.Incarnation != ref.Incarnation || !n.holds[attemptKey{j.ID, j.Attempt}] {
			continue
		}
		if latest != nil && latest.Attempt == j.Attempt && n.notified[j.ID] < latest.ID {
			d.send(ref.ID, checkpoint.NotifyComplete{
				Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Checkpoint: latest.ID,
				Kind: checkpoint.KindCheckpoint, Subsumed: newestDiscarded(j),
			})
		}
	}
}

func newestDiscarded(j *fsm.Job) checkpoint.ID {
	var newest checkpoint.ID
	for _, d := range j.Discards {
		newest = max(newest, d.ID)
	}
	return newest
}
