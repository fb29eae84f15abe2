package fsm

import "cairn/checkpoint"

// abortAll decides every pending checkpoint as failed, because of something that ends them all.
func (j *Job) abortAll(r checkpoint.Reason, message string, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	return j.abort(func(Pending) bool { return true }, r, message, term, at)
}

func (j *Job) abort(which func(Pending) bool, r checkpoint.Reason, message string, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	var aborted []checkpoint.ID
	for _, p := range j.Pending {
		if !which(p) {
			continue
		}
		o := p.outcome(OutcomeFailed, term, at)
		o.Reason, o.Message, o.NumSubtasks = r, message, j.Topology.NumSubtasks()
		j.decide(o)
		aborted = append(aborted, p.ID)
	}
	return aborted
}

func (p Pending) outcome(s OutcomeStatus, term checkpoint.Term, at checkpoint.Timestamp) Outcome {
	return Outcome{
		ID: p.ID, Attempt: p.Attempt, Kind: p.Kind, Status: s, TriggeredAt: p.TriggeredAt, EndedAt: at, Stop: p.Stop,
		Term: term, BeganTerm: p.BeganTerm,
	}
}

// decide is where a checkpoint gets its one outcome (I2): it is no longer pending, it is counted, and it
// enters the history.
func (j *Job) decide(o Outcome) {
	if o.Status == OutcomeCompleted {
		j.succeeded(o)
	} else {
		j.Counters.Failed++
		if j.countsAsFailure(o) {
			j.ConsecutiveFailures++
		}
	}
	j.Pending = without(j.Pending, func(p Pending) bool { return p.ID == o.ID })
	j.History = appended(j.History, o)
	if beyond := len(j.History) - MaxHistory; beyond > 0 {
		j.History = j.History[beyond:]
	}
}

// succeeded counts a success. One that is older than the last says nothing about the failures since that one.
func (j *Job) succeeded(o Outcome) {
	j.Counters.Completed++
	j.Summary = j.Summary.with(o)
	if o.ID > j.LastSuccess {
		j.LastSuccess, j.ConsecutiveFailures = o.ID, 0
	}
}

// countsAsFailure is the rule of Flink's CheckpointFailureManager. A failure that is older than a success
// says nothing about the present. Nor does a savepoint that the coordinator gave up, for a restart would not
// help it; one that a task gave up counts like a checkpoint, unless the job was to end with it: then it fails the job
// as it is.
func (j *Job) countsAsFailure(o Outcome) bool {
	byTask := o.Reason == checkpoint.ReasonDeclined || o.Reason == checkpoint.ReasonAsyncException
	if o.Kind == checkpoint.KindSavepoint && (!byTask || o.Stop != checkpoint.StopNone) {
		return false
	}
	return o.Reason.Counts() && o.ID > j.LastSuccess
}
