package dataflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

var errPoison = errors.New("cannot be processed")

// pickyCodec is that of strings, and does not decode poison.
type pickyCodec struct{ codec.Codec[string] }

func (c pickyCodec) Decode(src []byte) (string, int, error) {
	v, n, err := c.Codec.Decode(src)
	if err == nil && strings.HasPrefix(v, "poison") {
		return "", 0, errPoison
	}
	return v, n, err
}

type pickyProcessor struct{ poison string }

func (pickyProcessor) Open(*ProcessContext[string]) error { return nil }
func (p pickyProcessor) Process(_ string, in string, emit func(string)) error {
	if in == p.poison {
		return errPoison
	}
	emit(in)
	return nil
}
func (pickyProcessor) Finish(func(string)) error { return nil }

type pickySink struct{ poison string }

func (s pickySink) Open(ctx SinkContext) (SinkWriter[string], error) {
	w, err := newLedger[string]().Open(ctx)
	return pickyWriter{w, s.poison}, err
}

type pickyWriter struct {
	SinkWriter[string]
	poison string
}

func (w pickyWriter) Write(v string) error {
	if v == w.poison {
		return errPoison
	}
	return w.SinkWriter.Write(v)
}

// wordSource emits some words in one go.
type wordSource []string

func (s wordSource) Open(SourceContext) (SourceReader[string], error) { return wordReader{s}, nil }

type wordReader struct{ words wordSource }

func (r wordReader) Next(emit func(string)) (ReadStatus, error) {
	for _, w := range r.words {
		emit(w)
	}
	return End(), nil
}
func (wordReader) Snapshot() ([][]byte, error) { return nil, nil }
func (wordReader) Position() string            { return "line 7" }
func (wordReader) Close() error                { return nil }

// The error of a record that cannot be processed says where to find it: operator, subtask, key, its place among the
// records that came with it, and its first bytes.
func TestPoisonRecordIsNamed(t *testing.T) {
	long := "poison" + strings.Repeat("x", 100)
	binary := "\x00\x01\xfe\xff"
	for name, test := range map[string]struct {
		poison string
		decode codec.Codec[string]
		chain  bool // the sink is in the processor's chain
		picky  string
		sink   string
		want   string
	}{
		"decoding": {
			poison: "poison", decode: pickyCodec{codec.String},
			want: `operator count, subtask count[0], record 3 of 4 of channel read[0] -> count[0] from node n1, from the bytes "\x06poison\x04dead" on: malformed frame: cannot be processed`,
		},
		"decoding much": {
			poison: long, decode: pickyCodec{codec.String},
			want: `record 3 of 4 of channel read[0] -> count[0] from node n1, from the bytes "jpoison` + strings.Repeat("x", 57) + `"… on: malformed frame`,
		},
		"processing": {
			poison: "poison", decode: codec.String, picky: "poison",
			want: `operator count, subtask count[0], key "poison", record 3 of 4 of channel read[0] -> count[0] from node n1, its 7 bytes "\x06poison": cannot be processed`,
		},
		"processing bytes": {
			poison: binary, decode: codec.String, picky: binary,
			want: `key "\x00\x01\xfe\xff", record 3 of 4 of channel read[0] -> count[0] from node n1, its 5 bytes 040001feff: cannot be processed`,
		},
		"writing in the chain": {
			poison: "poison", decode: codec.String, chain: true, sink: "poison",
			want: `operator write, subtask count[0], key "poison", record 3 of 4 of channel read[0] -> count[0] from node n1, its 7 bytes "\x06poison": cannot be processed`,
		},
		"writing": {
			poison: "poison", decode: codec.String, sink: "poison",
			want: `operator write, subtask write[0], record 3 of 4 of channel count[0] -> write[0] from node n1, its 7 bytes "\x06poison": cannot be processed`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph()
			read := From(g, "read", wordSource{"good", "fair", test.poison, "dead"}, test.decode)
			counted := Process(KeyBy(read, codec.String, func(v string) string { return v }), "count", codec.String,
				func() KeyedProcessor[string, string, string] { return pickyProcessor{test.picky} })
			if !test.chain {
				counted = Rebalance(counted)
			}
			To(counted, "write", pickySink{test.sink})
			if err := g.Seal(); err != nil {
				t.Fatal(err)
			}
			wantMessage(t, failureOf(t, g, newMemoryStore(), 0, nil).Failure.Message, test.want)
		})
	}
}

// With a source in the chain there is its position instead.
func TestPoisonRecordOfASourceIsNamed(t *testing.T) {
	g := NewGraph()
	To(From(g, "read", wordSource{"good", "poison"}, nil), "write", pickySink{"poison"})
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	want := "operator write, subtask read[0], at line 7: cannot be processed"
	if got := failureOf(t, g, newMemoryStore(), 0, nil).Failure.Message; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An error of a source that says itself which record it is about does not get the place of another one besides.
func TestPoisonRecordThatNamesItsPlaceIsNamedOnce(t *testing.T) {
	for err, want := range map[error]string{
		placedPoison{errPoison}:            "operator read, subtask read[0]: /in/f:8: cannot be processed",
		Permanent(placedPoison{errPoison}): "operator read, subtask read[0]: /in/f:8: cannot be processed",
		errPoison:                          "operator read, subtask read[0], at line 7: cannot be processed",
	} {
		g := NewGraph()
		To(From(g, "read", brokenSource{err}, nil), "write", pickySink{})
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		if got := failureOf(t, g, newMemoryStore(), 0, nil).Failure.Message; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// placedPoison is an error of a source that names a place.
type placedPoison struct{ error }

func (e placedPoison) Error() string { return "/in/f:8: " + e.error.Error() }
func (placedPoison) NamesPosition()  {}

// brokenSource fails at its first record.
type brokenSource struct{ err error }

func (s brokenSource) Open(SourceContext) (SourceReader[string], error) {
	return brokenReader{wordReader{}, s.err}, nil
}

type brokenReader struct {
	wordReader
	err error
}

func (r brokenReader) Next(func(string)) (ReadStatus, error) { return End(), r.err }

// What comes behind a batch is not blamed on its last record.
func TestFailedCaptureNamesNoRecord(t *testing.T) {
	source := newGatedSource()
	source.send(1)
	a := startAttempt(t, passingJob(t, source, identity, failingCapture{newLedger[int64]()}), 1, newMemoryStore(), 0, nil)
	defer a.stop()
	awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
	a.tasks[readTask].Trigger(barrier(1))
	r := await(t, a, func(r checkpoint.SubtaskReport) bool {
		return r.Status == checkpoint.SubtaskFailed && !r.Failure.Secondary
	})
	want := "checkpoint 1: operator write, subtask write[0]: pre-committing for checkpoint 1: cannot be processed"
	if r.Failure.Message != want {
		t.Errorf("got  %s\nwant %s", r.Failure.Message, want)
	}
}

type failingCapture struct{ *ledger[int64] }

func (s failingCapture) Open(ctx SinkContext) (SinkWriter[int64], error) {
	w, err := s.ledger.Open(ctx)
	return failingCaptureWriter{w}, err
}

type failingCaptureWriter struct{ SinkWriter[int64] }

func (failingCaptureWriter) PreCommit(_ context.Context, _ checkpoint.ID) ([]byte, error) {
	return nil, errPoison
}

func TestQuotedBytes(t *testing.T) {
	for in, want := range map[string]string{
		"":                         `""`,
		"plain text\n":             `"plain text\n"`,
		"\x05schön":                `"\x05schön"`,
		"\x00\xff":                 "00ff",
		"\x00\x01\x02a":            "00010261",
		strings.Repeat("a", 64):    fmt.Sprintf("%q", strings.Repeat("a", 64)),
		strings.Repeat("a", 65):    fmt.Sprintf("%q…", strings.Repeat("a", 64)),
		strings.Repeat("\x01", 65): strings.Repeat("01", 64) + "…",
	} {
		if got := quoteBytes([]byte(in)); got != want {
			t.Errorf("%q is shown as %s, want %s", in, got, want)
		}
	}
}
