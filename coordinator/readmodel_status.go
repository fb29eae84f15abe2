package coordinator

import (
	"fmt"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// fillStatus fills in nodes and jobs, and the problems that they have.
func fillStatus(status *api.Status, v *View, replicas int, now time.Time) {
	r := reading{jobs: v.Jobs, imports: v.Imports, drained: v.Drained, view: v, now: now}
	status.Nodes, _ = r.nodes()
	status.Jobs, status.Problems = []api.JobSummary{}, []string{}
	problem := func(format string, args ...any) {
		status.Problems = append(status.Problems, fmt.Sprintf(format, args...))
	}
	alive := 0
	for _, n := range v.sortedNodes() {
		state := v.stateOf(n, now)
		if state == nodeAlive {
			alive++
		}
		_, drained := v.Drained[n.ref.ID]
		if !drained && (state == nodeLost || state == nodeSuspect) {
			problem("node %s at %s is %s", n.ref.ID, n.ref.Address, state)
		}
		if !drained {
			continue
		}
		for _, why := range r.stuck(n.ref.ID) {
			problem("node %s is draining, but %s", n.ref.ID, why)
		}
	}
	if alive > 0 && alive < replicas {
		problem("checkpoints are stored on %s instead of %d: no other one is alive", numberOf(int64(alive), "node", "nodes"), replicas)
	}
	status.Problems = append(status.Problems, v.sweepProblems()...)
	for _, j := range v.Jobs {
		status.Jobs = append(status.Jobs, jobSummary(j))
		if j.Status.Terminal() {
			continue
		}
		if reason, _, _ := strings.Cut(jobReason(v, j, now), "\n"); reason != "" { // without the stack of a panic
			problem("job %s is %s: %s", j.Name, j.Status, reason)
		}
		if stalled := r.stalled(j); stalled != "" {
			problem("job %s %s", j.Name, stalled)
		}
		status.Problems = append(status.Problems, r.problemsOf(j)...)
	}
}

func (r reading) usedSlots() map[checkpoint.NodeID]int {
	used := make(map[checkpoint.NodeID]int)
	for _, j := range r.jobs {
		of := usedSlots(j)
		switch {
		case holdsSlots(j):
		case r.view == nil:
			continue
		default:
			of = (&decision{view: r.view, now: r.now}).slotsHeld(j) // of what goes on
		}
		for id, n := range of {
			used[id] += n
		}
	}
	return used
}

// stalled says why a job that runs and should complete checkpoints does not: with every checkpoint that does, more is
// done again after the next failure. It is empty when all is well. A checkpoint may take its timeout, and the one
// behind it an interval to begin: with twice the interval there is nothing left to wait for.
func (r reading) stalled(j *fsm.Job) string {
	c := j.Config
	if j.Status != fsm.JobRunning || c.Interval == 0 || finalCompleted(r.view.job(j)) {
		return ""
	}
	_, last := lastCompleted(j)
	since := max(last, j.AttemptStartedAt)
	without := time.Duration(r.now.UnixMilli()-int64(since)) * time.Millisecond
	if without <= c.Timeout+2*c.Interval+c.MinPause {
		return ""
	}
	return fmt.Sprintf("runs, but has completed no checkpoint for %s: %s", without.Round(time.Second), r.holdUp(j))
}

// holdUp says what keeps a job's checkpoints from completing.
func (r reading) holdUp(j *fsm.Job) string {
	if n := len(j.History); n > 0 && j.History[n-1].Status == fsm.OutcomeFailed {
		o := j.History[n-1]
		return fmt.Sprintf("checkpoint %d failed, the last of %d in a row that count: %s", o.ID, j.ConsecutiveFailures, failureText(o))
	}
	for _, p := range j.Pending {
		detail, known := r.view.detailOf(j, p.ID, r.now)
		if s := slowestPending(j.Topology, detail, int64(p.TriggeredAt), r.now.UnixMilli()); known && s != nil {
			return fmt.Sprintf("checkpoint %d waits for %s on node %s in %s", p.ID, s.ID, s.Node, s.Phase)
		}
	}
	return "none begins; not every subtask runs"
}
