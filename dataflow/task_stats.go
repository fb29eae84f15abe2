package dataflow

import (
	"sync"
	"sync/atomic"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// Stats are what a task has measured of itself so far. Totals are updated once per batch.
type Stats struct {
	RecordsIn  int64     // emitted by the source, or received
	RecordsOut int64     // sent to other tasks
	BytesIn    int64     // of received frames
	BytesOut   int64     // of sent frames
	Watermark  EventTime // behind the last operator of the chain
	// LateRecords have been dropped by windows and joins, because the watermark had passed them.
	LateRecords int64
	// Idle is how long the task has waited for input, or to be told something; Backpressured how long it has waited for
	// room in one of its outputs. A wait that is under way counts. What is neither, it was busy.
	Idle, Backpressured time.Duration
	// InFlightBytes waits in the task's channels: received and not taken in, or emitted and not sent.
	InFlightBytes int64
	// Checkpoint is the newest that the task has acknowledged, 0 for none. The rest is about its part in it.
	Checkpoint                        checkpoint.ID
	StateBytes                        int64
	AlignmentMillis, StartDelayMillis int64
}

// taskStats is what Stats is made of. The task's goroutine and its uploads write it, anybody reads it.
type taskStats struct {
	recordsIn, recordsOut, bytesIn, bytesOut atomic.Int64
	watermark, lateRecords                   atomic.Int64
	outputBytes                              atomic.Int64 // emitted and not sent
	waits                                    waits

	acked struct {
		sync.Mutex
		id      checkpoint.ID
		bytes   int64
		metrics checkpoint.Metrics
	}
}

// outputObserver measures how a task's outputs fare.
type outputObserver struct{ task *Task }

var _ exchange.Observer = outputObserver{}

func (o outputObserver) OnQueued(bytes int) { o.task.stats.outputBytes.Store(int64(bytes)) }
func (o outputObserver) OnStop()            { o.task.stats.waits.begin(waitRoom, o.task.clock()) }
func (o outputObserver) OnResume()          { o.task.stats.waits.end(o.task.clock()) }

// acknowledged notes what the task has stored for a checkpoint. Uploads may overtake each other: the newest counts.
func (s *taskStats) acknowledged(ack checkpoint.Ack) {
	s.acked.Lock()
	defer s.acked.Unlock()
	if ack.Checkpoint > s.acked.id {
		s.acked.id, s.acked.bytes, s.acked.metrics = ack.Checkpoint, ack.State.Size(), ack.Metrics
	}
}

// Stats returns what the task has measured so far. It may be called from any goroutine.
func (t *Task) Stats() Stats {
	s := &t.stats
	stats := Stats{
		RecordsIn: s.recordsIn.Load(), RecordsOut: s.recordsOut.Load(), BytesIn: s.bytesIn.Load(), BytesOut: s.bytesOut.Load(),
		Watermark: EventTime(s.watermark.Load()), LateRecords: s.lateRecords.Load(), InFlightBytes: t.gate.QueuedBytes() + s.outputBytes.Load(),
	}
	stats.Idle, stats.Backpressured = s.waits.totals(t.clock())
	s.acked.Lock()
	defer s.acked.Unlock()
	stats.Checkpoint, stats.StateBytes = s.acked.id, s.acked.bytes
	stats.AlignmentMillis, stats.StartDelayMillis = s.acked.metrics.AlignmentMillis, s.acked.metrics.StartDelayMillis
	return stats
}

// waitKind is what a task waits for.
type waitKind uint8

const (
	waitInput waitKind = 1 // input, mail, or the time
	waitRoom  waitKind = 2 // in an output

	waitKinds = waitRoom + 1
)

// waits measures how long a task waits. The clock is read where a wait begins and ends, and nowhere else: a task that
// always has something to do never reads it.
type waits struct {
	mu struct {
		sync.Mutex
		kind  waitKind // under way; 0 while the task works
		since time.Time
		total [waitKinds]time.Duration // of the waits that are over
	}
}

// begin notes that the task begins to wait.
func (w *waits) begin(kind waitKind, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.kind, w.mu.since = kind, now
}

// end notes that the wait is over.
func (w *waits) end(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.total[w.mu.kind] += now.Sub(w.mu.since)
	w.mu.kind = 0
}

// totals returns how long the task has waited until now.
func (w *waits) totals(now time.Time) (input, room time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	total := w.mu.total
	if w.mu.kind != 0 {
		total[w.mu.kind] += max(0, now.Sub(w.mu.since))
	}
	return total[waitInput], total[waitRoom]
}
