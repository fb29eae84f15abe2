package dataflow

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// flood is a source that has 100,000 records of a hundred bytes for every second, for as long as anybody takes them.
type flood struct{ emitted *atomic.Int64 }

const (
	floodBatch  = 1000
	floodPause  = 10 * time.Millisecond
	floodRecord = 100 // bytes
)

type floodReader struct {
	flood
	due time.Time // of the next records
}

func (s flood) Open(SourceContext) (SourceReader[string], error) {
	return &floodReader{s, time.Now()}, nil
}

func (r *floodReader) Next(emit func(string)) (ReadStatus, error) {
	if now := time.Now(); !now.Before(r.due) {
		for range floodBatch {
			emit(fmt.Sprintf("%010d", r.emitted.Add(1)) + strings.Repeat("x", floodRecord-10))
		}
		r.due = now.Add(floodPause)
	}
	return IdleUntil(r.due), nil
}

func (*floodReader) Snapshot() ([][]byte, error) { return nil, nil }
func (*floodReader) Position() string            { return "" }
func (*floodReader) Close() error                { return nil }

// dam is a sink that takes nothing until it is opened.
type dam struct {
	open  chan struct{}
	taken *atomic.Int64
}

type damWriter struct {
	dam
	SinkWriter[string]
}

func (d dam) Open(ctx SinkContext) (SinkWriter[string], error) {
	w, err := newLedger[string]().Open(ctx)
	return damWriter{d, w}, err
}

func (w damWriter) Write(string) error {
	<-w.open
	w.taken.Add(1)
	return nil
}

type pass struct{}

func (pass) Open(*ProcessContext[string]) error { return nil }
func (pass) Process(_ string, in string, emit func(string)) error {
	emit(in)
	return nil
}
func (pass) Finish(func(string)) error { return nil }

// maxPerChannel bounds what may be under way in a channel and the batches at its ends, in bytes.
const maxPerChannel = 512 << 10

// Ten minutes' worth of input against a sink that takes nothing: what has been emitted, and what is held, is bounded by
// the number of channels, and stays what it is after the first seconds. Then everything flows again.
func TestMemoryIsBoundedUnderASlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		emitted, out := new(atomic.Int64), dam{open: make(chan struct{}), taken: new(atomic.Int64)}
		g := NewGraph()
		read := From(g, "read", flood{emitted}, codec.String, Parallelism(2))
		counted := Process(KeyBy(read, codec.String, func(v string) string { return v }), "count", codec.String,
			func() KeyedProcessor[string, string, string] { return pass{} }, Parallelism(3))
		To(Rebalance(counted), "write", out, Parallelism(2))
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
		defer a.stop()
		opening := sync.OnceFunc(func() { close(out.open) })
		defer opening() // a sink that does not return could not be stopped

		time.Sleep(10 * time.Second)
		synctest.Wait()
		first := emitted.Load()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if last := emitted.Load(); last != first {
			t.Errorf("%d records were emitted in the first seconds, %d in ten minutes", first, last)
		}
		const channels = 2*3 + 3*2
		if bytes := emitted.Load() * floodRecord; bytes > channels*maxPerChannel {
			t.Errorf("%d bytes were emitted, more than %d for each of %d channels", bytes, maxPerChannel, channels)
		}
		var held int64
		for s, task := range a.tasks {
			stats := task.Stats()
			held += stats.InFlightBytes
			if s.Vertex != "write" && stats.Backpressured < 10*time.Minute {
				t.Errorf("%s was backpressured for %s only", s, stats.Backpressured)
			}
		}
		if held == 0 || held > channels*maxPerChannel {
			t.Errorf("%d bytes are in flight, more than %d for each of %d channels", held, maxPerChannel, channels)
		}
		opening()
		time.Sleep(time.Second)
		synctest.Wait()
		if last, taken := emitted.Load(), out.taken.Load(); taken < last-floodBatch*10 || last < first+100_000 {
			t.Errorf("after the sink was opened %d records were emitted, and %d taken", last-first, taken)
		}
	})
}

// How a task spends its time: the source of a slow sink is backpressured, the sink busy, and what waits for a source that
// has nothing is idle.
func TestTasksMeasureWhatTheyWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newGatedSource()
		out := pausing{newLedger[int64](), 10 * time.Millisecond}
		a := startAttempt(t, passingJob(t, source, identity, out), 1, newMemoryStore(), 0, nil)
		defer a.stop()
		write := checkpoint.SubtaskID{Vertex: "write"}
		time.Sleep(time.Minute)
		for s, task := range a.tasks {
			if got := task.Stats(); got.Idle != time.Minute || got.Backpressured != 0 {
				t.Errorf("%s without input: idle for %s, backpressured for %s", s, got.Idle, got.Backpressured)
			}
		}
		source.send(1, 2, 3, 4, 5)
		time.Sleep(time.Second)
		if got := a.tasks[write].Stats(); got.Idle != time.Minute+time.Second-50*time.Millisecond || got.Backpressured != 0 {
			t.Errorf("a sink that was busy for 50 ms: idle for %s, backpressured for %s", got.Idle, got.Backpressured)
		}
	})
}

// pausing is a sink that takes its time for each record.
type pausing struct {
	*ledger[int64]
	pause time.Duration
}

type pausingWriter struct {
	SinkWriter[int64]
	pause time.Duration
}

func (s pausing) Open(ctx SinkContext) (SinkWriter[int64], error) {
	w, err := s.ledger.Open(ctx)
	return pausingWriter{w, s.pause}, err
}

func (w pausingWriter) Write(v int64) error {
	time.Sleep(w.pause)
	return w.SinkWriter.Write(v)
}
