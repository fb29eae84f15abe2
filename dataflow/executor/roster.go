package executor

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// roster is where each subtask of one attempt on this node stands. It is pure; the executor's mutex
// guards it.
type roster struct {
	reports map[checkpoint.SubtaskID]checkpoint.SubtaskReport
	order   []checkpoint.SubtaskID // in the job's order
	// stopped is why this node stopped the attempt of its own accord, empty when it did not. Subtasks that
	// end because of it are reported as failed: nobody who leads has asked them to end.
	stopped string
}

// newRoster starts every subtask as initializing.
func newRoster(subtasks []checkpoint.SubtaskID) *roster {
	r := &roster{order: subtasks, reports: make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport, len(subtasks))}
	for _, s := range subtasks {
		r.reports[s] = checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskInitializing}
	}
	return r
}

// update records what a subtask says of itself and returns what is to be told to the leader. It reports
// false when there is nothing to tell: the subtask is not of this roster, or has ended before.
func (r *roster) update(report checkpoint.SubtaskReport) (checkpoint.SubtaskReport, bool) {
	old, known := r.reports[report.Subtask]
	if !known || ended(old.Status) {
		return checkpoint.SubtaskReport{}, false
	}
	if report.Status == checkpoint.SubtaskCanceled && r.stopped != "" {
		report.Status = checkpoint.SubtaskFailed
		report.Failure = checkpoint.Failure{Message: r.stopped}
	}
	r.reports[report.Subtask] = report
	return report, true
}

// subtasks returns every subtask's last report, in the job's order.
func (r *roster) subtasks() []checkpoint.SubtaskReport {
	all := make([]checkpoint.SubtaskReport, 0, len(r.order))
	for _, s := range r.order {
		all = append(all, r.reports[s])
	}
	return all
}

// active reports whether a subtask has not ended.
func (r *roster) active() bool {
	return slices.ContainsFunc(r.order, func(s checkpoint.SubtaskID) bool { return !ended(r.reports[s].Status) })
}

// refusal says why a subtask cannot take part in a checkpoint, if it cannot.
func (r *roster) refusal(s checkpoint.SubtaskID) (reason checkpoint.Reason, message string, refused bool) {
	report, known := r.reports[s]
	switch {
	case !known:
		return checkpoint.ReasonDeclined, fmt.Sprintf("%s is not on this node", s), true
	case report.Status == checkpoint.SubtaskFailed:
		return checkpoint.ReasonTaskFailure, fmt.Sprintf("%s is %s", s, report.Status), true
	case ended(report.Status):
		return checkpoint.ReasonTaskClosing, fmt.Sprintf("%s is %s", s, report.Status), true
	}
	return 0, "", false
}

// ended reports whether a subtask with this status changes no more.
func ended(s checkpoint.SubtaskStatus) bool {
	switch s {
	case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		return true
	}
	return false
}
