package executor

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"

	"cairn/checkpoint"
)

// DefaultCancellationInterval is how often a task that does not return after it was cancelled is complained of.
const DefaultCancellationInterval = 30 * time.Second

// maxStack bounds the stack that a complaint shows, in bytes.
const maxStack = 16 << 10

// settingUp takes the place of a subtask in what is said of an attempt whose graph is being built.
const settingUp = "setting up"

// stoppable is something that has been cancelled: an execution, or the setting up of an attempt.
type stoppable struct {
	name  string
	since checkpoint.Attempt // of its goroutine's labels
	done  <-chan struct{}
}

// watchCancellation watches over what has been cancelled of an attempt until all of it has ended (Flink's task
// cancellation watchdog). User code that does not return when its task is cancelled holds up the next attempt; and what
// it still does to the outside world nobody can undo or fence. So after CancellationTimeout the process ends: nothing
// less stops a goroutine.
func (e *Executor) watchCancellation(a *attempt, stopping []stoppable) {
	since := time.Now()
	complain := time.NewTicker(e.cfg.CancellationInterval)
	defer complain.Stop()
	var expired <-chan time.Time
	if e.cfg.CancellationTimeout > 0 {
		timer := time.NewTimer(e.cfg.CancellationTimeout)
		defer timer.Stop()
		expired = timer.C
	}
	for len(stopping) > 0 {
		select {
		case <-stopping[0].done:
			stopping = stopping[1:]
		case <-complain.C:
			e.complain(a, stuck(stopping), time.Since(since))
		case <-expired:
			left := stuck(stopping)
			if len(left) == 0 {
				return
			}
			e.complain(a, left, time.Since(since))
			e.cfg.Fatal(fmt.Errorf("job %s, attempt %d on node %s: %s did not return within %s of the cancellation",
				a.deploy.Job, a.number(), e.cfg.Self.ID, names(left), e.cfg.CancellationTimeout))
			return
		}
	}
}

// complain logs where those are that have not returned.
func (e *Executor) complain(a *attempt, left []stoppable, after time.Duration) {
	stacks := goroutines()
	for _, x := range left {
		e.log.Warn("a cancelled task does not return: its code holds up the next attempt",
			"job", a.deploy.Job, "attempt", x.since, "task", x.name, "after", after,
			"timeout", e.cfg.CancellationTimeout, "stack", stacks.of(a.deploy.Job, x))
	}
}

// stuck returns those that have not ended.
func stuck(stopping []stoppable) (left []stoppable) {
	for _, x := range stopping {
		select {
		case <-x.done:
		default:
			left = append(left, x)
		}
	}
	return left
}

func names(all []stoppable) string {
	var names []string
	for _, x := range all {
		names = append(names, x.name)
	}
	return strings.Join(names, ", ")
}

// labelled runs f with labels on its goroutine, which those that it starts inherit: by them a stack is found, and a
// profile shows which task costs how much.
func labelled(ctx context.Context, job checkpoint.JobID, number checkpoint.Attempt, name string, f func(context.Context)) {
	pprof.Do(ctx, pprof.Labels("job", job.String(), "attempt", fmt.Sprint(number), "task", name), f)
}

// stacks is a profile of all goroutines, one entry for those with the same stack and labels.
type stacks []string

func goroutines() stacks {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return nil // a buffer takes everything
	}
	return strings.Split(b.String(), "\n\n")
}

// of returns the stacks of the goroutines that labelled has marked.
func (all stacks) of(job checkpoint.JobID, x stoppable) string {
	var found []string
	for _, s := range all {
		is := func(label, value string) bool { return strings.Contains(s, fmt.Sprintf("%q:%q", label, value)) }
		if is("job", job.String()) && is("attempt", fmt.Sprint(x.since)) && is("task", x.name) {
			found = append(found, s)
		}
	}
	text := strings.Join(found, "\n\n")
	if len(text) > maxStack {
		return strings.ToValidUTF8(text[:maxStack], "") + " … (cut)"
	}
	return text
}
