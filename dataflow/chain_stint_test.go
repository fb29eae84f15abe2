package dataflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// timedRecord is a record with its event time.
type timedRecord struct {
	at EventTime
	v  int64
}

// frameOf returns a batch of records, timed or not.
func frameOf(all []timedRecord, timed bool) []byte {
	kind := exchange.FrameRecords
	if timed {
		kind = exchange.FrameTimedRecords
	}
	frame, last := exchange.ResetRecords(nil, kind), EventTime(0)
	for _, r := range all {
		if timed {
			frame = codec.Int64.Append(frame, int64(r.at-last)) // a varint
			last = r.at
		}
		frame = codec.Int64.Append(frame, r.v)
	}
	exchange.SealRecords(frame, len(all))
	return frame
}

// However long records take, and however often a task looks up from a frame, they come in order, each once, with their
// times.
func TestRestOfAFrame(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 37))
		timed := rng.IntN(2) == 0
		var want, got []timedRecord
		for v := range rng.Int64N(300) {
			r := timedRecord{at: NoTimestamp, v: v}
			if timed {
				r.at = EventTime(rng.Int64N(1_000_000) - 500_000)
			}
			want = append(want, r)
		}
		now, mean := time.UnixMilli(0), 1+rng.Int64N(int64(10*time.Millisecond))
		c := &chain{now: func() time.Time { return now }}
		read := frameReaderOf(codec.Int64)(c, func(v int64) {
			got = append(got, timedRecord{c.timestamp, v})
			now = now.Add(time.Duration(rng.Int64N(2 * mean)))
		})
		total := 0
		for frame := frameOf(want, timed); frame != nil; {
			began := now
			count, rest, err := read(frame)
			if err != nil {
				t.Fatal(err)
			}
			// A stint's last look at the clock was short of the limit, and the next comes when as many records are done again.
			if longest := 2 * (maxStint + 2*time.Duration(2*mean)); now.Sub(began) > longest && count < 64 {
				t.Errorf("seed %d: %d records took %s in a row", seed, count, now.Sub(began))
			}
			if total += count; rest == nil {
				break
			}
			frame = rest.Bytes()
		}
		if total != len(want) || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %d records, counted %d, want %d", seed, len(got), total, len(want))
		}
	}
}

// A task that takes a minute for each record notices between two of them that it is to end.
func TestTaskLooksUpFromAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := startJoiner(t, deliberate{newLedger[int64]()}, newMemoryStore())
		j.write(t, 0, records(1000))
		time.Sleep(90 * time.Second)
		began := time.Now()
		j.stop()
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("the task took %s to end", took)
		}
	})
}

// An unaligned checkpoint does not wait for the frame at hand, and takes in what is left of it.
func TestUnalignedTakesInTheRestOfAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		j := startJoiner(t, deliberate{newLedger[int64]()}, store)
		defer j.stop()
		j.write(t, 0, records(1000))
		time.Sleep(90 * time.Second)
		began := time.Now()
		barrier := exchange.AppendBarrier(nil, barrierOf(1, checkpoint.AlignmentUnaligned))
		j.write(t, 1, barrier)
		j.write(t, 0, barrier)
		ack := await(t, j.attempt, func(a checkpoint.Ack) bool { return a.Checkpoint == 1 })
		if took := time.Since(began); took > 40*time.Second {
			t.Errorf("the checkpoint took %s", took)
		}
		// Two records are done.
		if want := int64(len(records(1000)) - len(records(2)) + len(records(0))); ack.Metrics.PersistedBytes != want {
			t.Errorf("%d bytes in flight, want %d", ack.Metrics.PersistedBytes, want)
		}
	})
}

// slowTimes emits each record with its event time, and takes up to 20 ms for it.
type slowTimes struct{ ctx *OperatorContext }

func (s *slowTimes) Open(ctx *OperatorContext) error {
	s.ctx = ctx
	return nil
}

func (s *slowTimes) Process(v int64, emit func(string)) error {
	time.Sleep(rand.N(20 * time.Millisecond))
	emit(fmt.Sprint(v, " at ", int64(s.ctx.Timestamp())))
	return nil
}

func (s *slowTimes) Finish(func(string)) error { return nil }

// Checkpoints in the middle of a frame are exact, through any crash.
func TestI7_InTheMiddleOfAFrame(t *testing.T) {
	const n = 150
	var want []string
	for v := range n {
		want = append(want, fmt.Sprint(v, " at ", 10*v))
	}
	slices.Sort(want)
	for _, alignment := range []checkpoint.Alignment{checkpoint.AlignmentAligned, checkpoint.AlignmentUnaligned, checkpoint.AlignmentAdaptive} {
		var persisted int64
		for seed := range uint64(6) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 41))
				out := newLedger[string]()
				l := newLeader(t, sealed(t, func(g *Graph) {
					in := From(g, "in", numbers{n: n, splits: 3, batch: 50}, codec.Int64, Parallelism(1+rng.IntN(3)))
					timed := AssignTimestampsAndWatermarks(in, "times", BoundedOutOfOrderness(time.Hour), func(v int64) EventTime { return EventTime(10 * v) })
					slow := ProcessNonKeyed(Rebalance(timed), "slow", codec.String,
						func() NonKeyedProcessor[int64, string] { return &slowTimes{} }, Parallelism(1+rng.IntN(2)))
					To(slow, "write", out)
				}), seed, 5)
				l.alignment = alignment
				l.run()
				persisted += l.persisted
				if got := sorted(out.output()); !slices.Equal(got, want) {
					t.Errorf("%s, seed %d, %+v: %s", alignment, seed, l.counts, firstDifference(got, want))
				}
			})
		}
		if alignment == checkpoint.AlignmentUnaligned && persisted == 0 {
			t.Error("nothing was in flight")
		}
	}
}

// countless emits without end, and asks whether it is enough.
type countless struct {
	ctx     SourceContext
	emitted int
}

func (c *countless) Next(emit func(int64)) (ReadStatus, error) {
	for range 1000 {
		emit(int64(c.emitted))
		if c.emitted++; c.ctx.Enough() {
			break
		}
	}
	return Ready(), nil
}

func (c *countless) Snapshot() ([][]byte, error) { return nil, nil }
func (c *countless) Position() string            { return "somewhere" }
func (c *countless) Close() error                { return nil }

func (c *countless) Open(ctx SourceContext) (SourceReader[int64], error) {
	c.ctx = ctx
	return c, nil
}

// A source learns that the operators behind it are slow.
func TestSourceHasEmittedEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, slow := range []time.Duration{time.Minute, time.Microsecond} {
			source := &countless{}
			c := &chain{now: time.Now, ids: []checkpoint.OperatorID{"in"}, log: deadLogger}
			op, _ := buildSource[int64](source)(c, 0, outlets{main: func(int64) { time.Sleep(slow) }})
			if err := op.open(start{state: &operatorState{}}); err != nil {
				t.Fatal(err)
			}
			for call := 1; call <= 3; call++ {
				before := source.emitted
				if _, err := op.(puller).next(); err != nil {
					t.Fatal(err)
				}
				want := 2
				if slow == time.Microsecond {
					want = 1000
				}
				if n := source.emitted - before; n != want {
					t.Errorf("at %s a record, call %d emitted %d, want %d", slow, call, n, want)
				}
			}
		}
		if (SourceContext{}).Enough() {
			t.Error("without a task nothing is enough")
		}
	})
}
