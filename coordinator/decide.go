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
	for _, j := range v.Jobs { // those that were interrupted get their slots back before others look for some
		if j.Interrupted != "" {
			d.job(j, v.jobs[j.ID])
		}
	}
	for _, j := range v.Jobs {
		if j.Interrupted == "" {
			d.job(j, v.jobs[j.ID])
		}
	}
	d.giveWay()
	d.stopAttempts()
	d.clean()
	return d.actions
}

// decision is the work sheet of one call of Decide.
type decision struct {
	view    *View
	now     time.Time
	at      checkpoint.Timestamp
	free    map[checkpoint.NodeID]int         // slots that no running job uses, of alive nodes not to avoid; nil until countSlots
	fates   map[checkpoint.JobID][]regionFate // what regionFates has found
	actions []Action
}

func (d *decision) do(a Action) { d.actions = append(d.actions, a) }

func (d *decision) send(id checkpoint.NodeID, m checkpoint.ToNode) {
	d.do(Send{Node: id, Message: m})
}

func (d *decision) greetNodes() {
	for _, n := range d.view.order {
		if n.connected && n.greet {
			d.send(n.ref.ID, checkpoint.Leading{Term: d.view.Term})
		}
	}
}

// countSlots fills free from the assignments of running jobs, and of what goes on of restarting ones, once.
func (d *decision) countSlots() {
	if d.free != nil {
		return
	}
	d.free = make(map[checkpoint.NodeID]int, len(d.view.nodes))
	for id, n := range d.view.nodes {
		if _, drained := d.view.Drained[id]; n.reported && !drained && d.view.stateOf(n, d.now) == nodeAlive {
			d.free[id] = n.slots
		}
	}
	for _, j := range d.view.Jobs {
		for id, used := range d.slotsHeld(j) {
			if _, alive := d.free[id]; alive {
				d.free[id] = max(0, d.free[id]-used)
			}
		}
	}
}

// slotsHeld counts the slots on each node that the job occupies.
func (d *decision) slotsHeld(j *fsm.Job) map[checkpoint.NodeID]int {
	if holdsSlots(j) {
		return d.view.job(j).slots
	}
	return countNodes(d.keptSlots(j))
}

func total(slots map[checkpoint.NodeID]int) int {
	sum := 0
	for _, n := range slots {
		sum += n
	}
	return sum
}

// holdsSlots reports whether the job's assignment occupies slots, all of them.
func holdsSlots(j *fsm.Job) bool {
	return j.Status == fsm.JobRunning || j.Status == fsm.JobCancelling && j.Attempt > 0
}

// job decides for one job, by where it stands in its life.
func (d *decision) job(j *fsm.Job, s *jobView) {
	d.notify(j, s)
	switch j.Status {
	case fsm.JobCreated:
		d.startAttempt(j)
	case fsm.JobRestarting:
		if d.someGoOn(j) {
			d.notifyOutcomes(j, s)
			d.cancelRestarting(j, s)
		}
		d.startAttempt(j)
	case fsm.JobRunning:
		if d.endAttempt(j, s) {
			return
		}
		d.deploy(j)
		if change := d.change(j, s); change != changeMade {
			d.checkpoints(j, s, change)
		}
	case fsm.JobCancelling:
		if d.allStopped(j) {
			d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobCanceled, Term: d.view.Term, At: d.at}})
		}
	}
}

// stopAttempts cancels, on every node, the attempts that are over: the leftovers of earlier attempts, of zombies that
// come back, and of jobs that have ended or that nobody knows any more; but none in which something goes on. It comes
// after the completions have been notified.
func (d *decision) stopAttempts() {
	for _, n := range d.view.order {
		if !n.connected || !n.reported {
			continue
		}
		over := make([]attemptKey, 0, 4)
		for k := range n.holds {
			if k.attempt <= d.lastOver(k) && !d.spares(n, k) {
				over = append(over, k)
			}
		}
		slices.SortFunc(over, attemptKey.compare)
		for i, k := range over {
			if i+1 < len(over) && over[i+1].job == k.job {
				continue // cancelling a newer one cancels it too
			}
			d.send(n.ref.ID, checkpoint.CancelAttempt{Term: d.view.Term, Job: k.job, Attempt: k.attempt})
		}
	}
}

// lastOver returns the last attempt of a held attempt's job that is over.
func (d *decision) lastOver(k attemptKey) checkpoint.Attempt {
	j := d.view.byID[k.job]
	switch {
	case j == nil:
		return k.attempt
	case j.Status == fsm.JobRunning:
		return j.Attempt - 1
	}
	return j.Attempt
}

// allStopped reports whether no subtask of the current attempt can still be running.
func (d *decision) allStopped(j *fsm.Job) bool {
	_, found := d.notStopped(j)
	return !found
}

// notStopped returns the ordinal of the first subtask of the current attempt that may still be running.
func (d *decision) notStopped(j *fsm.Job) (ordinal int, found bool) {
	s := d.view.jobs[j.ID]
	for ordinal := range j.Assignment.NodeOf {
		ref := j.Assignment.Node(ordinal)
		switch d.view.assigneeState(ref, d.now) {
		case nodeLost, nodeLeft:
			continue
		case nodeUnknown, nodeSuspect:
			return ordinal, true
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
		return ordinal, true
	}
	return 0, false
}
