package dataflow

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// trap panics at one place of a job's code.
type trap struct{ at string }

func (t trap) here(place string) {
	if t.at == place {
		panic("trapped in " + place)
	}
}

// trappedSource emits a few numbers, and ends its input when it is told to.
type trappedSource struct {
	trap
	end     chan struct{}
	emitted int64
}

func (s *trappedSource) Open(SourceContext) (SourceReader[int64], error) {
	s.here("Source.Open")
	return s, nil
}

func (s *trappedSource) Next(emit func(int64)) (ReadStatus, error) {
	s.here("SourceReader.Next")
	if s.emitted < 5 {
		s.emitted++
		emit(s.emitted)
		return Ready(), nil
	}
	select {
	case <-s.end:
		return End(), nil
	default:
		return IdleOn(s.end), nil
	}
}

func (s *trappedSource) Snapshot() ([][]byte, error) {
	s.here("SourceReader.Snapshot")
	return nil, nil
}

func (s *trappedSource) Position() string { return fmt.Sprintf("offset %d", s.emitted) }
func (s *trappedSource) Close() error     { s.here("SourceReader.Close"); return nil }

// trappedCodec is that of the named values.
type trappedCodec struct {
	trap
	of string
}

func (c trappedCodec) Append(dst []byte, v int64) []byte {
	c.here(c.of + ".Append")
	return codec.Int64.Append(dst, v)
}

func (c trappedCodec) Decode(src []byte) (int64, int, error) {
	c.here(c.of + ".Decode")
	return codec.Int64.Decode(src)
}

type trappedProcessor struct {
	trap
	ctx *ProcessContext[int64]
	sum *ValueState[int64, int64]
}

func (p *trappedProcessor) Open(ctx *ProcessContext[int64]) error {
	p.here("KeyedProcessor.Open")
	p.ctx, p.sum = ctx, NewValueState(ctx, "sum", codec.Codec[int64](trappedCodec{p.trap, "state"}))
	return nil
}

func (p *trappedProcessor) Process(_ int64, v int64, emit func(int64)) error {
	p.here("KeyedProcessor.Process")
	p.sum.Put(v)
	p.ctx.RegisterEventTimer(p.ctx.Timestamp())
	emit(v)
	return nil
}

func (p *trappedProcessor) OnTimer(int64, Timer, func(int64)) error {
	p.here("TimerProcessor.OnTimer")
	return nil
}

func (p *trappedProcessor) Finish(func(int64)) error {
	p.here("KeyedProcessor.Finish")
	return nil
}

type trappedSink struct {
	trap
	*ledger[int64]
}

type trappedWriter struct {
	trap
	SinkWriter[int64]
}

func (s trappedSink) Open(ctx SinkContext) (SinkWriter[int64], error) {
	s.here("Sink.Open")
	w, err := s.ledger.Open(ctx)
	return trappedWriter{s.trap, w}, err
}

func (w trappedWriter) Recover(ctx context.Context, handles [][]byte) error {
	w.here("SinkWriter.Recover")
	return w.SinkWriter.Recover(ctx, handles)
}

func (w trappedWriter) Write(v int64) error {
	w.here("SinkWriter.Write")
	return w.SinkWriter.Write(v)
}

func (w trappedWriter) PreCommit(ctx context.Context, id checkpoint.ID) ([]byte, error) {
	w.here("SinkWriter.PreCommit")
	return w.SinkWriter.PreCommit(ctx, id)
}

func (w trappedWriter) Commit(ctx context.Context, handle []byte) error {
	w.here("SinkWriter.Commit")
	return w.SinkWriter.Commit(ctx, handle)
}

func (w trappedWriter) Close() error {
	w.here("SinkWriter.Close")
	return w.SinkWriter.Close()
}

// trappedJob has user code of every kind: operators read, time, map, filter, flatmap in a chain, then count, then write.
func trappedJob(t *testing.T, trap trap) (*Graph, *trappedSource) {
	t.Helper()
	source := &trappedSource{trap: trap, end: make(chan struct{})}
	records := func(of string) codec.Codec[int64] { return trappedCodec{trap, of} }
	g := NewGraph()
	read := From(g, "read", source, records("unused"))
	timed := AssignTimestampsAndWatermarks(read, "time", MonotonousTimestamps(), func(v int64) EventTime {
		trap.here("timestamp")
		return EventTime(v)
	})
	mapped := Map(timed, "map", records("unused"), func(v int64) int64 { trap.here("Map"); return v })
	filtered := Filter(mapped, "filter", func(int64) bool { trap.here("Filter"); return true })
	flat := FlatMap(filtered, "flatmap", records("record"), func(v int64, emit func(int64)) { trap.here("FlatMap"); emit(v) })
	keyed := KeyBy(flat, records("key"), func(v int64) int64 { trap.here("key function"); return v })
	counted := Process(keyed, "count", records("result"), func() KeyedProcessor[int64, int64, int64] {
		trap.here("newProcessor")
		return &trappedProcessor{trap: trap}
	})
	To(PartitionCustom(counted, func(int64, int) int { trap.here("partitioner"); return 0 }), "write", trappedSink{trap, newLedger[int64]()})
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g, source
}

// runTrapped takes a checkpoint, completes it, ends the input, and completes another one. It returns the first failure
// that is the cause of others, or an error when all tasks have finished.
func runTrapped(t *testing.T, g *Graph, source *trappedSource) (checkpoint.SubtaskReport, error) {
	a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
	defer a.stop()
	running, ending, acked, finished := 0, 0, 0, 0
	next := checkpoint.ID(1)
	trigger := func() { a.tasks[readTask].Trigger(barrier(next)); next++ }
	for {
		select {
		case e := <-a.events:
			switch e := e.(type) {
			case checkpoint.SubtaskReport:
				switch {
				case e.Status == checkpoint.SubtaskFailed && !e.Failure.Secondary:
					return e, nil
				case e.Status == checkpoint.SubtaskRunning:
					if running++; running == len(a.tasks) {
						trigger()
					}
				case e.Status == checkpoint.SubtaskFinishing:
					if ending++; ending == len(a.tasks) {
						trigger()
					}
				case e.Status == checkpoint.SubtaskFinished:
					if finished++; finished == len(a.tasks) {
						return checkpoint.SubtaskReport{}, errors.New("all have finished")
					}
				}
			case checkpoint.Ack:
				if acked++; acked%len(a.tasks) == 0 {
					for _, task := range a.tasks {
						task.NotifyComplete(e.Checkpoint)
					}
					if e.Checkpoint == 1 {
						close(source.end)
					}
				}
			}
		case <-time.After(time.Minute):
			return checkpoint.SubtaskReport{}, errors.New("nothing happens any more")
		}
	}
}

// A panic in a user's code fails its task, with the operator, the subtask and the stack, and never the process.
func TestPanicInUserCode(t *testing.T) {
	for place, where := range map[string]string{
		"Source.Open":            "operator read, subtask read[0]",
		"SourceReader.Next":      "operator read, subtask read[0], at offset 0",
		"SourceReader.Snapshot":  "operator read, subtask read[0], at offset ", // of any record
		"timestamp":              "operator time, subtask read[0], at offset 1",
		"Map":                    "operator map, subtask read[0], at offset 1",
		"Filter":                 "operator filter, subtask read[0], at offset 1",
		"FlatMap":                "operator flatmap, subtask read[0], at offset 1",
		"key function":           "operator flatmap, subtask read[0], at offset 1",
		"key.Append":             "operator flatmap, subtask read[0], at offset 1",
		"record.Append":          "operator flatmap, subtask read[0], at offset 1",
		"record.Decode":          "operator count, subtask count[0], record 1 of ",
		"newProcessor":           "operator count, subtask count[0]",
		"KeyedProcessor.Open":    "operator count, subtask count[0]",
		"KeyedProcessor.Process": "operator count, subtask count[0], key 1, record 1 of ",
		"TimerProcessor.OnTimer": "operator count, subtask count[0], key 1",
		"KeyedProcessor.Finish":  "operator count, subtask count[0]",
		"state.Append":           "subtask count[0]: panic while serializing state for checkpoint 1",
		"partitioner":            "operator count, subtask count[0], key 1, record 1 of ",
		"result.Append":          "operator count, subtask count[0], key 1, record 1 of ",
		"result.Decode":          "operator write, subtask write[0], record 1 of ",
		"Sink.Open":              "operator write, subtask write[0]",
		"SinkWriter.Recover":     "operator write, subtask write[0]",
		"SinkWriter.Write":       "operator write, subtask write[0], record 1 of ",
		"SinkWriter.PreCommit":   "operator write, subtask write[0]",
		"SinkWriter.Commit":      "operator write, subtask write[0]",
	} {
		t.Run(place, func(t *testing.T) {
			g, source := trappedJob(t, trap{place})
			failed, err := runTrapped(t, g, source)
			if err != nil {
				t.Fatal(err)
			}
			wantMessage(t, failed.Failure.Message, where, "trapped in "+place, "user_panic_test.go")
		})
	}
}

// What a panic in Close could still spoil has been stored, or committed: it is logged, and changes no outcome.
func TestPanicInCloseChangesNothing(t *testing.T) {
	for _, place := range []string{"nowhere", "SourceReader.Close", "SinkWriter.Close"} {
		t.Run(place, func(t *testing.T) {
			g, source := trappedJob(t, trap{place})
			if failed, err := runTrapped(t, g, source); err == nil || err.Error() != "all have finished" {
				t.Errorf("%+v, %v", failed, err)
			}
		})
	}
}

// A source that cannot even say where it is does not hide what has happened.
func TestPanicInPosition(t *testing.T) {
	g := passingJob(t, lostSource{}, func(int64) int64 { panic("trapped in Map") }, newLedger[int64]())
	r := failureOf(t, g, newMemoryStore(), 0, nil)
	wantMessage(t, r.Failure.Message, "operator pass, subtask read[0], at an unknown position", "trapped in Map")
}

// lostSource does not know where it is.
type lostSource struct{}

func (s lostSource) Open(SourceContext) (SourceReader[int64], error) { return s, nil }
func (lostSource) Next(emit func(int64)) (ReadStatus, error)         { emit(1); return Ready(), nil }
func (lostSource) Snapshot() ([][]byte, error)                       { return nil, nil }
func (lostSource) Position() string                                  { panic("trapped in Position") }
func (lostSource) Close() error                                      { return nil }
