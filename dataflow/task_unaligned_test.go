package dataflow

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// deliberate is a sink that takes a minute for each record.
type deliberate struct{ *ledger[int64] }

func (s deliberate) Open(ctx SinkContext) (SinkWriter[int64], error) {
	w, err := s.ledger.Open(ctx)
	return deliberateWriter{w}, err
}

type deliberateWriter struct{ SinkWriter[int64] }

func (w deliberateWriter) Write(v int64) error {
	time.Sleep(time.Minute)
	return w.SinkWriter.Write(v)
}

// TestUnalignedCompletesUnderBackPressure: a sink takes a minute per record, and the queues before it are full. An
// unaligned checkpoint takes as long as the sink needs for the frame at hand, an aligned one as long as it needs for all
// queues, and an adaptive one turns unaligned after its timeout.
func TestUnalignedCompletesUnderBackPressure(t *testing.T) {
	const frame = 5 * time.Minute // two or three records
	for _, test := range []struct {
		alignment   checkpoint.Alignment
		least, most time.Duration
		overtakes   bool
	}{
		{checkpoint.AlignmentUnaligned, 0, frame, true},
		{checkpoint.AlignmentAdaptive, 8 * time.Minute, 8*time.Minute + frame, true},
		{checkpoint.AlignmentAligned, 20 * time.Minute, 2 * time.Hour, false},
	} {
		t.Run(test.alignment.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := NewGraph()
				read := From(g, "read", numbers{n: 1 << 30, splits: 1, batch: 10}, codec.Int64)
				pass := Map(Rebalance(read), "pass", codec.Int64, identity, Parallelism(1))
				To(Rebalance(pass), "write", deliberate{newLedger[int64]()}, Parallelism(1))
				if err := g.Seal(); err != nil {
					t.Fatal(err)
				}
				spec := TaskSpec{Attempt: 1, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true}
				a := startAttemptWith(t, g, newMemoryStore(), spec, nil, narrow, func(t *Task) { t.gate.Flow.Batch = 8 })
				time.Sleep(time.Second)
				synctest.Wait() // the queues are full
				b := barrierOf(1, test.alignment)
				b.AlignmentTimeout = 8 * time.Minute
				began := time.Now()
				a.tasks[readTask].Trigger(b)
				var persisted int64
				for acks := 0; acks < 3; {
					if ack, is := (<-a.events).(checkpoint.Ack); is {
						acks++
						persisted += ack.Metrics.PersistedBytes
					}
				}
				if took := time.Since(began); took < test.least || took > test.most {
					t.Errorf("it took %s, want %s to %s", took, test.least, test.most)
				}
				if (persisted > 0) != test.overtakes {
					t.Errorf("%d bytes in flight", persisted)
				}
				a.stop()
			})
		})
	}
}

// TestRecordingOfAChannelEnds: the snapshot is taken with the first barrier; what the other channel delivers belongs to it
// until that channel's barrier comes, or something in its place.
func TestRecordingOfAChannelEnds(t *testing.T) {
	one, two := exchange.AppendBarrier(nil, barrierOf(1, checkpoint.AlignmentUnaligned)), exchange.AppendBarrier(nil, barrierOf(2, checkpoint.AlignmentUnaligned))
	overtaken := int64(2 * len(records(3)))
	for name, test := range map[string]struct {
		end     func(*testing.T, *joiner)
		acked   checkpoint.ID // 0 for none
		decline checkpoint.Reason
		bytes   int64
	}{
		"its barrier": {func(t *testing.T, j *joiner) { j.write(t, 1, one) }, 1, 0, overtaken},
		"the end": {func(t *testing.T, j *joiner) {
			j.write(t, 1, []byte{exchange.FrameEndOfData})
			j.write(t, 1, []byte{exchange.FrameEndOfPartition})
		}, 1, 0, overtaken},
		"a newer barrier":      {func(t *testing.T, j *joiner) { j.write(t, 1, two); j.write(t, 0, two) }, 2, checkpoint.ReasonDeclinedSubsumed, 0},
		"a cancellation":       {func(t *testing.T, j *joiner) { j.write(t, 1, exchange.AppendCancel(nil, 1)) }, 0, 0, 0},
		"the coordinator":      {func(_ *testing.T, j *joiner) { j.task.NotifyAborted(1); synctest.Wait() }, 0, 0, 0},
		"an older one's abort": {func(t *testing.T, j *joiner) { j.write(t, 1, exchange.AppendCancel(nil, 9)); j.write(t, 1, one) }, 1, 0, overtaken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemoryStore()
				j := startJoiner(t, newLedger[int64](), store)
				defer j.stop()
				j.write(t, 0, records(7)) // before the barrier on its own channel: processed
				j.write(t, 0, one)
				j.write(t, 0, records(5)) // behind it
				j.write(t, 1, records(3))
				j.write(t, 1, records(3))
				test.end(t, j)
				j.write(t, 0, records(1))
				if got := j.task.Stats().RecordsIn; got != 7+5+3+3+1 {
					t.Errorf("%d records were processed", got)
				}
				var acked checkpoint.ID
				var reason checkpoint.Reason
				for len(j.events) > 0 {
					switch e := (<-j.events).(type) {
					case checkpoint.Ack:
						acked = e.Checkpoint
						if e.Metrics.PersistedBytes != test.bytes || !store.has(e.State) {
							t.Errorf("acknowledged %d with %d bytes in flight, want %d", e.Checkpoint, e.Metrics.PersistedBytes, test.bytes)
						}
					case checkpoint.Decline:
						reason = e.Reason
					}
				}
				if acked != test.acked || reason != test.decline {
					t.Errorf("acknowledged %d, declined with %s; want %d and %s", acked, reason, test.acked, test.decline)
				}
				j.task.uploads.mu.Lock()
				defer j.task.uploads.mu.Unlock()
				if n := len(j.task.uploads.mu.active); n != 0 {
					t.Errorf("%d uploads go on", n)
				}
			})
		})
	}
}

// TestCancellationAlongWithTheBarrier: a barrier that overtakes and the cancellation on the other channel wait for the task
// together. The snapshot is taken for the first, and its upload ends with the second: it does not go on recording.
func TestCancellationAlongWithTheBarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		j := startJoiner(t, deliberate{newLedger[int64]()}, store)
		defer j.stop()
		j.write(t, 0, records(1)) // the task is busy for a minute
		j.write(t, 0, exchange.AppendBarrier(nil, barrierOf(1, checkpoint.AlignmentUnaligned)))
		j.write(t, 1, exchange.AppendCancel(nil, 1))
		time.Sleep(time.Minute)
		synctest.Wait()
		j.task.uploads.mu.Lock()
		active := len(j.task.uploads.mu.active)
		j.task.uploads.mu.Unlock()
		if active != 0 {
			t.Errorf("%d uploads go on behind the cancellation", active)
		}
		for len(j.events) > 0 {
			switch e := (<-j.events).(type) {
			case checkpoint.Ack, checkpoint.Decline:
				t.Errorf("upstream has given the checkpoint up, and told so; this task tells %+v", e)
			}
		}
	})
}

// TestMemoryIsBoundedUnderABlockedSink: whatever a record makes the operators emit, no more of it waits than the queues
// hold.
func TestMemoryIsBoundedUnderABlockedSink(t *testing.T) {
	for name, times := range map[string]int{"one for one": 1, "a record that becomes a million": 1_000_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				blocked := make(chan struct{})
				out := blockingSink{entered: make(chan struct{}), release: blocked}
				var emitted atomic.Int64
				g := NewGraph()
				s := FlatMap(From(g, "read", numbers{n: 1 << 30, splits: 1, batch: 100}, codec.Int64), "multiply", codec.Int64,
					func(v int64, emit func(int64)) {
						for range times {
							emitted.Add(1)
							emit(v)
						}
					})
				To(Rebalance(s), "write", out)
				if err := g.Seal(); err != nil {
					t.Fatal(err)
				}
				a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
				<-out.entered
				time.Sleep(10 * time.Minute) // of input
				synctest.Wait()
				f := exchange.DefaultFlow()
				most := f.Window.Bytes + 4*f.Batch // one is being processed, one is under way, one queued, one over
				if times > 1 {
					most += f.Overdraft
				}
				if n := int(emitted.Load()); n > most { // a small number takes one byte
					t.Errorf("%d records were emitted, the queues hold %d", n, most)
				}
				a.cancel()
				awaitStatus(t, a, readTask, checkpoint.SubtaskCanceled)
				close(blocked)
				a.stop()
			})
		})
	}
}

// queuedOutput is an output to the given subtasks, none of which takes anything but what is urgent.
func queuedOutput(t *testing.T, to ...int) *exchange.Output {
	t.Helper()
	o := &exchange.Output{Backlog: exchange.NewBacklog(exchange.DefaultFlow(), outputObserver{&Task{}})}
	for _, index := range to {
		c := &exchange.OutputChannel{ID: exchange.ChannelID{Edge: 0, To: index}}
		o.Channels = append(o.Channels, c)
		if err := o.Connect(t.Context(), &stubChannel{}, c); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// send sends a batch of n numbers.
func send(t *testing.T, o *exchange.Output, c *exchange.OutputChannel, n int) {
	t.Helper()
	for v := range int64(n) {
		o.Added(c, codec.Int64.Append(c.Batch(), v))
	}
	if err := o.SendFull(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestInFlightRoundTrip stores frames in flight while they come, and reads them back.
func TestInFlightRoundTrip(t *testing.T) {
	g := passingJob(t, newGatedSource(), identity, newLedger[int64]())
	store := newMemoryStore()
	s := exchange.NewChannelState([]exchange.Input{{Edge: 0, From: 300}})
	o := queuedOutput(t, 7, 8)
	for n := range 5 {
		send(t, o, o.Channels[n%2], n+1)
	}
	b := barrierOf(1, checkpoint.AlignmentUnaligned)
	if err := o.Barrier(b, time.Now(), s); err != nil {
		t.Fatal(err)
	}
	gate := exchange.NewGate(1)
	in, err := gate.Accept(0, "the input", func(exchange.Credit) {})
	if err != nil {
		t.Fatal(err)
	}
	gate.Record(b.ID, []int{0}, s)
	go func() {
		for n := range 5 {
			_, _ = in.TryWrite(records(n)) // what is missing is found in the end
		}
		_, _ = in.TryWrite(exchange.AppendWatermark(nil, 17))
		_, _ = in.TryWrite(exchange.AppendBarrier(nil, b))
	}()
	handles, err := storeInFlight(t.Context(), store, s, g.Topology())
	if err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for _, at := range []checkpoint.SubtaskID{readTask, writeTask} {
		spec := TaskSpec{Subtask: at}
		for _, h := range handles {
			if h.Operator == checkpoint.OperatorID(at.Vertex) {
				spec.State.Handles = append(spec.State.Handles, h)
			}
		}
		all, err := restoreInFlight(t.Context(), store, spec, g.Topology())
		if err != nil {
			t.Fatal(err)
		}
		for _, peer := range []int{7, 8, 300} {
			for _, f := range all[exchange.EdgeEnd{Output: at == readTask, Edge: 0}][peer] {
				got = append(got, f.Bytes())
			}
		}
	}
	want := [][]byte{
		records(1), records(3), records(5), records(2), records(4), // sent
		records(0), records(1), records(2), records(3), records(4), exchange.AppendWatermark(nil, 17), // received
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("restored %v\nwant     %v", got, want)
	}
}

func TestNothingInFlight(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	handles, err := storeInFlight(ctx, newMemoryStore(), exchange.NewChannelState(nil), checkpoint.Topology{})
	if err != nil || len(handles) != 0 {
		t.Errorf("%v, %v", handles, err)
	}
}

// FuzzInFlightReader feeds arbitrary content to the restore of records in flight.
func FuzzInFlightReader(f *testing.F) {
	f.Add([]byte("CRNC\x01\x02\x06\x01\x01\x00\x00\x00k"), 1)
	f.Add([]byte("CRNC\x01"), 0)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		r, err := newStateReader(chunksOf(t, b, 7), int64(len(b)), channelMagic, channelFormatVersion)
		if err != nil {
			return
		}
		frames, err := r.inFlight(min(count, len(b)))
		if err != nil {
			return
		}
		for _, list := range frames {
			for _, frame := range list {
				if !exchange.InFlight(frame.Bytes()) {
					t.Errorf("restored %v", frame.Bytes())
				}
			}
		}
	})
}
