package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// A running job comes to another parallelism, and away from nodes that are drained, at a checkpoint that is taken for it
// and aligned, because records in flight could not be redistributed. One entry of the log then ends the attempt, which
// is not a failure, and the next attempt starts from that checkpoint in the new shape and on other nodes. The attempt is
// not ended before all that the next one needs is known to be there: slots, nodes whose build makes the new graph, and
// state that fits it.

// turnLimit is how old that checkpoint may be when a node is left: what has been processed since is processed again.
const turnLimit = 5 * time.Second

// changeState is how far a job has come with a change of its shape or its nodes.
type changeState uint8

const (
	changeNone    changeState = iota // nothing is to be changed
	changeWaiting                    // there is no room yet, or it is not known
	changeReady                      // the checkpoint may be taken
	changeDue                        // it is taken; what the next attempt needs is being looked at
	changeMade                       // the entry is proposed
)

// turnView is a completed checkpoint at which the attempt may end.
type turnView struct {
	checkpoint checkpoint.ID // 0 for none
	at         time.Time     // when this leader saw it completed
}

// change moves a job on towards the end of its attempt, where its shape is to be changed or a node of it is drained.
func (d *decision) change(j *fsm.Job, s *jobView) changeState {
	drained := d.drainedNodes(j)
	if s.rescale == nil && len(drained) == 0 || finalCompleted(s) || s.facts.stopping {
		return changeNone
	}
	next := fsm.Shape{Topology: j.Topology, Parallelism: j.Parallelism}
	if s.rescale != nil {
		next = s.rescale.shape
	}
	free, state, problem := d.roomFor(j, s, next)
	if problem == "" && state == changeReady && d.atTurn(j, s) {
		state, problem = d.endAtTurn(j, s, next, free, drained)
	}
	if problem != "" && s.rescale != nil {
		d.do(Refuse{Job: j.ID, Request: s.rescale.request, Message: problem + "; the job goes on as it was"})
	}
	return state
}

// drainedNodes returns the drained nodes that the job has subtasks on.
func (d *decision) drainedNodes(j *fsm.Job) []string {
	var drained []string
	if len(d.view.Drained) == 0 {
		return nil
	}
	for _, ref := range j.Assignment.Nodes {
		if _, is := d.view.Drained[ref.ID]; is {
			drained = append(drained, string(ref.ID))
		}
	}
	return drained
}

// roomFor returns the slots that the job could have in its next shape if it gave up those that it has. It is ready when
// they are enough, and waits while nodes have to say what graph their build makes.
func (d *decision) roomFor(j *fsm.Job, s *jobView, next fsm.Shape) (free map[checkpoint.NodeID]int, state changeState, problem string) {
	d.countSlots()
	slots := make(map[checkpoint.NodeID]int, len(d.free))
	for id, n := range d.free {
		slots[id] = n + s.slots[id]
	}
	if !d.askPlans(j, next, slots) {
		return nil, changeWaiting, ""
	}
	free = d.freeFor(j, next.Topology, slots)
	needs := next.Topology.SlotsNeeded()
	if needs <= total(free) {
		return free, changeReady, ""
	}
	what := fmt.Sprintf("job %s needs %s", j.Name, slotCount(needs))
	switch {
	case needs <= total(slots):
		problem = fmt.Sprintf("%s, but nodes whose build makes its graph have %d for it", what, total(free))
	case len(d.view.Drained) > 0:
		problem = fmt.Sprintf("%s, but the nodes that are not drained have %d for it", what, total(slots))
	default:
		problem = fmt.Sprintf("%s, but the nodes have %d for it", what, total(slots))
	}
	return free, changeWaiting, problem
}

// atTurn reports whether the newest checkpoint of the log is one at which the attempt may end now.
func (d *decision) atTurn(j *fsm.Job, s *jobView) bool {
	latest := latestCompleted(j)
	switch {
	case latest == nil || latest.ID != s.turn.checkpoint:
		return false
	case s.rescale != nil:
		return s.rescale.point == latest.ID
	}
	return d.now.Sub(s.turn.at) <= turnLimit
}

// endAtTurn ends the attempt at its newest checkpoint, unless the next one could not go on from there.
func (d *decision) endAtTurn(j *fsm.Job, s *jobView, next fsm.Shape, free map[checkpoint.NodeID]int, drained []string) (changeState, string) {
	at := latestCompleted(j)
	if !d.loaded(j, originOf(j, at.ID, at.Manifest)) {
		return changeDue, ""
	}
	if _, problem := s.restore.match(j, next.Topology); problem != "" {
		return changeWaiting, fmt.Sprintf("it cannot go on from checkpoint %d: %s", at.ID, problem)
	}
	slots := d.placeNext(j, next.Topology, free, nil)
	if problem := d.undeployable(j, next, slots, at.ID); problem != "" {
		return changeWaiting, problem
	}
	for _, id := range slots { // for no other job of this round
		d.free[id] = max(0, d.free[id]-1)
	}
	if s.rescale != nil {
		d.do(Propose{fsm.RescaleJob{
			Job: j.ID, Attempt: j.Attempt, Checkpoint: at.ID, Topology: next.Topology, Parallelism: next.Parallelism,
			Term: d.view.Term, At: d.at,
		}})
		return changeMade, ""
	}
	cause := fmt.Sprintf("node %s is drained", strings.Join(drained, ", "))
	d.do(Propose{fsm.MoveJob{Job: j.ID, Attempt: j.Attempt, Checkpoint: at.ID, Cause: cause, Term: d.view.Term, At: d.at}})
	return changeMade, ""
}

// undeployable says what would keep the next attempt from being deployed on the nodes of the slots.
func (d *decision) undeployable(j *fsm.Job, next fsm.Shape, slots []checkpoint.NodeID, from checkpoint.ID) string {
	then := *j
	then.Topology, then.Parallelism, then.RestoredFrom = next.Topology, next.Parallelism, from
	then.Assignment, then.Since = assignment(next.Topology, slots, d.view.refs()), nil
	for _, ref := range then.Assignment.Nodes {
		if problem := oversized(d.deployment(&then, ref.ID), ref.ID); problem != "" {
			return problem
		}
	}
	return ""
}

// savepointPending reports whether a savepoint is pending, which would be given up if the attempt ended.
func savepointPending(j *fsm.Job) bool {
	return slices.ContainsFunc(j.Pending, func(p fsm.Pending) bool { return p.Kind == checkpoint.KindSavepoint })
}
