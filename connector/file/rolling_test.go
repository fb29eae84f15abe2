package file

import (
	"fmt"
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
				if got := committed(t, dir); !slices.Equal(got, want) {
					t.Fatalf("the output is %q, want %q", got, want)
				}
				settle(t, w)
				wantTree(t, dir, "a/part-01020304-0-1-0", "a/part-01020304-0-1-2", "b/part-01020304-0-1-1")
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
		sink := NewSink(dir, appendString, RollSize(9), MaxOpenParts(2)).Bucket(func(s string) string { return s[:1] })
		var state [][]byte // handles of the last completed checkpoint that may not be committed
		var want []string
		records := 0
		for attempt := checkpoint.Attempt(1); attempt <= 3; attempt++ {
			w, err := sink.Open(sinkContext(0, attempt, state != nil))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Recover(t.Context(), state); err != nil {
				t.Fatal(err)
			}
			var unconfirmed [][]byte // handles whose commit has not been ordered
			var uncertain []string   // records that no completed checkpoint covers
			for id := range checkpoint.ID(rapid.IntRange(0, 3).Draw(t, "checkpoints")) {
				for range rapid.IntRange(0, 7).Draw(t, "records") {
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
		w, err := sink.Open(sinkContext(0, 4, true))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Recover(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		if err := w.(dataflow.SettlingWriter).Settle(t.Context()); err != nil {
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
	settle(t, openWriter(t, NewSink(dir, appendString), 2))
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
