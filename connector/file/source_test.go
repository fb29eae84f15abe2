package file

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func sourceContext(index, parallelism int) dataflow.SourceContext {
	return dataflow.SourceContext{
		Subtask: checkpoint.SubtaskID{Vertex: "read", Index: index}, Parallelism: parallelism, Logger: slog.New(slog.DiscardHandler),
	}
}

func restoredContext(index, parallelism int, entries [][]byte) dataflow.SourceContext {
	ctx := sourceContext(index, parallelism)
	ctx.Restored, ctx.Entries = true, entries
	return ctx
}

// drain calls Next until the end, at most calls times when that is not negative.
func drain(t interface {
	Helper()
	Fatal(...any)
}, r dataflow.SourceReader[string], calls int) (lines []string, ended bool) {
	t.Helper()
	for ; calls != 0; calls-- {
		status, err := r.Next(func(line string) { lines = append(lines, line) })
		if err != nil {
			t.Fatal(err)
		}
		if status == dataflow.End() {
			return lines, true
		}
	}
	return lines, false
}

func TestSourceReadsEachLineOnce(t *testing.T) {
	dir := t.TempDir()
	var want []string
	files := make(map[string]string)
	for i := range 20 {
		for j := range i * 40 {
			line := fmt.Sprintf("file %d line %d", i, j)
			want = append(want, line)
			files[fmt.Sprintf("d%d/f%d.txt", i%3, i)] += line + "\n"
		}
	}
	writeFiles(t, dir, files)
	writeFiles(t, dir, map[string]string{"other.go": "not asked for\n"})
	const parallelism = 3
	source := NewSource(dir, Suffix(".txt"))
	var got []string
	for index := range parallelism {
		r, err := source.Open(sourceContext(index, parallelism))
		if err != nil {
			t.Fatal(err)
		}
		lines, _ := drain(t, r, -1)
		got = append(got, lines...)
		if entries, err := r.Snapshot(); err != nil || len(entries) != 0 {
			t.Errorf("at the end the state holds %d entries, %v", len(entries), err)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("read %d lines, want %d, each once", len(got), len(want))
	}
}

// I7 in small: wherever reading is cut off, what was read before the snapshot and what is read after a
// restore from it make up the input, without a gap or a repetition.
func TestSourceGoesOnWhereTheSnapshotWasTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "cairn-source")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		var want []string
		for i, n := range rapid.SliceOfN(rapid.IntRange(0, 3*linesPerCall), 1, 6).Draw(t, "lines per file") {
			var content strings.Builder
			for j := range n {
				line := fmt.Sprintf("%d/%d", i, j)
				want = append(want, line)
				content.WriteString(line + "\n")
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d", i)), []byte(content.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		source := NewSource(dir)
		ctx := sourceContext(0, 1)
		var got []string
		for attempts, ended := 0, false; !ended; attempts++ {
			r, err := source.Open(ctx)
			if err != nil {
				t.Fatal(err)
			}
			calls := rapid.IntRange(0, 4).Draw(t, "calls before the snapshot")
			if attempts == 20 {
				calls = -1
			}
			var lines []string
			lines, ended = drain(t, r, calls)
			got = append(got, lines...)
			entries, err := r.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			drain(t, r, 1) // lost in the crash
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			ctx = restoredContext(0, 1, entries)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("read %d lines, want %d", len(got), len(want))
		}
	})
}

func TestSourceRestoredAtItsEndReadsNothing(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "a\n"})
	r, err := NewSource(dir).Open(restoredContext(0, 1, nil))
	if err != nil {
		t.Fatal(err)
	}
	if lines, ended := drain(t, r, 1); len(lines) != 0 || !ended {
		t.Errorf("read %q again", lines)
	}
}

func TestSnapshotIsNotChangedByReadingOn(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": strings.Repeat("x\n", linesPerCall+1), "b": "y\n"})
	r, err := NewSource(dir).Open(sourceContext(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	drain(t, r, 1)
	entries, err := r.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	before := fmt.Sprint(entries)
	drain(t, r, -1)
	if after := fmt.Sprint(entries); after != before {
		t.Errorf("the snapshot changed from %s to %s", before, after)
	}
	if !strings.Contains(r.Position(), filepath.Join(dir, "b")) {
		t.Errorf("the position is %q, want file b", r.Position())
	}
}

func TestSourceRate(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a": strings.Repeat("x\n", 1000), "b": strings.Repeat("x\n", 1000)})
	synctest.Test(t, func(t *testing.T) {
		r, err := NewSource(dir, LinesPerSecond(200)).Open(sourceContext(0, 2)) // half of the rate
		if err != nil {
			t.Fatal(err)
		}
		start, n := time.Now(), 0
		for status := dataflow.Ready(); status != dataflow.End(); {
			lines := 0
			if status, err = r.Next(func(string) { lines++ }); err != nil {
				t.Fatal(err)
			}
			if n += lines; lines == 0 {
				time.Sleep(time.Millisecond) // in the bubble: lets its clock go on
			}
		}
		if took := time.Since(start); n != 1000 || took < 9*time.Second || took > 11*time.Second {
			t.Errorf("%d lines at 100 per second took %s, want 1000 in 10s", n, took)
		}
	})
}

func TestMissingInputIsPermanent(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "such")
	for _, ctx := range []dataflow.SourceContext{sourceContext(0, 1), restoredContext(0, 1, nil)} {
		_, err := NewSource(missing).Open(ctx)
		if err == nil || !errors.Is(err, os.ErrNotExist) || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), missing) {
			t.Errorf("restored %v: %v", ctx.Restored, err)
		}
	}
}

func TestFileThatHasGoneIsPermanent(t *testing.T) {
	dir := t.TempDir()
	r, err := NewSource(dir).Open(restoredContext(0, 1, [][]byte{wholeFile("gone", 5).appendTo(nil, formSplit)}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(func(string) {}); err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), "gone") {
		t.Errorf("got %v", err)
	}
}

func TestForeignStateIsRefused(t *testing.T) {
	_, err := NewSource(t.TempDir()).Open(restoredContext(0, 1, [][]byte{wholeFile("../up", 5).appendTo(nil, formSplit)}))
	if err == nil || !strings.Contains(err.Error(), "restored state") {
		t.Errorf("got %v", err)
	}
}

func TestSourceBoundsLines(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "short\nfar too long\n"})
	r, err := NewSource(dir, MaxLine(8)).Open(sourceContext(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	if _, err := r.Next(func(line string) { lines = append(lines, line) }); err == nil || len(lines) != 1 ||
		!strings.Contains(err.Error(), "f:6: ") {
		t.Errorf("read %q, %v", lines, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
