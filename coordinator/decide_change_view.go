package coordinator

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// rescaleView is a user's request for another parallelism of a running job. It belongs to the attempt and to this
// leadership: when either ends, the user is told.
type rescaleView struct {
	request uint64
	attempt checkpoint.Attempt
	shape   fsm.Shape
	point   checkpoint.ID // the checkpoint that was begun for it, 0 while none was
}

// OnRescale takes in a user's request for another shape of a running job, which has no such request yet, and returns the
// name by which its fate is told: the checkpoint from which the job goes on in that shape, or why it does not.
func (v *View) OnRescale(j *fsm.Job, shape fsm.Shape, at checkpoint.Timestamp) uint64 {
	s := v.job(j)
	s.rescale = &rescaleView{request: v.lastRequest + 1, attempt: j.Attempt, shape: shape}
	return v.enqueue(j, request{kind: checkpoint.KindCheckpoint, forced: true, aligned: true, at: at})
}

func (s *jobView) isRescale(request uint64) bool {
	return s.rescale != nil && s.rescale.request == request
}

// dropRescale forgets the rescaling of that name. A checkpoint that has begun for it goes on.
func (s *jobView) dropRescale(request uint64) {
	if s.isRescale(request) {
		s.rescale = nil
	}
}

// settleRescale tells what has become of a rescaling when the job's replicated state says so.
func (v *View) settleRescale(j *fsm.Job, s *jobView) {
	r := s.rescale
	if r == nil {
		return
	}
	latest := latestCompleted(j)
	switch {
	case j.Next != nil && j.Attempt == r.attempt && j.Next.Topology.Difference(r.shape.Topology) == "":
		s.rescale = nil
		v.fates = append(v.fates, fate{request: r.request, checkpoint: latest.ID})
	case j.Status != fsm.JobRunning || j.Attempt != r.attempt:
		s.queue.remove(r.request)
		v.refuse(r.request, 0, fmt.Sprintf("the parallelism of job %s was not changed: it became %s%s", j.Name, j.Status, failureOf(j)))
	case r.point == 0 || isPending(j, r.point) || latest != nil && latest.ID == r.point:
	default:
		v.refuse(r.request, 0, fmt.Sprintf("the parallelism of job %s was not changed: checkpoint %d, which was taken for that, failed%s; "+
			"the job goes on as it was", j.Name, r.point, outcomeText(j, r.point)))
	}
}

// outcomeText says how a checkpoint failed at which the attempt was to end, in the form of a continuation.
func outcomeText(j *fsm.Job, id checkpoint.ID) string {
	i := slices.IndexFunc(j.History, func(o fsm.Outcome) bool { return o.ID == id && o.Status == fsm.OutcomeFailed })
	if i < 0 {
		return ""
	}
	return ": " + turnFailure(j.History[i].Reason, j.History[i].Message)
}
