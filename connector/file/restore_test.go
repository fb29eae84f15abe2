package file

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/dataflow"
)

// deal hands out the entries of all subtasks as checkpoint.MatchState does: of union state each subtask gets them all;
// a list stays as it is under the same parallelism, and is dealt evenly, in order, under another one.
func deal(entries [][][]byte, parallelism int, union bool) [][][]byte {
	all := slices.Concat(entries...)
	dealt := make([][][]byte, parallelism)
	for i := range dealt {
		switch {
		case union:
			dealt[i] = all
		case len(entries) == parallelism:
			dealt[i] = entries[i]
		default:
			dealt[i] = all[i*len(all)/parallelism : (i+1)*len(all)/parallelism]
		}
	}
	return dealt
}

// attempt runs a source's subtasks from a state until their snapshots, and lets them crash after some more records. It
// returns what was read before the snapshots, the new state, and whether all subtasks had come to the end.
func attempt(t *rapid.T, source dataflow.Source[string], state [][][]byte, parallelism, most int, pause func(dataflow.SourceReader[string])) (got []string, next [][][]byte, ended bool) {
	readers := make([]dataflow.SourceReader[string], parallelism)
	for i := range readers {
		ctx := sourceContext(i, parallelism)
		if state != nil {
			ctx.Restored, ctx.Entries = true, state[i]
		}
		r, err := source.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}()
		readers[i] = r
	}
	calls := make([]int, parallelism)
	for i := range calls {
		calls[i] = rapid.IntRange(0, most).Draw(t, "calls")
	}
	ended = true
	for i, r := range readers {
		over := false
		for range calls[i] {
			pause(r)
			var lines []string
			lines, over = drain(t, r, 1)
			if got = append(got, lines...); over {
				break
			}
		}
		ended = ended && over
		entries, err := r.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		next = append(next, entries)
	}
	for _, r := range readers {
		drain(t, r, 1) // lost in the crash
	}
	return got, next, ended
}

func wantEachOnce(t *rapid.T, got, want []string) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("read %d records, %d different ones; want %d, each once", len(got), len(slices.Compact(got)), len(want))
	}
}

// textual is a way to write records, and a source that reads them.
type textual struct {
	name   string
	header string
	line   func(record string) string
	source func(dir string, opts ...SourceOption) dataflow.Source[string]
}

type jsonRecord struct{ Text string }

// mapped turns the records of a source into text.
type mapped[T any] struct {
	*Source[T]
	text func(T) string
}

func (m mapped[T]) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[string], error) {
	r, err := m.Source.Open(ctx)
	return mappedReader[T]{r, m.text}, err
}

type mappedReader[T any] struct {
	dataflow.SourceReader[T]
	text func(T) string
}

func (m mappedReader[T]) Next(emit func(string)) (dataflow.ReadStatus, error) {
	return m.SourceReader.Next(func(v T) { emit(m.text(v)) })
}

var textuals = []textual{
	{"lines", "", func(s string) string { return s + "\n" },
		func(dir string, opts ...SourceOption) dataflow.Source[string] { return NewSource(dir, opts...) }},
	{"JSON lines", "", func(s string) string {
		line, _ := json.Marshal(jsonRecord{s})
		return string(line) + "\n \n"
	}, func(dir string, opts ...SourceOption) dataflow.Source[string] {
		return mapped[jsonRecord]{JSONLines[jsonRecord](dir, opts...), func(r jsonRecord) string { return r.Text }}
	}},
	{"CSV", "Text,more\n", func(s string) string { return "\"" + s + "\",x\r\n\n" },
		func(dir string, opts ...SourceOption) dataflow.Source[string] {
			return mapped[jsonRecord]{CSV[jsonRecord](dir, append(opts, NoQuotedNewlines())...), func(r jsonRecord) string { return r.Text }}
		}},
	{"CSV with line breaks", "Text,more\n", func(s string) string { return "\"" + s + "\",\"x\ny\"\n" },
		func(dir string, opts ...SourceOption) dataflow.Source[string] {
			return mapped[jsonRecord]{CSV[jsonRecord](dir, opts...), func(r jsonRecord) string { return r.Text }}
		}},
}

// writeRecords makes a file of n records and returns them.
func writeRecords(t *rapid.T, format textual, path string, n int) (records []string) {
	var content strings.Builder
	content.WriteString(format.header)
	for i := range n {
		record := fmt.Sprintf("%s/%d", filepath.Base(path), i)
		records = append(records, record)
		content.WriteString(format.line(record))
	}
	if err := os.WriteFile(path, []byte(content.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return records
}

func tempDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "cairn-source")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// I7 and rescaling in small: whatever is read between snapshots, lost in crashes and dealt out anew, under whatever
// parallelism, the snapshots cover each record once.
func TestEachRecordOnceThroughRestores(t *testing.T) {
	for _, format := range textuals {
		t.Run(format.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				dir := tempDir(t)
				var want []string
				for i, n := range rapid.SliceOfN(rapid.IntRange(0, 2*linesPerCall), 1, 6).Draw(t, "records per file") {
					want = append(want, writeRecords(t, format, filepath.Join(dir, fmt.Sprint("f", i)), n)...)
				}
				var opts []SourceOption
				if format.name != "CSV with line breaks" {
					opts = append(opts, SplitSize(rapid.SampledFrom([]int64{0, 7, 500, 5000}).Draw(t, "split size")))
				}
				var got []string
				var state [][][]byte
				for n, ended := 0, false; !ended; n++ {
					parallelism := rapid.IntRange(1, 5).Draw(t, "parallelism")
					if state != nil {
						state = deal(state, parallelism, false)
					}
					most := 6
					if n > 20 {
						most = 1000
					}
					var lines []string
					lines, state, ended = attempt(t, format.source(dir, opts...), state, parallelism, most, func(dataflow.SourceReader[string]) {})
					got = append(got, lines...)
				}
				wantEachOnce(t, got, want)
			})
		})
	}
}

// The same of a directory in which files appear while it is read, and from which those that were read may go.
func TestEachRecordOnceFromWatchedDirectory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := tempDir(t)
		format := rapid.SampledFrom(textuals).Draw(t, "format")
		source := format.source(dir, Watch(time.Millisecond))
		var got, want []string
		var state [][][]byte
		attempts := rapid.IntRange(1, 6).Draw(t, "attempts")
		for n := 0; n < attempts || len(got) < len(want) && n < attempts+200; n++ {
			if n < attempts {
				for i, records := range rapid.SliceOfN(rapid.IntRange(1, 2*linesPerCall), 0, 3).Draw(t, "records per new file") {
					want = append(want, writeRecords(t, format, filepath.Join(dir, fmt.Sprintf("f%d-%d", n, i)), records)...)
				}
			}
			parallelism := rapid.IntRange(1, 5).Draw(t, "parallelism")
			if state != nil {
				state = deal(state, parallelism, true)
			}
			lines, next, ended := attempt(t, source, state, parallelism, 8, awaitListing)
			if ended {
				t.Fatal("a source that watches came to an end")
			}
			state = next
			got = append(got, lines...)
		}
		wantEachOnce(t, got, want)
	})
}

// awaitListing waits for what wakes a reader that watches.
func awaitListing(r dataflow.SourceReader[string]) {
	var files fileQueue
	switch r := r.(type) {
	case *reader[string]:
		files = r.files
	case mappedReader[jsonRecord]:
		files = r.SourceReader.(*reader[jsonRecord]).files
	}
	<-files.(*watched).lister.ready
}
