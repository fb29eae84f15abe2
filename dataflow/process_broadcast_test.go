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

// judge adds up rules by their last digit, and counts the records of each key. At the end it emits both.
type judge struct {
	rules  *BroadcastState[int64, int64]
	count  *ValueState[int64, int64]
	wicked string // what it does in Process that it must not
	ctx    *ProcessContext[int64]
}

func (j *judge) Open(ctx *ProcessContext[int64]) error {
	j.ctx = ctx
	j.rules = NewBroadcastState(ctx, "rules", codec.Int64, codec.Int64)
	j.count = NewValueState[int64](ctx, "count", codec.Int64)
	return nil
}

func (j *judge) Process(key int64, _ observation, emit func(string)) error {
	n, _ := j.count.Get()
	j.count.Put(n + 1)
	sum, _ := j.rules.Get(key)
	emit(fmt.Sprintf("%d: %d", key, sum))
	switch j.wicked {
	case "put":
		j.rules.Put(1, 1)
	case "delete":
		j.rules.Delete(1)
	case "declare":
		NewBroadcastState(j.ctx, "more", codec.Int64, codec.Int64)
		return j.ctx.err
	}
	return nil
}

func (j *judge) ProcessBroadcast(rule int64, _ func(string)) error {
	switch {
	case rule < 0:
		j.rules.Delete(-rule)
	case j.wicked == "state of a key":
		j.count.Put(1)
	default:
		sum, _ := j.rules.Get(rule % 10)
		j.rules.Put(rule%10, sum+rule)
	}
	return nil
}

func (j *judge) Finish(emit func(string)) error {
	var rules []string
	for digit, sum := range j.rules.All() {
		rules = append(rules, fmt.Sprintf("%d=%d", digit, sum))
	}
	for key, n := range j.count.All() {
		emit(fmt.Sprintf("%d: %d records, %v", key, n, rules))
	}
	return nil
}

func judged(g *Graph, wicked string) Stream[string] {
	rules := From(g, "rules", numbers{}, codec.Int64)
	return ProcessBroadcast(observed(g, "in"), rules, "judge", codec.String,
		func() BroadcastProcessor[int64, observation, int64, string] { return &judge{wicked: wicked} })
}

// broadcastRule passes a rule to all subtasks.
func broadcastRule(h *operatorHarness, rule int64) {
	h.t.Helper()
	for i := range h.subtasks {
		h.pushTo(i, NoTimestamp, func(s *harnessSubtask) { s.ins[1].(func(int64))(rule) })
	}
}

// Every subtask has the broadcast state, also one that did not exist when it was taken.
func TestR4_BroadcastStateIsCopiedToEverySubtask(t *testing.T) {
	h := newHarness(t, 2, func(g *Graph) Stream[string] { return judged(g, "") })
	sums := make(map[int64]int64)
	for round, parallelism := range []int{2, 5, 1, 7, 3} {
		if round > 0 {
			m := h.snapshot()
			var content []checkpoint.ChunkRef
			for _, s := range m.Subtasks {
				i := slices.IndexFunc(s.Handles, func(h checkpoint.Handle) bool { return h.Kind == checkpoint.BroadcastState })
				if i < 0 {
					t.Fatalf("round %d: %s has no copy", round, s.Subtask)
				}
				if content == nil {
					content = s.Handles[i].Chunks
				}
				if hd := s.Handles[i]; hd.Name != "rules" || hd.Entries != len(sums) || !slices.Equal(hd.Chunks, content) {
					t.Errorf("round %d: the copy of %s has other bytes: %+v", round, s.Subtask, hd)
				}
			}
			h.restore(m, parallelism)
		}
		for key := range int64(12) {
			h.out = nil
			observe(h, key, NoTimestamp, 1)
			h.expect(fmt.Sprint("round ", round), fmt.Sprintf("%d: %d: %d", int64(NoTimestamp), key, sums[key]))
		}
		for rule := range int64(25) {
			rule += 100 * int64(round)
			sums[rule%10] += rule
			broadcastRule(h, rule)
		}
		broadcastRule(h, -4)
		delete(sums, 4)
	}
}

func TestBroadcastStateIsInOrder(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] { return judged(g, "") })
	for _, rule := range []int64{8, 3, 5, 1} {
		broadcastRule(h, rule)
	}
	observe(h, 1, NoTimestamp, 1)
	h.out = nil
	for _, s := range h.subtasks {
		if err := s.op.finish(); err != nil {
			t.Fatal(err)
		}
	}
	h.expect("at the end", fmt.Sprintf("%d: 1: 1 records, [1=1 3=3 5=5 8=8]", int64(NoTimestamp)))
}

func TestBroadcastStateIsWrittenByItsStreamOnly(t *testing.T) {
	for wicked, want := range map[string]string{
		"put":     `broadcast state "rules" is written outside of ProcessBroadcast`,
		"delete":  `broadcast state "rules" is written outside of ProcessBroadcast`,
		"declare": `broadcast state "more" is declared after Open`,
	} {
		h := newHarness(t, 1, func(g *Graph) Stream[string] { return judged(g, wicked) })
		broadcastRule(h, 1)
		h.subtasks[0].ins[0].(func(observation))(observation{1, 1})
		if err := h.subtasks[0].chain.err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", wicked, err, want)
		}
	}
}

func TestNoKeyInProcessBroadcast(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] { return judged(g, "state of a key") })
	observe(h, 1, NoTimestamp, 1)
	defer func() {
		if recover() == nil {
			t.Error("the state of the last key has been changed")
		}
	}()
	broadcastRule(h, 1)
}

func TestBroadcastStateWithoutBroadcastStream(t *testing.T) {
	o := newProcessOperator(&chain{groups: 1, parallelism: 1, log: deadLogger, ids: []checkpoint.OperatorID{"p"}}, 0, codec.Int64,
		KeyedProcessor[int64, int64, int64](&misplaced{}), outlets{main: func(int64) {}})
	err := o.open(start{state: &operatorState{}})
	if err == nil || !strings.Contains(err.Error(), "has no broadcast stream") {
		t.Error(err)
	}
}

// misplaced is a processor that declares broadcast state where there is none.
type misplaced struct{ parity }

func (m *misplaced) Open(ctx *ProcessContext[int64]) error {
	NewBroadcastState(ctx, "rules", codec.Int64, codec.Int64)
	return nil
}

func TestBroadcastStateThatCannotBeRead(t *testing.T) {
	for want, entry := range map[string][]byte{
		"key 0 of 1":                {},
		"the value of key 1":        {2},
		"2 bytes behind the value ": {2, 2, 0, 0},
	} {
		s := &BroadcastState[int64, int64]{name: "rules", keys: codec.Int64, values: codec.Int64, entries: make(map[int64]int64)}
		if err := s.load([][]byte{entry}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", entry, err, want)
		}
		if err := s.load([][]byte{entry}); len(entry) < 2 && !errors.Is(err, codec.ErrShort) {
			t.Error(err)
		}
	}
}

// Rules are applied once on every subtask, through any crash.
func TestI7_BroadcastState(t *testing.T) {
	var rules []string
	for digit := range 10 {
		sum := 0
		for rule := digit; rule < 80; rule += 10 {
			sum += rule
		}
		rules = append(rules, fmt.Sprintf("%d=%d", digit, sum))
	}
	var want []string
	for key := range 9 {
		want = append(want, fmt.Sprintf("%d: 20 records, %v", key, rules))
	}
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 29))
			out := newLedger[string]()
			l := newLeader(t, sealed(t, func(g *Graph) {
				in := From(g, "in", numbers{n: 180, splits: 3, batch: 5, pace: true}, codec.Int64, Parallelism(2))
				records := Map(in, "observe", observations, func(v int64) observation { return observation{v % 9, v} })
				rules := From(g, "rules", numbers{n: 80, splits: 2, batch: 3, pace: true}, codec.Int64, Parallelism(2))
				keyed := KeyBy(records, codec.Int64, func(o observation) int64 { return o.key })
				s := ProcessBroadcast(keyed, rules, "judge", codec.String,
					func() BroadcastProcessor[int64, observation, int64, string] { return &judge{} }, Parallelism(1+rng.IntN(4)))
				To(Filter(s, "totals", func(line string) bool { return strings.Contains(line, "records") }), "write", out)
			}), seed, 5)
			l.run()
			if got := sorted(out.output()); !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
		})
	}
}
