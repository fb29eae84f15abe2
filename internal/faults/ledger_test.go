package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/connector/blackhole"
	"cairn/connector/file"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// ledger is a job whose state can be told from any other: for each key, how often it has come, and text and noise made
// from that. The one can be compressed, the other cannot. What is read must be what was stored. Besides there is state that
// becomes again what it was some checkpoints ago: its chunks are stored anew when nothing names them any more.
type ledger struct {
	records     int64 // 0 for no end
	rate        float64
	keys        int64
	payload     int // bytes of each, for each key
	parallelism int
	turn        time.Duration // after which that state is another
}

// turns is how many there are of that state, more than checkpoints are retained.
const turns = 8

func (l ledger) program() dataflow.Program {
	return dataflow.Program{Name: "ledger", Doc: "counts keys (output)", Build: l.build}
}

func (l ledger) build(g *dataflow.Graph, p *dataflow.Params) error {
	if p.String("shape", "") == "wide" {
		return wide(g)
	}
	output, err := p.Required("output")
	if err != nil {
		return err
	}
	parallelism := dataflow.Parallelism(l.parallelism)
	source := generate.New(l.records, func(n int64) int64 { return n % l.keys }, generate.Rate(l.rate))
	numbers := dataflow.From(g, "read", source, codec.Int64, parallelism)
	same := func(n int64) int64 { return n }
	turned := dataflow.Process(dataflow.KeyBy(numbers, codec.Int64, func(int64) int64 { return 0 }), "turn", codec.Int64,
		func() dataflow.KeyedProcessor[int64, int64, int64] { return &wheel{turn: l.turn} }, dataflow.Parallelism(1))
	noted := dataflow.Process(dataflow.KeyBy(turned, codec.Int64, same), "text", codec.Int64,
		func() dataflow.KeyedProcessor[int64, int64, int64] { return &page[int64]{content: l.text, pass: same} }, parallelism)
	counted := dataflow.Process(dataflow.KeyBy(noted, codec.Int64, same), "noise", codec.String,
		func() dataflow.KeyedProcessor[int64, int64, string] {
			return &page[string]{content: l.noise, line: ledgerLine}
		}, parallelism)
	dataflow.To(counted, "write", file.NewSink(output, func(dst []byte, line string) []byte { return append(dst, line...) }), parallelism)
	return nil
}

// wide is a job of so many subtasks that the breakdown of a checkpoint is a chunk. It does next to nothing.
func wide(g *dataflow.Graph) error {
	parallelism := dataflow.Parallelism(100)
	numbers := dataflow.From(g, "read", generate.New(0, func(n int64) int64 { return n }, generate.Rate(10)), codec.Int64, parallelism)
	same := dataflow.Map(dataflow.Forward(numbers), "same", codec.Int64, func(n int64) int64 { return n }, parallelism,
		dataflow.SlotSharingGroup("rest"))
	dataflow.To(dataflow.Forward(same), "drop", blackhole.New[int64](), parallelism)
	return nil
}

// text and noise are the state of a key that has come n times.
func (l ledger) text(key, n int64) string {
	return strings.Repeat(fmt.Sprintf("key %d came %d times; ", key, n), 1+l.payload/24)
}

func (l ledger) noise(key, n int64) string {
	random := rand.NewChaCha8([32]byte{byte(key), byte(key >> 8), byte(n), byte(n >> 8), byte(n >> 16)})
	noise := make([]byte, l.payload)
	random.Read(noise) // never fails
	return string(noise)
}

func ledgerLine(key, n int64) string { return fmt.Sprintf("%d\t%d", key, n) }

// lines is what the job comes to: a line whenever a key has come a power of two times, and for its total.
func (l ledger) lines() []string {
	var lines []string
	for key := range l.keys {
		total := (l.records - key + l.keys - 1) / l.keys
		for n := int64(1); n < total; n *= 2 {
			lines = append(lines, ledgerLine(key, n))
		}
		lines = append(lines, ledgerLine(key, total))
	}
	slices.Sort(lines)
	return lines
}

// page is the subtask of one of the two states.
type page[Out any] struct {
	content func(key, n int64) string
	pass    func(key int64) Out    // what is emitted for each record; nil for nothing
	line    func(key, n int64) Out // what is emitted for counts; nil for nothing
	state   *dataflow.ValueState[int64, string]
}

func (p *page[Out]) Open(ctx *dataflow.ProcessContext[int64]) error {
	p.state = dataflow.NewValueState(ctx, "page", codec.String)
	return nil
}

func (p *page[Out]) Process(key, _ int64, emit func(Out)) error {
	n, err := p.count(key)
	if err != nil {
		return err
	}
	n++
	p.state.Put(strconv.FormatInt(n, 10) + ":" + p.content(key, n))
	if p.pass != nil {
		emit(p.pass(key))
	}
	if p.line != nil && n&(n-1) == 0 {
		emit(p.line(key, n))
	}
	return nil
}

// count returns how often a key has come, after it has looked at all that is kept of that.
func (p *page[Out]) count(key int64) (int64, error) {
	kept, found := p.state.Get()
	if !found {
		return 0, nil
	}
	return p.read(key, kept)
}

func (p *page[Out]) read(key int64, kept string) (int64, error) {
	number, content, _ := strings.Cut(kept, ":")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || content != p.content(key, n) {
		return 0, dataflow.Permanent(fmt.Errorf("the state of key %d is not what was stored: %q, %d bytes: %w", key, number, len(content), err))
	}
	return n, nil
}

func (p *page[Out]) Finish(emit func(Out)) error {
	for key, kept := range p.state.All() {
		n, err := p.read(key, kept)
		if err != nil {
			return err
		}
		if p.line != nil && n&(n-1) != 0 {
			emit(p.line(key, n))
		}
	}
	return nil
}

// wheel is the subtask of the state that comes back. The records pass it by.
type wheel struct {
	turn  time.Duration
	state *dataflow.ValueState[int64, string]
}

func (w *wheel) Open(ctx *dataflow.ProcessContext[int64]) error {
	w.state = dataflow.NewValueState(ctx, "wheel", codec.String)
	return nil
}

func (w *wheel) Process(_, record int64, emit func(int64)) error {
	at := time.Now().UnixNano() / int64(max(w.turn, 1)) % turns
	w.state.Put(strings.Repeat(strconv.FormatInt(at, 10), 100))
	emit(record)
	return nil
}

func (*wheel) Finish(func(int64)) error { return nil }

// operators of the ledger that may panic.
var ledgerVictims = []checkpoint.OperatorID{"text", "noise", "write"}
