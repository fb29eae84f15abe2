package dataflow

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// hoarder keeps the records of its subtask in a variable, puts them into operator state when a snapshot is taken, and
// emits them at the end. Odd ones go to the side as well.
type hoarder struct {
	union   bool
	wicked  string
	ctx     *OperatorContext
	list    *OperatorListState[int64]
	odd     func(int64)
	records []int64
	called  []string
}

func (h *hoarder) Open(ctx *OperatorContext) error {
	h.ctx = ctx
	declare := NewOperatorListState[int64]
	if h.union {
		declare = NewUnionListState[int64]
	}
	h.list = declare(ctx, "records", codec.Int64)
	h.odd = SideEmitter(ctx, oddOnes)
	switch h.wicked {
	case "twice":
		NewOperatorListState(ctx, "records", codec.Int64)
	case "reserved":
		NewOperatorListState(ctx, "cairn.records", codec.Int64)
	case "broadcast":
		NewBroadcastState(ctx, "rules", codec.Int64, codec.Int64)
	}
	return nil
}

var oddOnes = NewOutputTag("odd", codec.Int64)

func (h *hoarder) InitializeState(restored bool) error {
	h.called = append(h.called, fmt.Sprintf("restored %v with %d", restored, h.list.Len()))
	for v := range h.list.All() {
		h.records = append(h.records, v)
	}
	if h.wicked == "initialize" {
		return errors.New("cannot")
	}
	return nil
}

func (h *hoarder) SnapshotState(id checkpoint.ID) error {
	h.called = append(h.called, fmt.Sprintf("snapshot %d", id))
	if h.wicked == "snapshot" {
		return errors.New("not now")
	}
	h.list.Clear()
	h.list.Replace(h.records)
	return nil
}

func (h *hoarder) Process(v int64, emit func(string)) error {
	h.records = append(h.records, v)
	if v%2 == 1 {
		h.odd(v)
	}
	switch h.wicked {
	case "declare":
		NewOperatorListState(h.ctx, "more", codec.Int64)
		return h.ctx.err
	case "times":
		emit(fmt.Sprint(int64(h.ctx.Timestamp()), " ", h.ctx.Watermark() == MinEventTime, " ", int64(h.ctx.ProcessingTime())))
	case "fail":
		return errors.New("bad record")
	}
	return nil
}

func (h *hoarder) Finish(emit func(string)) error {
	for _, v := range h.records {
		emit(fmt.Sprint(v))
	}
	return nil
}

// hoarding returns a graph for a harness, and where its processors are noted.
func hoarding(made *[]*hoarder, of hoarder) func(g *Graph) Stream[string] {
	return func(g *Graph) Stream[string] {
		return ProcessNonKeyed(From(g, "in", numbers{}, codec.Int64), "hoard", codec.String, func() NonKeyedProcessor[int64, string] {
			h := of
			*made = append(*made, &h)
			return &h
		})
	}
}

func pushNonKeyed(h *operatorHarness, index int, at EventTime, v int64) {
	h.t.Helper()
	h.pushTo(index, at, func(s *harnessSubtask) { s.ins[0].(func(int64))(v) })
}

// Elements of a list are dealt out, in order and evenly, and none is lost or doubled.
func TestR2_OperatorListStateIsDealtOut(t *testing.T) {
	var made []*hoarder
	h := newHarness(t, 2, hoarding(&made, hoarder{}))
	next := int64(0)
	for _, parallelism := range []int{2, 5, 1, 7, 3} {
		if next > 0 {
			made = nil
			h.restore(h.snapshot(), parallelism)
		}
		var all []int64
		for i, p := range made {
			if least := int(next) / parallelism; len(p.records) < least || len(p.records) > least+1 {
				t.Errorf("subtask %d of %d has %d elements of %d", i, parallelism, len(p.records), next)
			}
			if want := []string{fmt.Sprintf("restored %v with %d", next > 0, len(p.records))}; !slices.Equal(p.called, want) {
				t.Errorf("the processor was called %q, want %q", p.called, want)
			}
			all = append(all, p.records...)
		}
		slices.Sort(all)
		for i, v := range all {
			if int64(i) != v {
				t.Fatalf("parallelism %d: element %d is %d", parallelism, i, v)
			}
		}
		if int64(len(all)) != next {
			t.Errorf("parallelism %d: %d elements, want %d", parallelism, len(all), next)
		}
		for range 23 {
			pushNonKeyed(h, int(next)%parallelism, NoTimestamp, next)
			next++
		}
	}
}

// Every subtask receives all elements of a union list, whether the parallelism has changed or not.
func TestR3_UnionListStateIsWholeEverywhere(t *testing.T) {
	for _, parallelism := range []int{1, 3, 5} {
		var made []*hoarder
		h := newHarness(t, 3, hoarding(&made, hoarder{union: true}))
		for v := range int64(10) {
			pushNonKeyed(h, int(v)%3, NoTimestamp, v)
		}
		m := h.snapshot()
		made = nil
		h.restore(m, parallelism)
		for i, p := range made {
			slices.Sort(p.records)
			if want := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(p.records, want) {
				t.Errorf("subtask %d of %d has %v", i, parallelism, p.records)
			}
		}
	}
}

func TestNonKeyedProcessorSeesTimes(t *testing.T) {
	var made []*hoarder
	h := newHarness(t, 1, hoarding(&made, hoarder{wicked: "times"}))
	h.tag = "odd"
	h.start(1, 0, nil)
	h.clock = h.clock.Add(1000)
	pushNonKeyed(h, 0, 7, 3)
	h.watermark(9)
	pushNonKeyed(h, 0, 11, 4)
	h.expect("with times", "7: 7 true 0", "11: 11 false 0")
	if want := []string{"7: 3"}; !slices.Equal(h.side, want) {
		t.Errorf("to the side: %q, want %q", h.side, want)
	}
}

func TestNonKeyedProcessorsErrors(t *testing.T) {
	for wicked, want := range map[string]string{
		"twice":      `list state "records": the name is empty or declared twice`,
		"reserved":   `names that begin with "cairn." are the runtime's own`,
		"broadcast":  `broadcast state "rules": the operator has no broadcast stream`,
		"initialize": "cannot",
	} {
		c := &chain{groups: 1, parallelism: 1, log: deadLogger, ids: []checkpoint.OperatorID{"p"}}
		g := NewGraph()
		var made []*hoarder
		s := hoarding(&made, hoarder{wicked: wicked})(g)
		o, _ := s.outlets[0].node.build(c, 0, outlets{main: func(string) {}})
		if err := o.open(start{state: &operatorState{}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", wicked, err, want)
		}
	}
	for wicked, want := range map[string]string{
		"declare": `list state "more" is declared after Open`,
		"fail":    "operator hoard, subtask hoard[0]: bad record",
	} {
		var made []*hoarder
		h := newHarness(t, 1, hoarding(&made, hoarder{wicked: wicked}))
		h.subtasks[0].ins[0].(func(int64))(1)
		if err := h.subtasks[0].chain.err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", wicked, err, want)
		}
	}
}

// A processor that cannot take its snapshot fails the checkpoint and not the task.
func TestSnapshotStateDeclines(t *testing.T) {
	var made []*hoarder
	h := newHarness(t, 1, hoarding(&made, hoarder{wicked: "snapshot"}))
	err := h.subtasks[0].op.capture(&snapshot{barrier: barrier(4)})
	if !isDeclined(err) || !strings.Contains(err.Error(), "not now") {
		t.Errorf("got %v", err)
	}
	if want := "snapshot 4"; !slices.Contains(made[0].called, want) {
		t.Errorf("called %q, want %q", made[0].called, want)
	}
}

func TestOperatorListStateThatCannotBeRead(t *testing.T) {
	for want, entry := range map[string][]byte{"element 0 of 1": {}, "2 bytes behind element 0 of 1": {2, 0, 0}} {
		s := &OperatorListState[int64]{name: "records", kind: checkpoint.ListState, codec: codec.Int64}
		if err := s.load([][]byte{entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", entry, err, want)
		}
	}
}

// keyedHoarder is a processor with keys that has operator state, too.
type keyedHoarder struct {
	hoarder
	count *ValueState[int64, int64]
	known bool
}

func (h *keyedHoarder) Open(ctx *ProcessContext[int64]) error {
	h.count = NewValueState[int64](ctx, "count", codec.Int64)
	return h.hoarder.Open(ctx.context())
}

func (h *keyedHoarder) InitializeState(restored bool) error {
	for range h.count.All() {
		h.known = true // state per key is there, too
	}
	return h.hoarder.InitializeState(restored)
}

func (h *keyedHoarder) Process(_ int64, in observation, emit func(string)) error {
	n, _ := h.count.Get()
	h.count.Put(n + 1)
	return h.hoarder.Process(in.v, emit)
}

func TestKeyedProcessorWithOperatorState(t *testing.T) {
	var made []*keyedHoarder
	h := newHarness(t, 2, func(g *Graph) Stream[string] {
		return Process(observed(g, "in"), "hoard", codec.String, func() KeyedProcessor[int64, observation, string] {
			made = append(made, &keyedHoarder{})
			return made[len(made)-1]
		})
	})
	for key := range int64(20) {
		push(h, 0, key, NoTimestamp, observation{key, key})
	}
	m := h.snapshot()
	made = nil
	h.restore(m, 3)
	total := 0
	for i, p := range made {
		total += len(p.records)
		if !p.known {
			t.Errorf("subtask %d saw no key in InitializeState", i)
		}
	}
	if total != 20 {
		t.Errorf("%d elements of 20", total)
	}
}

// Records that wait in operator state come out once, through any crash.
func TestI7_OperatorState(t *testing.T) {
	var want []string
	for v := range 150 {
		want = append(want, fmt.Sprint(v))
	}
	slices.Sort(want)
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 31))
			out := newLedger[string]()
			l := newLeader(t, sealed(t, func(g *Graph) {
				in := From(g, "in", numbers{n: 150, splits: 3, batch: 5, pace: true}, codec.Int64, Parallelism(2))
				s := ProcessNonKeyed(Rebalance(in), "hoard", codec.String,
					func() NonKeyedProcessor[int64, string] { return &hoarder{} }, Parallelism(1+rng.IntN(4)))
				To(s, "write", out)
			}), seed, 5)
			l.run()
			if got := sorted(out.output()); !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
		})
	}
}

// arbiter adds up rules as judge does, and tells what they are for each record.
type arbiter struct {
	rules *BroadcastState[int64, int64]
	list  *OperatorListState[int64]
	wrong string // where it puts, and must not
}

func (a *arbiter) Open(ctx *OperatorContext) error {
	a.rules = NewBroadcastState(ctx, "rules", codec.Int64, codec.Int64)
	a.list = NewOperatorListState(ctx, "seen", codec.Int64)
	return nil
}

func (a *arbiter) InitializeState(bool) error {
	if a.wrong == "initialize" {
		a.rules.Put(1, 1)
	}
	return nil
}

func (*arbiter) SnapshotState(checkpoint.ID) error { return nil }

func (a *arbiter) Process(v int64, emit func(string)) error {
	sum, _ := a.rules.Get(v % 10)
	a.list.Add(v)
	emit(fmt.Sprintf("%d: %d", v, sum))
	if a.wrong == "process" {
		a.rules.Put(1, 1)
	}
	return nil
}

func (a *arbiter) ProcessBroadcast(rule int64, _ func(string)) error {
	sum, _ := a.rules.Get(rule % 10)
	a.rules.Put(rule%10, sum+rule)
	return nil
}

func (a *arbiter) Finish(emit func(string)) error { return nil }

func TestNonKeyedBroadcast(t *testing.T) {
	build := func(wrong string) func(g *Graph) Stream[string] {
		return func(g *Graph) Stream[string] {
			rules := From(g, "rules", numbers{}, codec.Int64)
			return ProcessNonKeyedBroadcast(From(g, "in", numbers{}, codec.Int64), rules, "judge", codec.String,
				func() NonKeyedBroadcastProcessor[int64, int64, string] { return &arbiter{wrong: wrong} })
		}
	}
	h := newHarness(t, 2, build(""))
	for _, parallelism := range []int{3, 1, 2} {
		broadcastRule(h, 12)
		broadcastRule(h, 13)
		h.restore(h.snapshot(), parallelism)
	}
	for i := range h.subtasks {
		pushNonKeyed(h, i, NoTimestamp, 2)
		h.expect(fmt.Sprint("subtask ", i), fmt.Sprintf("%d: 2: 36", int64(NoTimestamp)))
	}
	h = newHarness(t, 1, build("process"))
	h.subtasks[0].ins[0].(func(int64))(1)
	if err := h.subtasks[0].chain.err; err == nil || !strings.Contains(err.Error(), "written outside of ProcessBroadcast") {
		t.Errorf("got %v", err)
	}
	c := &chain{groups: 1, parallelism: 1, log: deadLogger, ids: []checkpoint.OperatorID{"judge"}}
	o, _ := build("initialize")(NewGraph()).outlets[0].node.build(c, 0, outlets{main: func(string) {}})
	if err := o.open(start{state: &operatorState{}}); err == nil || !strings.Contains(err.Error(), "written outside of ProcessBroadcast") {
		t.Errorf("got %v", err)
	}
}

// adder adds up what it is given.
type adder struct{ sum int64 }

func (*adder) Open(*OperatorContext) error { return nil }

func (a *adder) Process(v int64, emit func(int64)) error {
	a.sum += v
	emit(a.sum)
	return nil
}

func (*adder) Finish(func(int64)) error { return nil }

// nonKeyedOperatorOf returns the function by which an adder takes records.
func nonKeyedOperatorOf(t fatal) func(int64) {
	g := NewGraph()
	s := ProcessNonKeyed(From(g, "in", numbers{}, codec.Int64), "add", codec.Int64, func() NonKeyedProcessor[int64, int64] { return &adder{} })
	c := &chain{groups: 1, parallelism: 1, log: deadLogger, ids: []checkpoint.OperatorID{"add"}}
	o, ins := s.outlets[0].node.build(c, 0, outlets{main: func(int64) {}})
	if err := o.open(start{state: &operatorState{}}); err != nil {
		t.Fatal(err)
	}
	return ins[0].(func(int64))
}
