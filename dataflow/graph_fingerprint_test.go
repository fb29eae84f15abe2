package dataflow

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// built is a graph with what change does to it; every change is a parameter of build.
type built struct {
	source      Source[int64]
	kind        int
	partitioned func(Stream[int64]) Stream[int64]
	keys        codec.Codec[int64]
	sink        Sink[int64]
	tag         string
	params      map[string]string
	shift       int64 // what the functions do
	parallelism int
}

func (b built) graph(t *testing.T) *Graph {
	t.Helper()
	registry := NewRegistry(Program{Name: "p", Build: func(g *Graph, p *Params) error {
		p.String("x", "")
		g.SetParallelism(b.parallelism)
		s := From(g, "read", b.source, codec.Int64)
		switch b.kind {
		case 0:
			s = Map(s, "step", codec.Int64, func(n int64) int64 { return n + b.shift })
		case 1:
			s = Filter(s, "step", func(n int64) bool { return n > b.shift })
		}
		s = Process(KeyBy(s, b.keys, identity), "count", codec.Int64, func() KeyedProcessor[int64, int64, int64] { return nil })
		if b.tag != "" {
			To(SideOutput(s, NewOutputTag(b.tag, codec.Int64)), "late", newLedger[int64]())
		}
		To(b.partitioned(s), "write", b.sink)
		return nil
	}})
	g, err := registry.Build("p", b.params, checkpoint.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

type otherNumbers struct{ numbers }

type otherInt64 struct{ codec.Codec[int64] }

func plain() built {
	return built{
		source: numbers{}, partitioned: Rebalance[int64], keys: codec.Int64, sink: newLedger[int64](), parallelism: 1,
		params: map[string]string{"x": "1"},
	}
}

// A fingerprint is the same for the same declaration, and another one for each thing that builds have to agree on.
func TestFingerprint(t *testing.T) {
	want := plain().graph(t).Fingerprint()
	same := map[string]func(*built){
		"built again":               func(*built) {},
		"functions do other things": func(b *built) { b.shift = 7 },
		"another parallelism":       func(b *built) { b.parallelism = 5 },
	}
	for name, change := range same {
		b := plain()
		change(&b)
		if got := b.graph(t).Fingerprint(); got != want || got.Contradicts(want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	others := map[string]func(*built){
		"another source":       func(b *built) { b.source = otherNumbers{} },
		"another kind":         func(b *built) { b.kind = 1 },
		"an operator less":     func(b *built) { b.kind = 2 },
		"another partitioning": func(b *built) { b.partitioned = Broadcast[int64] },
		"another key codec":    func(b *built) { b.keys = otherInt64{codec.Int64} },
		"a side output":        func(b *built) { b.tag = "late" },
		"another parameter":    func(b *built) { b.params = map[string]string{"x": "2"} },
	}
	seen := map[checkpoint.Fingerprint]string{want: "plain"}
	for name, change := range others {
		b := plain()
		change(&b)
		got := b.graph(t).Fingerprint()
		if as, twice := seen[got]; twice {
			t.Errorf("%s has the fingerprint of %s", name, as)
		}
		seen[got] = name
	}
}

// Fingerprints are compared between processes, and kept with the job: this one changes only together with the scheme.
func TestFingerprintGolden(t *testing.T) {
	g := plain().graph(t)
	texts := map[checkpoint.OperatorID]string{
		"read":  "source cairn/dataflow.numbers, emits int64 in int64",
		"step":  "map, input 0 from read by forward, emits int64 in int64",
		"count": "process, input 0 from step by hash of int64 in int64, emits int64 in int64",
		"write": "sink *cairn/dataflow.ledger[int64], input 0 from count by rebalance",
	}
	for _, o := range g.OperatorTexts() {
		if o.Text != texts[o.Operator] {
			t.Errorf("%s: %q, want %q", o.Operator, o.Text, texts[o.Operator])
		}
	}
	const want = "2-2b21322e88078e6dc08ac80608419726434df68270a9221b4c9de1698571cf01"
	if got := g.Fingerprint(); got != want {
		t.Errorf("fingerprint %s, want %s: with another text the scheme changes", got, want)
	}
}

type leaf struct {
	At     EventTime
	Hidden *leaf
	secret int
}

type tree struct {
	Name     string
	Children []*tree
	By       map[string]leaf
	Any      any
	Pair     struct{ A, B float32 }
	Grid     [2]uint8
}

// Types show all that decides how records are encoded, and come to an end when they are recursive.
func TestTypeText(t *testing.T) {
	for want, got := range map[string]string{
		"int64":                           typeTextFor[int64](),
		"[]uint8":                         typeTextFor[[]byte](),
		"error":                           typeTextFor[error](),
		"cairn/dataflow.EventTime(int64)": typeTextFor[EventTime](),
		"cairn/dataflow/codec.Pair[int64,string]{First int64; Second string}": typeTextFor[codec.Pair[int64, string]](),
		"cairn/dataflow.tree{Name string; Children []*cairn/dataflow.tree; " +
			"By map[string]cairn/dataflow.leaf{At cairn/dataflow.EventTime(int64); Hidden *cairn/dataflow.leaf}; " +
			"Any interface {}; Pair struct{A float32; B float32}; Grid [2]uint8}": typeTextFor[tree](),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	_ = leaf{}.secret
}

func TestWindowsAreDescribed(t *testing.T) {
	second := time.Second
	for want, a := range map[string]WindowAssigner{
		"tumbling windows of 5s":             TumblingWindows(5*second, 0),
		"tumbling windows of 5s moved by 1s": TumblingWindows(5*second, second),
		"sliding windows of 5s every 1s":     SlidingWindows(5*second, second, 0),
		"session windows of 5s":              SessionWindows(5 * second),
	} {
		if got := a.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	g := NewGraph()
	read := AssignTimestampsAndWatermarks(From(g, "read", numbers{}, codec.Int64), "times", MonotonousTimestamps(), func(int64) EventTime { return 0 })
	s := KeyBy(read, codec.Int64, identity)
	ReduceWindow(Window(s, SessionWindows(second), AllowedLateness(3*second)), "sum", func(a, b int64) int64 { return a + b })
	IntervalJoin(s, s, -second, second, "join", codec.Int64, func(int64, int64, func(int64)) {})
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	want := map[checkpoint.OperatorID]string{
		"sum":  "session windows of 1s, allowed lateness 3s, *cairn/dataflow.reduced[int64,int64], input 0 from times by hash of ",
		"join": "interval join from -1s to 1s, input 0 from times by hash of ",
	}
	for _, o := range g.OperatorTexts() {
		if !strings.HasPrefix(o.Text, want[o.Operator]) {
			t.Errorf("%s: %q", o.Operator, o.Text)
		}
	}
}

type handOver struct {
	From, To int64
	note     string `codec:"+"`
}

// A derived codec shows its layout, and with it the fields that are not exported.
func TestFingerprintShowsLayouts(t *testing.T) {
	g := NewGraph()
	s := From(g, "read", numbers{}, codec.Int64)
	Map(s, "hand over", codec.MustStruct[handOver](), func(v int64) handOver { return handOver{From: v, note: "x"} })
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	text := g.OperatorTexts()[1].Text
	if want := "in struct{From int64, To int64, note string}"; !strings.HasSuffix(text, want) {
		t.Errorf("the operator is %q, want it to end with %q", text, want)
	}
}
