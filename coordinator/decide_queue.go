package coordinator

import (
	"cmp"
	"fmt"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// request asks for a checkpoint or savepoint.
type request struct {
	// id names the request to whoever waits for it; 0 when nobody does.
	id   uint64
	kind checkpoint.Kind
	stop checkpoint.Stop
	// forced says that a user asked: it begins although as many are pending as the configuration allows.
	forced bool
	// periodic says that the interval asks.
	periodic bool
	// aligned says that the attempt is to end at the checkpoint, which therefore holds no records in flight.
	aligned bool
	at      checkpoint.Timestamp
}

// compare orders requests by urgency, the most urgent first: Flink's order (CheckpointRequestDecider). A savepoint goes
// before a checkpoint, a user's request before others, one that the job's end waits for before a periodic one, and an
// earlier one before a later one.
func (r request) compare(other request) int {
	return cmp.Or(
		trueFirst(r.kind == checkpoint.KindSavepoint, other.kind == checkpoint.KindSavepoint),
		trueFirst(r.forced, other.forced),
		trueFirst(!r.periodic, !other.periodic),
		cmp.Compare(r.at, other.at),
		cmp.Compare(r.id, other.id),
	)
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// starts reports whether the command is what begins the request.
func (r request) starts(c fsm.BeginCheckpoint) bool {
	return r.kind == c.Kind && r.stop == c.Stop && r.forced == c.Manual && r.aligned == c.Aligned
}

// maxRequests bounds a job's queue, as Flink does.
const maxRequests = 1000

// queue holds the users' requests that have not begun, the most urgent first. The periodic request, and that of a job's
// end, are not in it: they follow from what is known, whenever it is looked at.
type queue struct{ waiting []request }

func (q *queue) empty() bool { return len(q.waiting) == 0 }

// add queues a request. When that is one too many, the least urgent of all goes: it is returned, and true.
func (q *queue) add(r request) (evicted request, full bool) {
	at, _ := slices.BinarySearchFunc(q.waiting, r, request.compare)
	q.waiting = slices.Insert(q.waiting, at, r)
	if len(q.waiting) <= maxRequests {
		return request{}, false
	}
	last := len(q.waiting) - 1
	evicted = q.waiting[last]
	q.waiting = q.waiting[:last]
	return evicted, true
}

// remove takes a request off the queue and reports whether it was there.
func (q *queue) remove(id uint64) bool {
	at := slices.IndexFunc(q.waiting, func(r request) bool { return r.id == id })
	if at >= 0 {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	return at >= 0
}

// take takes off the queue the most urgent request that the command begins. Requests that a command does not tell apart
// are served in their order.
func (q *queue) take(c fsm.BeginCheckpoint) (request, bool) {
	at := slices.IndexFunc(q.waiting, func(r request) bool { return r.starts(c) })
	if at < 0 {
		return request{}, false
	}
	r := q.waiting[at]
	q.waiting = slices.Delete(q.waiting, at, at+1)
	return r, true
}

// fate is what became of a request: its checkpoint has begun, or never will.
type fate struct {
	request    uint64
	checkpoint checkpoint.ID     // 0 when it did not begin; of a rescaling, when the job has not taken the new shape
	reason     checkpoint.Reason // why it did not, 0 when the message says it all
	message    string
}

// String says why the request came to nothing. It ends with the reason's name.
func (f fate) String() string {
	if f.reason == 0 {
		return f.message
	}
	return fmt.Sprintf("%s (%s)", f.message, f.reason)
}

// OnRequest queues a user's request for a checkpoint of a running job and returns the name by which its fate is told.
func (v *View) OnRequest(j *fsm.Job, kind checkpoint.Kind, stop checkpoint.Stop, at checkpoint.Timestamp) uint64 {
	return v.enqueue(j, request{kind: kind, stop: stop, forced: true, at: at})
}

// enqueue names a request and queues it.
func (v *View) enqueue(j *fsm.Job, r request) uint64 {
	v.lastRequest++
	r.id = v.lastRequest
	if evicted, full := v.job(j).queue.add(r); full {
		v.refuse(evicted.id, checkpoint.ReasonTooManyRequests, fmt.Sprintf(
			"%d requests that are more urgent wait for checkpoints of job %s", maxRequests, j.Name))
	}
	return r.id
}

// OnWithdrawn takes back a request whose checkpoint has not begun: nobody waits for it any more.
func (v *View) OnWithdrawn(job checkpoint.JobID, id uint64) {
	if s := v.jobs[job]; s != nil {
		s.queue.remove(id)
		s.dropRescale(id)
	}
}

// OnRefused records that Refuse was executed.
func (v *View) OnRefused(a Refuse) {
	s := v.jobs[a.Job]
	if s == nil {
		return
	}
	if waited := s.queue.remove(a.Request); waited || s.isRescale(a.Request) {
		v.refuse(a.Request, a.Reason, a.Message)
	}
}

// OnRejected records that the log refused a command. A beginning that could not be committed fails the request that it
// was for; those behind it go on (T4).
func (v *View) OnRejected(c fsm.Command, err error) {
	begin, ok := c.(fsm.BeginCheckpoint)
	if !ok || v.jobs[begin.Job] == nil {
		return
	}
	if r, waited := v.jobs[begin.Job].queue.take(begin); waited {
		v.refuse(r.id, checkpoint.ReasonTriggerFailure, err.Error())
	}
}

// dropQueue fails every request that waits.
func (v *View) dropQueue(s *jobView, why string) {
	for _, r := range s.queue.waiting {
		v.refuse(r.id, checkpoint.ReasonCoordinatorShutdown, why)
	}
	s.queue = queue{}
}

// queueEnds says why the requests that wait will never begin.
func queueEnds(j *fsm.Job) string {
	return fmt.Sprintf("job %s became %s before the checkpoint began%s", j.Name, j.Status, failureOf(j))
}

// failureOf says why a job has left its attempt, in the form of a continuation; it is empty when that is no failure.
func failureOf(j *fsm.Job) string {
	switch {
	case j.Status != fsm.JobRestarting && j.Status != fsm.JobFailed:
		return ""
	case j.Interrupted != "":
		return ": " + j.Interrupted
	case j.Failure != "":
		return ": " + j.Failure
	}
	return ""
}

func (v *View) refuse(id uint64, reason checkpoint.Reason, message string) {
	for _, s := range v.jobs {
		s.dropRescale(id)
	}
	v.fates = append(v.fates, fate{request: id, reason: reason, message: message})
}

// takeFates returns what became of requests since the last call.
func (v *View) takeFates() []fate {
	fates := v.fates
	v.fates = nil
	return fates
}
