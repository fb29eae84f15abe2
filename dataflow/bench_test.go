package dataflow

import (
	"context"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// swallow is a channel to nowhere. It is a Connector, too.
type swallow struct{ frames int }

func (s *swallow) Connect(context.Context, checkpoint.NodeRef, exchange.ChannelID, func()) (exchange.FrameWriter, error) {
	return s, nil
}

func (s *swallow) TryWrite([]byte) (bool, error) { s.frames++; return true, nil }
func (s *swallow) Force([]byte) error            { s.frames++; return nil }
func (s *swallow) Close() error                  { return nil }

// chainOf builds the operators of the graph's only chain before the exchange and returns the function that
// takes its records. The exchange leads to a channel that swallows everything.
func chainOf(t testing.TB, build func(Stream[int64])) (*runner, func(int64)) {
	t.Helper()
	g := NewGraph()
	build(Map(From(g, "read", numbers{}, codec.Int64), "head", codec.Int64, identity))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	a := &attempt{tasks: make(map[checkpoint.SubtaskID]*Task), events: make(chan any, 16)}
	task, err := NewTask(TaskSpec{
		Job: checkpoint.JobID{1}, Attempt: 1, Subtask: readTask, Graph: g, Assignment: oneNode(g), Mode: checkpoint.ExactlyOnce,
	}, a.deps(newMemoryStore()))
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t.Context(), task)
	r.buildChain()
	for _, o := range r.outputs {
		for _, c := range o.Channels {
			if err := o.Connect(t.Context(), &swallow{}, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r, r.operators[0].(*sourceOperator[int64]).emit
}

// exchangeChain is map, filter, flat map and a keyed exchange.
func exchangeChain(s Stream[int64]) {
	s = Filter(s, "filter", func(v int64) bool { return v >= 0 })
	s = FlatMap(s, "double", codec.Int64, func(v int64, emit func(int64)) { emit(v); emit(v + 1) })
	counts := Process(KeyBy(s, codec.Int64, identity), "count", codec.Int64,
		func() KeyedProcessor[int64, int64, int64] { return &sum{} }, Parallelism(4))
	To(counts, "write", newLedger[int64]())
}

// sum adds up the records of each key.
type sum struct{ total *ValueState[int64, int64] }

func (s *sum) Open(ctx *ProcessContext[int64]) error {
	s.total = NewValueState[int64](ctx, "total", codec.Int64)
	return nil
}

func (s *sum) Process(_ int64, v int64, _ func(int64)) error {
	n, _ := s.total.Get()
	s.total.Put(n + v)
	return nil
}

func (s *sum) Finish(func(int64)) error { return nil }

// sumOperator returns an opened keyed operator with every key group.
func sumOperator(t testing.TB) func(key int64, v int64) {
	t.Helper()
	c := &chain{ctx: t.Context(), log: deadLogger, parallelism: 1, groups: 128, now: time.Now, ids: []checkpoint.OperatorID{"sum"}}
	op, ins := buildProcess(codec.Int64, func(p [2]int64) int64 { return p[0] },
		func() KeyedProcessor[int64, [2]int64, int64] { return &sumPairs{} })(c, 0, outlets{main: func(int64) {}})
	if err := op.open(start{state: &operatorState{}}); err != nil {
		t.Fatal(err)
	}
	take := ins[0].(func([2]int64))
	return func(key, v int64) { take([2]int64{key, v}) }
}

type sumPairs struct{ sum }

func (s *sumPairs) Process(key int64, p [2]int64, emit func(int64)) error {
	return s.sum.Process(key, p[1], emit)
}

// TestNoAllocationPerRecord holds the hot paths to it: a chain with a keyed exchange, the decoding of frames,
// keyed state, and tumbling windows.
func TestNoAllocationPerRecord(t *testing.T) {
	r, push := chainOf(t, exchangeChain)
	frame := int64Frame(1000)
	read := frameReaderOf(codec.Int64)(r.chain, func(int64) {})
	add := sumOperator(t)
	for key := range int64(1000) {
		add(key, 1) // the keys are there now
	}
	addToWindow := windowOperatorOf(t)
	for key := range int64(1000) {
		addToWindow(key, 1)
	}
	addNonKeyed := nonKeyedOperatorOf(t)
	var v int64
	for name, f := range map[string]func(){
		"non-keyed":   func() { v++; addNonKeyed(v) },
		"chain":       func() { v++; push(v) },
		"frame":       func() { _, _, _ = read(frame) },
		"keyed state": func() { v++; add(v%1000, v) },
		"windows":     func() { v++; addToWindow(v%1000, v) },
	} {
		if allocs := testing.AllocsPerRun(10_000, f); allocs != 0 {
			t.Errorf("%s: %g allocations per run", name, allocs)
		}
	}
	if r.chain.err != nil {
		t.Fatal(r.chain.err)
	}
}

func int64Frame(n int) []byte {
	frame := exchange.ResetRecords(nil, exchange.FrameRecords)
	for i := range n {
		frame = codec.Int64.Append(frame, int64(i))
	}
	exchange.SealRecords(frame, n)
	return frame
}

func BenchmarkFrameDecode(b *testing.B) {
	frame := int64Frame(8000)
	read := frameReaderOf(codec.Int64)(&chain{now: time.Now}, func(int64) {})
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := read(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChainPush(b *testing.B) {
	_, push := chainOf(b, exchangeChain)
	b.ReportAllocs()
	var v int64
	for b.Loop() {
		v++
		push(v)
	}
}

func BenchmarkKeyedState(b *testing.B) {
	add := sumOperator(b)
	b.ReportAllocs()
	var v int64
	for b.Loop() {
		v++
		add(v%100_000, v)
	}
}

// BenchmarkCapture is the synchronous part of a snapshot of a million keys.
func BenchmarkCapture(b *testing.B) {
	s := newKeyedState(codec.Int64, checkpoint.KeyGroupRange{First: 0, Last: 127}, 128, time.Now)
	table := NewValueState[int64](&ProcessContext[int64]{keyed: s}, "v", codec.Int64)
	for key := range int64(1_000_000) {
		if err := s.setKey(key); err != nil {
			b.Fatal(err)
		}
		table.Put(key)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.capture().release()
	}
}

// windowOperatorOf returns a function that passes observations to an opened operator of tumbling windows.
func windowOperatorOf(t testing.TB) func(key, v int64) {
	t.Helper()
	g := NewGraph()
	w := Window(observed(g, "in"), TumblingWindows(time.Hour, 0), AllowedLateness(time.Hour))
	s := AggregateWindow(w, "windows", codec.Int64, codec.Int64, summed{}, func(_ int64, _ TimeWindow, sum int64, emit func(int64)) { emit(sum) })
	c := &chain{ctx: t.Context(), log: deadLogger, parallelism: 1, groups: 128, now: time.Now, ids: []checkpoint.OperatorID{"windows"}}
	op, ins := s.outlets[0].node.build(c, 0, outlets{main: func(int64) {}})
	if err := op.open(start{state: &operatorState{}}); err != nil {
		t.Fatal(err)
	}
	take := ins[0].(func(observation))
	return func(key, v int64) { take(observation{key, v}) }
}

// summed adds up the values of observations.
type summed struct{ total }

func (summed) Add(acc int64, o observation) int64 { return acc + o.v }

func BenchmarkTumblingWindow(b *testing.B) {
	add := windowOperatorOf(b)
	b.ReportAllocs()
	var v int64
	for b.Loop() {
		v++
		add(v%100_000, v)
	}
}
