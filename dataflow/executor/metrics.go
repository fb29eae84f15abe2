package executor

import (
	"context"
	"maps"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

const (
	// metricsInterval is how often the tasks are measured, and the leader told.
	metricsInterval = time.Second
	// loadWindow is the time over which rates are taken.
	loadWindow = 5 * time.Second
)

// meters measure all tasks. They belong to the goroutine of metricsLoop.
type meters struct {
	tasks map[*execution]*taskMeter // whatever attempt they belong to
	told  map[*attempt]toldView
}

// toldView is on which session the leader was told of an attempt last. An attempt that is over is told of once more, with
// its final totals, and once to each later leader.
type toldView struct {
	to    Session
	final bool
}

// taskMeter takes a task's rates from what it has measured in the last seconds. It is pure.
type taskMeter struct {
	samples []sample // oldest first; no more than fit into the window, and the one before it
}

type sample struct {
	at    time.Time
	stats dataflow.Stats
}

// add takes in what a task has measured. One that does not run has no load, and begins anew when it does.
func (m *taskMeter) add(stats dataflow.Stats, running bool, now time.Time) {
	if !running {
		m.samples = nil
		return
	}
	m.samples = append(m.samples, sample{now, stats})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= loadWindow {
		m.samples = m.samples[1:]
	}
}

// load returns the rates over the window, nil while they are not known.
func (m *taskMeter) load() *checkpoint.TaskLoad {
	if len(m.samples) < 2 {
		return nil
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return nil
	}
	rate := func(from, to int64) float64 { return max(0, float64(to-from)/seconds) }
	millis := func(from, to time.Duration) float64 { return min(max(0, (to-from).Seconds()*1000/seconds), 1000) }
	l := &checkpoint.TaskLoad{
		RecordsIn:           rate(first.stats.RecordsIn, last.stats.RecordsIn),
		RecordsOut:          rate(first.stats.RecordsOut, last.stats.RecordsOut),
		BytesIn:             rate(first.stats.BytesIn, last.stats.BytesIn),
		BytesOut:            rate(first.stats.BytesOut, last.stats.BytesOut),
		IdleMillis:          millis(first.stats.Idle, last.stats.Idle),
		BackpressuredMillis: millis(first.stats.Backpressured, last.stats.Backpressured),
		InFlightBytes:       last.stats.InFlightBytes,
	}
	l.BusyMillis = max(0, 1000-l.IdleMillis-l.BackpressuredMillis)
	return l
}

// metricsOf puts together what the leader is told of a subtask.
func metricsOf(s checkpoint.SubtaskID, stats dataflow.Stats, load *checkpoint.TaskLoad) checkpoint.SubtaskMetrics {
	m := checkpoint.SubtaskMetrics{
		Subtask: s, RecordsIn: stats.RecordsIn, RecordsOut: stats.RecordsOut, BytesIn: stats.BytesIn, BytesOut: stats.BytesOut,
		LateRecords: stats.LateRecords, Load: load, Checkpoint: stats.Checkpoint, StateBytes: stats.StateBytes,
		AlignmentMillis: stats.AlignmentMillis, StartDelayMillis: stats.StartDelayMillis,
	}
	if stats.Watermark != dataflow.MinEventTime {
		at := int64(stats.Watermark)
		m.Watermark = &at
	}
	return m
}

// measured is an attempt as it is when its tasks are measured.
type measured struct {
	attempt    *attempt
	executions []*execution
	running    map[checkpoint.SubtaskID]bool
	over       bool
}

// metricsLoop measures the tasks and tells the leader, until ctx is done.
func (e *Executor) metricsLoop(ctx context.Context) {
	ticker := time.NewTicker(metricsInterval)
	defer ticker.Stop()
	all := meters{tasks: make(map[*execution]*taskMeter), told: make(map[*attempt]toldView)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.attemptEnded:
		case <-ticker.C:
		}
		e.measure(all, time.Now())
	}
}

// measure looks at the tasks once. The leader is told in one go, or not at all while its session has other things to
// send: then it is told at the next time.
func (e *Executor) measure(all meters, now time.Time) {
	attempts, to := e.measurable()
	var messages []checkpoint.FromNode
	var telling []measured
	for _, a := range attempts {
		if told := all.told[a.attempt]; told.final && told.to == to {
			continue
		}
		messages = append(messages, all.measure(a, now))
		telling = append(telling, a)
	}
	all.forget(attempts)
	if to == nil || len(messages) == 0 || !to.Offer(messages...) {
		return
	}
	for _, a := range telling {
		all.told[a.attempt] = toldView{to, a.over}
	}
}

// forget drops what is about attempts and executions that are not present any more.
func (all meters) forget(present []measured) {
	attempts, executions := make(map[*attempt]bool), make(map[*execution]bool)
	for _, a := range present {
		attempts[a.attempt] = true
		for _, x := range a.executions {
			executions[x] = true
		}
	}
	maps.DeleteFunc(all.told, func(a *attempt, _ toldView) bool { return !attempts[a] })
	maps.DeleteFunc(all.tasks, func(x *execution, _ *taskMeter) bool { return !executions[x] })
}

// measurable returns the attempts whose tasks can be measured, and the leader's session, nil when there is none.
func (e *Executor) measurable() (attempts []measured, to Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range sortedKeys(e.mu.jobs, compareJobs) {
		a := e.mu.jobs[id].current
		if a == nil || len(a.executions) == 0 {
			continue
		}
		m := measured{attempt: a, executions: a.present(), running: make(map[checkpoint.SubtaskID]bool), over: a.over}
		for _, r := range a.roster.subtasks() {
			m.running[r.Subtask] = r.Status == checkpoint.SubtaskRunning || r.Status == checkpoint.SubtaskFinishing
		}
		attempts = append(attempts, m)
	}
	return attempts, e.mu.fence.session
}

// measure asks the attempt's tasks and returns what the leader is to be told.
func (all meters) measure(a measured, now time.Time) checkpoint.TaskMetrics {
	told := checkpoint.TaskMetrics{Job: a.attempt.deploy.Job, Attempt: a.attempt.number()}
	for _, x := range a.executions {
		stats := x.task.Stats()
		t := all.tasks[x]
		if t == nil {
			t = &taskMeter{}
			all.tasks[x] = t
		}
		t.add(stats, a.running[x.subtask], now)
		told.Subtasks = append(told.Subtasks, metricsOf(x.subtask, stats, t.load()))
	}
	return told
}

// signalAttemptEnded makes the loop look at once. One pending signal is enough: it looks at all there is.
func (e *Executor) signalAttemptEnded() {
	select {
	case e.attemptEnded <- struct{}{}:
	default:
	}
}
