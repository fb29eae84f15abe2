package file

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// tree returns the files below a directory, sorted, with slashes.
func tree(t fataler, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func wantTree(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Fatalf("the directory holds\n%q, want\n%q", got, want)
	}
}

// committed returns the lines of all files that have their final names, sorted.
func committed(t fataler, dir string) (lines []string) {
	t.Helper()
	for _, name := range tree(t, dir) {
		if _, err := parsePart(name); err != nil {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

func openWriter[T any](t *testing.T, s *Sink[T], attempt checkpoint.Attempt, handles ...[]byte) dataflow.SinkWriter[T] {
	t.Helper()
	w, err := s.Open(sinkContext(0, attempt, attempt > 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), handles); err != nil {
		t.Fatal(err)
	}
	return w
}

func appendString(dst []byte, s string) []byte { return append(dst, s...) }

func TestFilesRollBySize(t *testing.T) {
	dir := t.TempDir()
	w := openWriter(t, NewSink(dir, appendString, RollSize(6)), 1)
	write(t, w, "aa", "b", "cccccccc", "d")
	wantTree(t, dir, "part-01020304-0-1-0.pending", "part-01020304-0-1-1.inprogress")
	handle := preCommit(t, w, 1)
	wantTree(t, dir, "part-01020304-0-1-0.pending", "part-01020304-0-1-1.pending")
	commit(t, w, handle)
	commit(t, w, handle)
	wantTree(t, dir, "part-01020304-0-1-0", "part-01020304-0-1-1")
	if got := committed(t, dir); !slices.Equal(got, []string{"aa", "b", "cccccccc", "d"}) {
		t.Errorf("the output is %q", got)
	}
}

func TestFilesRollByAge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := openWriter(t, NewSink(dir, appendString, RollEvery(time.Minute)).Bucket(func(s string) string { return s[:1] }), 1)
		write(t, w, "a1") // a is as old as the minute
		time.Sleep(30 * time.Second)
		write(t, w, "a2", "b1")
		time.Sleep(30 * time.Second)
		write(t, w, "b2") // ends a's file, and not b's
		wantTree(t, dir, "a/part-01020304-0-1-0.pending", "b/part-01020304-0-1-1.inprogress")
		write(t, w, "a3")
		time.Sleep(30 * time.Second)
		write(t, w, "b3") // ends b's
		wantTree(t, dir, "a/part-01020304-0-1-0.pending", "a/part-01020304-0-1-2.inprogress",
			"b/part-01020304-0-1-1.pending", "b/part-01020304-0-1-3.inprogress")
		commit(t, w, preCommit(t, w, 1))
		time.Sleep(time.Hour)
		write(t, w, "b4") // begun after the barrier: young
		wantTree(t, dir, "a/part-01020304-0-1-0", "a/part-01020304-0-1-2", "b/part-01020304-0-1-1", "b/part-01020304-0-1-3",
			"b/part-01020304-0-1-4.inprogress")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := committed(t, dir); !slices.Equal(got, []string{"a1", "a2", "a3", "b1", "b2", "b3"}) {
			t.Errorf("the output is %q", got)
		}
	})
}

func TestBuckets(t *testing.T) {
	dir := t.TempDir()
	sink := NewSink(dir, appendString).Bucket(func(s string) string { return s[:strings.IndexByte(s, ':')] })
	w := openWriter(t, sink, 1)
	write(t, w, "de/2024:1", ":2", "fr:3", "de/2024:4")
	commit(t, w, preCommit(t, w, 1))
	wantTree(t, dir, "de/2024/part-01020304-0-1-0", "fr/part-01020304-0-1-2", "part-01020304-0-1-1")
	if content, err := os.ReadFile(filepath.Join(dir, "de/2024/part-01020304-0-1-0")); err != nil || string(content) != "de/2024:1\nde/2024:4\n" {
		t.Errorf("the bucket holds %q, %v", content, err)
	}
}

func TestBucketsStayInTheDirectory(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	for _, bucket := range []string{
		"..", "../x", "a/../../x", "/", "/etc", "a//b", "a/", "./a", "a/.", ".hidden", "a\\b", "a\nb", "a\x00b", "\xff", "part-01020304-0-1-0", "a/part-x",
	} {
		w := openWriter(t, NewSink(dir, appendString).Bucket(func(string) string { return bucket }), 1)
		if err := w.Write("x"); err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), strconv.Quote(bucket)) {
			t.Errorf("bucket %q: %v", bucket, err)
		}
		handle := []byte(bucket + "/part-01020304-0-1-0")
		if err := w.Commit(t.Context(), handle); err == nil || !strings.Contains(err.Error(), "want [<bucket>/]part") {
			t.Errorf("handle %q: %v", handle, err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	wantTree(t, parent)
}

func TestOpenFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	w := openWriter(t, NewSink(dir, appendString, MaxOpenParts(2)).Bucket(func(s string) string { return s[:1] }), 1)
	write(t, w, "a1", "b1", "a2", "c1") // b has waited longest
	wantTree(t, dir, "a/part-01020304-0-1-0.inprogress", "b/part-01020304-0-1-1.pending", "c/part-01020304-0-1-2.inprogress")
	write(t, w, "b2")
	commit(t, w, preCommit(t, w, 1))
	if got := committed(t, dir); !slices.Equal(got, []string{"a1", "a2", "b1", "b2", "c1"}) {
		t.Errorf("the output is %q", got)
	}
}

// I7 in small for a transaction of several files: the crash comes after checkpoint 1 completed, at each point of its
// commit and after it. Records of checkpoint 1 must be there once, later ones not at all.
func TestRollingSinkRecovers(t *testing.T) {
	sinkIn := func(dir string) *Sink[string] {
		return NewSink(dir, appendString, RollSize(1)).Bucket(func(s string) string { return s[:1] })
	}
	want := []string{"a1", "a2", "b1"}
	for renamed := range len(want) + 1 {
		for name, later := range map[string]func(dataflow.SinkWriter[string]){
			"nothing later":    func(dataflow.SinkWriter[string]) {},
			"rolled later":     func(w dataflow.SinkWriter[string]) { write(t, w, "a3", "c1") },
			"barrier of later": func(w dataflow.SinkWriter[string]) { write(t, w, "b3"); preCommit(t, w, 2); write(t, w, "a4") },
		} {
			t.Run(fmt.Sprintf("%d of 3 renamed, %s", renamed, name), func(t *testing.T) {
				dir := t.TempDir()
				w := openWriter(t, sinkIn(dir), 1)
				write(t, w, "a1", "b1", "a2")
				handle := preCommit(t, w, 1)
				parts, err := decodeTransaction(handle)
				if err != nil || len(parts) != 3 {
					t.Fatalf("the handle is %q: %d parts, %v", handle, len(parts), err)
				}
				for _, p := range parts[:renamed] {
					if err := commitPart(dir, p); err != nil {
						t.Fatal(err)
					}
				}
				later(w)
				// The process dies here; nothing is closed.
				w = openWriter(t, sinkIn(dir), 2, handle)
				wantTree(t, dir, "a/part-01020304-0-1-0", "a/part-01020304-0-1-2", "b/part-01020304-0-1-1")
				if got := committed(t, dir); !slices.Equal(got, want) {
					t.Fatalf("the output is %q, want %q", got, want)
				}
				write(t, w, "b2")
				commit(t, w, preCommit(t, w, 3))
				openWriter(t, sinkIn(dir), 3, handle) // a second crash restores the same handle again
				if got := committed(t, dir); !slices.Equal(got, append(slices.Clone(want), "b2")) {
					t.Errorf("the output is %q", got)
				}
			})
		}
	}
}

// Whatever the subtasks write, wherever they crash, and whichever checkpoints complete: the committed output is what the
// completed checkpoints cover.
func TestRollingSinkProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir := tempDir(t)
		sink := NewSink(dir, appendString, RollSize(20), MaxOpenParts(2)).Bucket(func(s string) string { return s[:1] })
		var state [][]byte // handles of the last completed checkpoint that may not be committed
		var want []string
		records := 0
		for attempt := checkpoint.Attempt(1); attempt <= 4; attempt++ {
			w, err := sink.Open(sinkContext(0, attempt, state != nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Recover(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			var unconfirmed [][]byte // handles whose commit has not been ordered
			var uncertain []string   // records that no completed checkpoint covers
			for id := range checkpoint.ID(rapid.IntRange(0, 4).Draw(t, "checkpoints")) {
				for range rapid.IntRange(0, 12).Draw(t, "records") {
					record := fmt.Sprintf("%c%d", 'a'+rune(rapid.IntRange(0, 3).Draw(t, "bucket")), records)
					records++
					if err := w.Write(record); err != nil {
						t.Fatal(err)
					}
					uncertain = append(uncertain, record)
				}
				handle, err := w.PreCommit(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if handle != nil {
					unconfirmed = append(unconfirmed, handle)
				}
				if !rapid.Bool().Draw(t, "completes") {
					continue
				}
				want, uncertain = append(want, uncertain...), nil
				state = append([][]byte{}, unconfirmed...)
				if rapid.Bool().Draw(t, "is told of it") {
					for _, handle := range unconfirmed {
						if err := w.Commit(t.Context(), handle); err != nil {
							t.Fatal(err)
						}
					}
					unconfirmed = nil
				}
			}
			if rapid.Bool().Draw(t, "is closed") {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		w, err := sink.Open(sinkContext(0, 5, true))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Recover(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		if got := committed(t, dir); !slices.Equal(got, want) {
			t.Fatalf("the output is %q, want %q", got, want)
		}
		for _, name := range tree(t, dir) {
			if _, err := parsePart(name); err != nil {
				t.Errorf("%s is left over", name)
			}
		}
	})
}

// A closed writer gives up what the open transaction has ended already, too.
func TestCloseGivesUpWhatRolled(t *testing.T) {
	dir := t.TempDir()
	w := openWriter(t, NewSink(dir, appendString, RollSize(1)), 1)
	write(t, w, "a")
	preCommit(t, w, 1)
	write(t, w, "b", "c")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir, "part-01020304-0-1-0.pending")
}

func TestGzip(t *testing.T) {
	dir := t.TempDir()
	w := openWriter(t, NewSink(dir, appendString, Gzip(), RollSize(1<<10)), 1)
	var want []string
	for i := range 50_000 {
		want = append(want, fmt.Sprint("record ", i*i*7919))
	}
	write(t, w, want...)
	if err := w.Close(); err != nil { // half-written ones are given back whole
		t.Fatal(err)
	}
	wantTree(t, dir)
	w = openWriter(t, NewSink(dir, appendString, Gzip(), RollSize(1<<10)), 2)
	write(t, w, want...)
	commit(t, w, preCommit(t, w, 1))
	var got []string
	names := tree(t, dir)
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || !strings.HasSuffix(name, ".gz") {
			t.Fatalf("%s: %v", name, err)
		}
		_ = f.Close()
		got = append(got, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(names) < 2 {
		t.Errorf("%d records in %d files, want %d in some", len(got), len(names), len(want))
	}
}

type sale struct {
	Shop string `csv:"shop"`
	Note string `csv:"note"`
	Sum  int    `csv:"sum" json:"sum"`
}

func TestFormats(t *testing.T) {
	records := []sale{{"a", "x,\"y\"", 1}, {"b", "<&>", 2}}
	row := func(dst []string, s sale) []string { return append(dst, s.Shop, strconv.Itoa(s.Sum)) }
	for name, test := range map[string]struct {
		sink  func(dir string) *Sink[sale]
		files map[string]string
	}{
		"CSV": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir) },
			map[string]string{"part-01020304-0-1-0.csv": "shop,note,sum\na,\"x,\"\"y\"\"\",1\nb,<&>,2\n"}},
		"CSV, each file with its header": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir, RollSize(1)) },
			map[string]string{"part-01020304-0-1-0.csv": "shop,note,sum\na,\"x,\"\"y\"\"\",1\n", "part-01020304-0-1-1.csv": "shop,note,sum\nb,<&>,2\n"}},
		"CSV without header": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir, WithoutHeader()) },
			map[string]string{"part-01020304-0-1-0.csv": "a,\"x,\"\"y\"\"\",1\nb,<&>,2\n"}},
		"CSV rows": {func(dir string) *Sink[sale] { return NewCSVRowSink(dir, []string{"s", "n"}, row) },
			map[string]string{"part-01020304-0-1-0.csv": "s,n\na,1\nb,2\n"}},
		"JSON lines": {func(dir string) *Sink[sale] { return NewJSONSink[sale](dir) },
			map[string]string{"part-01020304-0-1-0.jsonl": "{\"Shop\":\"a\",\"Note\":\"x,\\\"y\\\"\",\"sum\":1}\n{\"Shop\":\"b\",\"Note\":\"<&>\",\"sum\":2}\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := openWriter(t, test.sink(dir), 1)
			for _, r := range records {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Commit(t.Context(), errorless(t)(w.PreCommit(t.Context(), 1))); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for _, name := range tree(t, dir) {
				content, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got[name] = string(content)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.files) {
				t.Errorf("wrote %q, want %q", got, test.files)
			}
		})
	}
}

func errorless(t *testing.T) func([]byte, error) []byte {
	return func(handle []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return handle
	}
}

func TestRecordThatCannotBeEncoded(t *testing.T) {
	dir := t.TempDir()
	json := openWriter(t, NewJSONSink[any](dir), 1)
	if err := json.Write(make(chan int)); err == nil || !dataflow.FailureOf(err).Permanent {
		t.Errorf("JSON of a channel: %v", err)
	}
	csv := openWriter(t, NewCSVRowSink(dir, []string{"a", "b"}, func(dst []string, s string) []string { return append(dst, s) }), 1)
	if err := csv.Write("x"); err == nil || !strings.Contains(err.Error(), "1 fields, the header 2") {
		t.Errorf("a row that is too short: %v", err)
	}
	wantTree(t, dir)
}

func TestSinkOptionsAreChecked(t *testing.T) {
	dir := t.TempDir()
	for want, err := range map[string]error{
		"RollSize is -1":    errorOf(NewJSONSink[int](dir, RollSize(-1)).Open(sinkContext(0, 1, false))),
		"RollEvery is -1ns": errorOf(NewJSONSink[int](dir, RollEvery(-1)).Open(sinkContext(0, 1, false))),
		"MaxOpenParts is 0": errorOf(NewJSONSink[int](dir, MaxOpenParts(0)).Open(sinkContext(0, 1, false))),
		"want a struct":     errorOf(NewCSVSink[int](dir).Open(sinkContext(0, 1, false))),
		"has no columns":    errorOf(NewCSVRowSink[int](dir, nil, nil).Open(sinkContext(0, 1, false))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestNoAllocationPerLine(t *testing.T) {
	w := openWriter(t, NewSink(t.TempDir(), appendString, RollSize(1<<40), RollEvery(time.Hour)).Bucket(func(s string) string { return s[:1] }), 1)
	write(t, w, "a", "b")
	if allocs := testing.AllocsPerRun(1000, func() {
		if err := w.Write("a record"); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations per line, want none", allocs)
	}
}

// A job that starts afresh finds output in buckets, too, and what is left over in them.
func TestLeftoversInBuckets(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"a/b/part-01020304-0-1-0.csv.gz.pending": "", "a/part-01020304-0-1-1.inprogress": "", "a/part-01020304-1-1-1.pending": "",
		".git/part-01020304-0-1-0": "", "a/notes": "", "a/part-01020304-0-1-1.txt": "",
	})
	openWriter(t, NewSink(dir, appendString), 2)
	wantTree(t, dir, ".git/part-01020304-0-1-0", "a/notes", "a/part-01020304-0-1-1.txt", "a/part-01020304-1-1-1.pending")
	writeFiles(t, dir, map[string]string{"a/b/part-01020304-0-1-0.csv": ""})
	w, err := NewSink(dir, appendString).Open(sinkContext(0, 1, false))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "a/b/part-01020304-0-1-0.csv") {
		t.Errorf("a fresh start beside output: %v", err)
	}
}
