package file

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func sinkContext(index int, attempt checkpoint.Attempt, restored bool) dataflow.SinkContext {
	return dataflow.SinkContext{
		Subtask: checkpoint.SubtaskID{Vertex: "write", Index: index}, Parallelism: 2, Attempt: attempt, Restored: restored,
		Job:    checkpoint.JobID{1, 2, 3, 4},
		Logger: slog.New(slog.DiscardHandler),
	}
}

func newTestSink(dir string) *Sink[string] {
	return NewSink(dir, func(dst []byte, s string) []byte { return append(dst, s...) })
}

// openSink opens the sink and recovers it from handles.
func openSink(t *testing.T, dir string, attempt checkpoint.Attempt, handles ...[]byte) dataflow.SinkWriter[string] {
	t.Helper()
	w, err := newTestSink(dir).Open(sinkContext(0, attempt, attempt > 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), handles); err != nil {
		t.Fatal(err)
	}
	return w
}

func write(t *testing.T, w dataflow.SinkWriter[string], records ...string) {
	t.Helper()
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
}

func preCommit(t *testing.T, w dataflow.SinkWriter[string], id checkpoint.ID) []byte {
	t.Helper()
	handle, err := w.PreCommit(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func commit(t *testing.T, w dataflow.SinkWriter[string], handle []byte) {
	t.Helper()
	if err := w.Commit(t.Context(), handle); err != nil {
		t.Fatal(err)
	}
}

// output returns the committed lines, sorted.
func output(t *testing.T, dir string) []string {
	t.Helper()
	var lines []string
	for _, name := range list(t, dir) {
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

func wantOutput(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := output(t, dir); !slices.Equal(got, want) {
		t.Fatalf("the output is %q, want %q", got, want)
	}
}

func TestSinkShowsNothingBeforeTheCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	w := openSink(t, dir, 1)
	write(t, w, "a", "b")
	wantOutput(t, dir)
	first := preCommit(t, w, 1)
	wantOutput(t, dir)
	write(t, w, "c")
	second := preCommit(t, w, 2)
	commit(t, w, first)
	wantOutput(t, dir, "a", "b")
	commit(t, w, second)
	commit(t, w, first)
	wantOutput(t, dir, "a", "b", "c")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "part-01020304-0-1-0", "part-01020304-0-1-1")
}

func TestEmptyTransactionMakesNoFile(t *testing.T) {
	dir := t.TempDir()
	w := openSink(t, dir, 1)
	if handle := preCommit(t, w, 1); handle != nil {
		t.Errorf("an empty transaction has the handle %q", handle)
	}
	wantFiles(t, dir)
}

func TestCloseGivesUpTheOpenFileOnly(t *testing.T) {
	dir := t.TempDir()
	w := openSink(t, dir, 1)
	write(t, w, "a")
	preCommit(t, w, 1)
	write(t, w, "b")
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir, "part-01020304-0-1-0.pending")
	}
}

// I7 in small: the crash comes after checkpoint 1 completed, at different points of its commit. Records of
// checkpoint 1 must be there once, later ones not at all.
func TestSinkRecovers(t *testing.T) {
	for name, committed := range map[string]bool{"before the commit": false, "after the commit": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := openSink(t, dir, 1)
			write(t, w, "a")
			handle := preCommit(t, w, 1)
			if committed {
				commit(t, w, handle)
			}
			write(t, w, "lost: pre-committed for checkpoint 2, which never completes")
			preCommit(t, w, 2)
			write(t, w, "lost: still open")
			// The process dies here; nothing is closed.
			w = openSink(t, dir, 2, handle)
			wantOutput(t, dir, "a")
			wantFiles(t, dir, "part-01020304-0-1-0", "part-01020304-0-1-1.pending")
			write(t, w, "b")
			commit(t, w, preCommit(t, w, 3))
			settle(t, w)
			wantOutput(t, dir, "a", "b")
			wantFiles(t, dir, "part-01020304-0-1-0", "part-01020304-0-2-0")
			// A second crash right after the restore restores the same handle again.
			openSink(t, dir, 3, handle)
			wantOutput(t, dir, "a", "b")
		})
	}
}

// Another attempt would not find it either, so the job fails instead of restarting.
// What was published may have been moved on, and the output of another job's savepoint lies elsewhere.
func TestRecoverPassesOverWhatIsGone(t *testing.T) {
	dir := t.TempDir()
	w := openSink(t, dir, 1)
	write(t, w, "a")
	handle := preCommit(t, w, 1)
	if err := os.Remove(filepath.Join(dir, "part-01020304-0-1-0.pending")); err != nil {
		t.Fatal(err)
	}
	w, err := newTestSink(dir).Open(sinkContext(0, 2, true))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), [][]byte{handle}); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestHandlesAreChecked(t *testing.T) {
	w := openSink(t, t.TempDir(), 1)
	bad := []byte("../../etc/part-01020304-0-1-0")
	if err := w.Commit(t.Context(), bad); err == nil {
		t.Error("Commit took a foreign path")
	}
	if err := w.Recover(t.Context(), [][]byte{bad}); err == nil || !dataflow.FailureOf(err).Permanent {
		t.Errorf("Recover of a foreign path: %v", err)
	}
}

func TestFreshStartRefusesForeignOutput(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"part-01020304-7-1-0": "of an earlier job\n"})
	w, err := newTestSink(dir).Open(sinkContext(0, 1, false))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), nil); err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
	openSink(t, dir, 2) // a restored one goes on beside what the job has written
}

func TestFreshStartRemovesWhatAnAttemptBeforeItLeft(t *testing.T) {
	dir := t.TempDir()
	w := openSink(t, dir, 1)
	write(t, w, "a")
	preCommit(t, w, 1)
	write(t, w, "b")
	w, err := newTestSink(dir).Open(sinkContext(0, 2, false)) // no checkpoint has completed
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Recover(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir)
}

func TestOutputThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	writeFiles(t, filepath.Dir(path), map[string]string{"f": ""})
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		if _, err := newTestSink(dir).Open(sinkContext(0, 1, false)); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// A closed writer gives its file up also when making it durable has failed half way.
func TestCloseAfterFailedPreCommit(t *testing.T) {
	dir := t.TempDir()
	w := openSink(t, dir, 1)
	write(t, w, "a")
	if err := os.Remove(filepath.Join(dir, "part-01020304-0-1-0.inprogress")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PreCommit(t.Context(), 4); err == nil || !strings.Contains(err.Error(), "checkpoint 4") {
		t.Errorf("got %v", err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// A job that goes on from a savepoint of another one, in the same directory and with another parallelism: the
// transactions of the old subtasks are dealt to the new ones in any way, and names do not clash.
func TestSinkOfAJobThatGoesOnFromAnother(t *testing.T) {
	dir := t.TempDir()
	var handles [][]byte
	for index := range 3 {
		w, err := newTestSink(dir).Open(sinkContext(index, 1, false))
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, "committed before")
		commit(t, w, preCommit(t, w, 1))
		write(t, w, "of the savepoint")
		handles = append(handles, preCommit(t, w, 2))
	}
	dealt := [][][]byte{handles[2:], handles[:2]}
	for index := range 2 {
		ctx := sinkContext(index, 1, true)
		ctx.Job = checkpoint.JobID{9}
		w, err := newTestSink(dir).Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Recover(t.Context(), dealt[index]); err != nil {
			t.Fatal(err)
		}
		write(t, w, "new")
		commit(t, w, preCommit(t, w, 3))
	}
	wantOutput(t, dir, "committed before", "committed before", "committed before", "new", "new",
		"of the savepoint", "of the savepoint", "of the savepoint")
}

func settle(t *testing.T, w dataflow.SinkWriter[string]) {
	t.Helper()
	if err := w.(dataflow.SettlingWriter).Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// The parallelism of a job changes from 3 to 2, twice in a row because the first attempt in the new shape dies at once.
// Transactions of the old subtasks are dealt to the new ones in any way, and they recover one after the other: none gives
// up what another one has still to commit. What no checkpoint names is gone when all have, whoever wrote it.
func TestR1_SinkOfARescaledJob(t *testing.T) {
	dir := t.TempDir()
	var handles [][]byte
	for index := range 3 {
		w, err := newTestSink(dir).Open(sinkContext(index, 1, false))
		if err != nil {
			t.Fatal(err)
		}
		write(t, w, "of the checkpoint")
		handles = append(handles, preCommit(t, w, 1))
		write(t, w, "lost: pre-committed for a checkpoint that never completes")
		preCommit(t, w, 2)
		write(t, w, "lost: still open")
	}
	dealt := [][][]byte{handles[2:], handles[:2]}
	for attempt := checkpoint.Attempt(2); attempt <= 3; attempt++ {
		var writers []dataflow.SinkWriter[string]
		for index := range 2 {
			w, err := newTestSink(dir).Open(sinkContext(index, attempt, true))
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Recover(t.Context(), dealt[index]); err != nil {
				t.Fatal(err)
			}
			writers = append(writers, w)
		}
		if attempt == 2 {
			for _, w := range writers {
				write(t, w, "lost: the attempt dies")
				preCommit(t, w, 3)
			}
			continue
		}
		for _, w := range writers {
			settle(t, w)
		}
	}
	wantOutput(t, dir, "of the checkpoint", "of the checkpoint", "of the checkpoint")
	wantFiles(t, dir, "part-01020304-0-1-0", "part-01020304-1-1-0", "part-01020304-2-1-0")
}
