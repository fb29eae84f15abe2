package executor

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"
)

// DefaultCancellationInterval is how often a task that does not return after it was cancelled is complained of.
const DefaultCancellationInterval = 30 * time.Second

// maxStack bounds the stack that a complaint shows, in bytes.
const maxStack = 16 << 10

// settingUp takes the place of a subtask in what is said of an attempt whose graph is being built.
const settingUp = "setting up"

// watchCancellation watches over an attempt until everything of it has ended, which closes ended (Flink's task
// cancellation watchdog). User code that does not return when its task is cancelled holds up the next attempt; and what
// it still does to the outside world nobody can undo or fence. So after CancellationTimeout the process ends: nothing
// less stops a goroutine.
func (e *Executor) watchCancellation(a *attempt, ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-a.ctx.Done():
	}
	since := time.Now()
	complain := time.NewTicker(e.cfg.CancellationInterval)
	defer complain.Stop()
	var expired <-chan time.Time
	if e.cfg.CancellationTimeout > 0 {
		timer := time.NewTimer(e.cfg.CancellationTimeout)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-ended:
			return
		case <-complain.C:
			e.complain(a, time.Since(since))
		case <-expired:
			stuck := e.stuckIn(a)
			e.complain(a, time.Since(since))
			e.cfg.Fatal(fmt.Errorf("job %s, attempt %d on node %s: %s did not return within %s of the cancellation",
				a.deploy.Job, a.number(), e.cfg.Self.ID, strings.Join(stuck, ", "), e.cfg.CancellationTimeout))
			return
		}
	}
}

// complain logs where the attempt's tasks are that have not returned.
func (e *Executor) complain(a *attempt, after time.Duration) {
	stacks := goroutines()
	for _, name := range e.stuckIn(a) {
		e.log.Warn("a cancelled task does not return: its code holds up the next attempt",
			"job", a.deploy.Job, "attempt", a.number(), "task", name, "after", after,
			"timeout", e.cfg.CancellationTimeout, "stack", stacks.of(a, name))
	}
}

// stuckIn names the subtasks of an attempt that have not returned.
func (e *Executor) stuckIn(a *attempt) (names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a.tasks == nil {
		return []string{settingUp}
	}
	for _, s := range a.roster.order {
		if !a.returned[s] {
			names = append(names, s.String())
		}
	}
	return names
}

// labelled runs f with labels on its goroutine, which those that it starts inherit: by them a stack is found, and a
// profile shows which task costs how much.
func labelled(a *attempt, name string, f func(context.Context)) {
	pprof.Do(a.ctx, pprof.Labels("job", a.deploy.Job.String(), "attempt", fmt.Sprint(a.number()), "task", name), f)
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
func (all stacks) of(a *attempt, name string) string {
	var found []string
	for _, s := range all {
		is := func(label, value string) bool { return strings.Contains(s, fmt.Sprintf("%q:%q", label, value)) }
		if is("job", a.deploy.Job.String()) && is("attempt", fmt.Sprint(a.number())) && is("task", name) {
			found = append(found, s)
		}
	}
	text := strings.Join(found, "\n\n")
	if len(text) > maxStack {
		return strings.ToValidUTF8(text[:maxStack], "") + " … (cut)"
	}
	return text
}
