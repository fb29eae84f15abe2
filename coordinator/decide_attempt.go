package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// startAttempt assigns the next attempt of a job that waits for one, as soon as its time has come, its
// slots are free and the state it restores from is known.
func (d *decision) startAttempt(j *fsm.Job) {
	d.countSlots()
	next := j.NextShape()
	if j.Status == fsm.JobRestarting && d.delayed(j) {
		d.askPlans(j, next, d.free) // use the delay
		d.prepareRestore(j, restorePoint(j))
		return
	}
	kept, known := d.keptSubtasks(j)
	if !known || d.mayReport(j.Assignment) || !d.askPlans(j, next, d.free) {
		d.reserve(j)
		return
	}
	free, fixed := d.freeFor(j, next.Topology, d.free), d.keptSlots(j)
	if total(free) < d.slotsWanted(j) || !d.mayRestore(j, restorePoint(j)) {
		d.reserve(j)
		return
	}
	slots := d.placeNext(j, next.Topology, d.view.job(j).avoiding(free, d.slotsWanted(j)), fixed)
	for slot, id := range slots {
		if fixed == nil || fixed[slot] == "" { // the others are not among the free ones
			d.free[id]--
		}
	}
	d.do(Propose{fsm.StartAttempt{
		Job: j.ID, Attempt: j.Attempt + 1, Assignment: assignment(next.Topology, slots, d.view.refs()), Kept: kept,
		RestoreFrom: restorePoint(j).id, At: d.at,
	}})
}

// placeNext places the slots of the job's next attempt, whose manifest is at hand, on nodes with enough free ones. Those
// that are fixed stay where they are.
func (d *decision) placeNext(j *fsm.Job, next checkpoint.Topology, free map[checkpoint.NodeID]int, fixed []checkpoint.NodeID) []checkpoint.NodeID {
	return place(placing{
		topology: next, free: free, fixed: fixed, former: formerSlots(next, j.Topology, j.Assignment),
		bytes: func() []stateByNode { return d.restoredBytes(j, next) },
	})
}

// restoredBytes returns where the bytes are that each slot of the next attempt is restored from; nil for a fresh start.
func (d *decision) restoredBytes(j *fsm.Job, next checkpoint.Topology) []stateByNode {
	if restorePoint(j).id == 0 {
		return nil
	}
	r := &d.view.jobs[j.ID].restore
	states, _ := r.match(j, next)
	return bytesBySlot(next, states, *r.manifest)
}

// reserve keeps free, for a job that was running and did not fail, as many slots as its next attempt needs: it was
// interrupted only because they were there.
func (d *decision) reserve(j *fsm.Job) {
	if j.Interrupted == "" {
		return
	}
	left := d.knowing(j.Program)
	for range min(j.NextShape().Topology.SlotsNeeded(), total(left)) {
		id := roomiest(left)
		left[id]--
		d.free[id]--
	}
}

// mayReport reports whether a node of the last attempt has not met this leader yet and may do so any moment: nodes keep
// their sessions open to every coordinator, and answer a new leader at once. Subtasks stay where their state is; the
// first node to report is not given what belongs to the others.
func (d *decision) mayReport(last checkpoint.Assignment) bool {
	if d.now.Sub(d.view.Since) > d.view.Timing.SessionGrace {
		return false
	}
	return slices.ContainsFunc(last.Nodes, func(ref checkpoint.NodeRef) bool {
		return d.view.assigneeState(ref, d.now) == nodeUnknown
	})
}

// delayed reports whether the restart delay is still running. More left of it than there was at its beginning
// means that another clock set it: then it is over.
func (d *decision) delayed(j *fsm.Job) bool {
	left := int64(j.Restart.NextAt - d.at)
	return left > 0 && left <= j.Restart.Delay
}

// endAttempt ends the current attempt when it has finished or cannot go on, and reports whether it did, or is about to.
func (d *decision) endAttempt(j *fsm.Job, s *jobView) bool {
	if s.allFinished() {
		d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobFinished, Term: d.view.Term, At: d.at}})
		return true
	}
	if cause := permanentFailure(j, s); cause != "" {
		d.failJob(j, cause)
		return true
	}
	cause, better := d.failure(j, s)
	if cause != "" && !better {
		d.failAttempt(j, cause)
	}
	return cause != ""
}

// causeGrace is how long an attempt that cannot go on waits for a better reason than that a subtask's channel broke: the
// one that broke it reports its error when it has stopped, and its peers may have noticed before.
const causeGrace = 200 * time.Millisecond

func (d *decision) failJob(j *fsm.Job, cause string) {
	d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobFailed, Failure: cause, Term: d.view.Term, At: d.at}})
}

func (d *decision) failAttempt(j *fsm.Job, cause string) {
	restart, refusal := nextRestart(j, d.at)
	if refusal != "" {
		d.failJob(j, fmt.Sprintf("%s (attempt %d; no restart: %s)", cause, j.Attempt, refusal))
		return
	}
	d.do(Propose{fsm.FailAttempt{
		Job: j.ID, Attempt: j.Attempt, Cause: cause, Restart: restart, Term: d.view.Term, At: d.at,
	}})
}

// permanentFailure returns the first failure that no restart helps, empty when there is none.
func permanentFailure(j *fsm.Job, s *jobView) string {
	if s.count(checkpoint.SubtaskFailed) == 0 {
		return ""
	}
	for ordinal := range s.subtasks {
		if t := &s.subtasks[ordinal]; t.status == checkpoint.SubtaskFailed && t.failure.Permanent {
			return taskOnNode(j, s, ordinal) + ": " + t.failure.Message
		}
	}
	return ""
}

// failure says why the attempt cannot go on, naming causes before consequences: a lost node breaks the
// channels of subtasks that are themselves sound. It also reports whether a better cause may come any moment.
func (d *decision) failure(j *fsm.Job, s *jobView) (cause string, better bool) {
	lost, suspect := d.brokenNodes(j, s)
	failed, secondary := firstFailures(j, s)
	switch {
	case len(lost) > 0:
		return strings.Join(lost, "; "), false
	case failed != "":
		return failed, false
	case secondary != "" && len(suspect) > 0:
		return strings.Join(suspect, "; ") + "; " + secondary, false
	case secondary != "":
		return secondary, !d.over(s.failedAt, 0, causeGrace)
	case s.facts.stopFailure != "":
		return s.facts.stopFailure, false
	}
	return tooManyFailedCheckpoints(j), false
}

// brokenNodes says which nodes of the attempt are gone for it, and which may be about to.
func (d *decision) brokenNodes(j *fsm.Job, s *jobView) (lost, suspect []string) {
	for _, ref := range j.Assignment.Nodes {
		switch d.view.assigneeState(ref, d.now) {
		case nodeLost:
			lost = append(lost, fmt.Sprintf("node %s (%s) was lost", ref.ID, ref.Address))
		case nodeLeft:
			lost = append(lost, fmt.Sprintf("node %s (%s) left", ref.ID, ref.Address))
		case nodeSuspect:
			suspect = append(suspect, fmt.Sprintf("the session of node %s (%s) broke", ref.ID, ref.Address))
		case nodeAlive:
			if d.lostItsTasks(j, s, ref) {
				lost = append(lost, fmt.Sprintf("node %s (%s) does not have its subtasks any more", ref.ID, ref.Address))
			}
		}
	}
	return lost, suspect
}

// firstFailures names the first subtask that has failed by itself or was stopped, and the first that has failed because
// of another one.
func firstFailures(j *fsm.Job, s *jobView) (failed, secondary string) {
	if s.count(checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled) == 0 {
		return "", ""
	}
	for ordinal := range s.subtasks {
		switch t := &s.subtasks[ordinal]; {
		case t.status == checkpoint.SubtaskCanceled && failed == "":
			failed = fmt.Sprintf("%s was stopped by its node %s", s.all[ordinal], j.Assignment.Node(ordinal).ID)
		case t.status != checkpoint.SubtaskFailed:
		case t.failure.Secondary && secondary == "":
			secondary = taskOnNode(j, s, ordinal) + ": " + t.failure.Message
		case !t.failure.Secondary && failed == "":
			failed = taskOnNode(j, s, ordinal) + ": " + t.failure.Message
		}
	}
	return failed, secondary
}

// lostItsTasks reports whether a node lacks an attempt that it must have been running, since all subtasks of it have
// taken part in a checkpoint. To deploy the attempt there again would put old state beside new.
func (d *decision) lostItsTasks(j *fsm.Job, s *jobView, ref checkpoint.NodeRef) bool {
	return s.facts.committed.ID != 0 && !d.view.nodes[ref.ID].holds[attemptKey{j.ID, j.Attempt}]
}

// tooManyFailedCheckpoints says that more checkpoints in a row have failed than the job tolerates, and how the last of
// them did: its reason, task, node, phase and cause (F1).
func tooManyFailedCheckpoints(j *fsm.Job) string {
	if j.ConsecutiveFailures <= j.Config.TolerableFailures {
		return ""
	}
	last := "unknown"
	for _, o := range j.History {
		if o.Status == fsm.OutcomeFailed && o.Reason.Counts() {
			last = fmt.Sprintf("%s %d failed: %s: %s", o.Kind, o.ID, o.Reason, o.Message)
		}
	}
	return fmt.Sprintf("failed checkpoints in a row: %d, and checkpointing.tolerable_failures is %d; the last: %s",
		j.ConsecutiveFailures, j.Config.TolerableFailures, last)
}
