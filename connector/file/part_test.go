package file

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testJob is what stands for the job in the names of its parts.
const testJob = "01020304"

// list returns the names in a directory, sorted.
func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Fatalf("the directory holds %q, want %q", got, want)
	}
}

func TestPartLife(t *testing.T) {
	dir := t.TempDir()
	p := part{job: testJob, subtask: 1, attempt: 2, seq: 3}
	w, err := createPart(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "part-01020304-1-2-3.inprogress")
	if err := w.write([]byte("a\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "part-01020304-1-2-3.pending")
	for range 2 { // commit is idempotent
		if err := commitPart(dir, p); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir, "part-01020304-1-2-3")
	}
	if content, err := os.ReadFile(filepath.Join(dir, p.String())); err != nil || string(content) != "a\n" {
		t.Errorf("content %q, %v", content, err)
	}
}

func TestPartAbort(t *testing.T) {
	dir := t.TempDir()
	w, err := createPart(dir, part{job: testJob})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.abort(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir)
	if w, err = createPart(dir, part{job: testJob}); err != nil {
		t.Fatal(err)
	}
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := abortPart(dir, part{job: testJob}); err != nil {
			t.Fatal(err)
		}
		wantFiles(t, dir)
	}
}

func TestCommitReportsLostOutput(t *testing.T) {
	dir := t.TempDir()
	err := commitPart(dir, part{job: testJob, subtask: 4})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "part-01020304-4-0-0")) {
		t.Errorf("commit of a file that is not there: %v", err)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"part-01020304-0-1-0": "old", "part-01020304-0-1-0.pending": "new", "part-01020304-0-1-1.inprogress": "x"})
	if err := commitPart(dir, part{job: testJob, attempt: 1}); err == nil {
		t.Error("commit wrote over a final file")
	}
	if _, err := createPart(dir, part{job: testJob, attempt: 1, seq: 1}); err == nil {
		t.Error("create wrote over an open file")
	}
	if content, _ := os.ReadFile(filepath.Join(dir, "part-01020304-0-1-0")); string(content) != "old" {
		t.Errorf("final file now holds %q", content)
	}
}

func TestParsePart(t *testing.T) {
	for _, p := range []part{{job: testJob}, {job: "abcdef00", subtask: 12, attempt: 1<<32 - 1, seq: 1<<64 - 1}} {
		if got, err := parsePart(p.String()); err != nil || got != p {
			t.Errorf("%s parses as %+v, %v", p, got, err)
		}
	}
	for _, name := range []string{"", "part", "part-1-2", "part-01020304-1-2-3-4", "part-01020304-01-2-3", "part--1-2-3", "part-+1-2-3",
		"part-01020304-1-2-3.pending", "part-01020304-1-4294967296-3", "../part-01020304-1-2-3", "tarp-1-2-3"} {
		if p, err := parsePart(name); err == nil {
			t.Errorf("%q parses as %+v", name, p)
		}
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"part-01020304-0-1-0", "part-01020304-0-1-1.pending", "part-01020304-0-1-2.pending", "part-01020304-0-1-3.inprogress", // ours of attempt 1
		"part-01020304-0-2-0.inprogress",                              // of a newer attempt than 1
		"part-01020304-1-1-0.pending", "part-01020304-10-1-0.pending", // other subtasks'
		"part-01020304-3-1-0.pending", "part-01020304-6-1-0.inprogress", // of subtasks that there are no more, for us
		"part-ffffffff-0-1-0.pending", // another job's
		"notes.pending", "part-01020304-0-x-0.pending",
	} {
		writeFiles(t, dir, map[string]string{name: ""})
	}
	found, err := leftovers(dir)
	if err != nil {
		t.Fatal(err)
	}
	own := part{job: testJob, subtask: 0, attempt: 2}
	if err := sweep(dir, found, own, 3, false); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "notes.pending", "part-01020304-0-1-0", "part-01020304-0-1-1.pending", "part-01020304-0-1-2.pending", "part-01020304-0-2-0.inprogress",
		"part-01020304-0-x-0.pending", "part-01020304-1-1-0.pending", "part-01020304-10-1-0.pending", "part-01020304-3-1-0.pending", "part-ffffffff-0-1-0.pending")
	if err := sweep(dir, found, own, 3, true); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "notes.pending", "part-01020304-0-1-0", "part-01020304-0-2-0.inprogress", "part-01020304-0-x-0.pending",
		"part-01020304-1-1-0.pending", "part-01020304-10-1-0.pending", "part-ffffffff-0-1-0.pending")
}

func TestCheckUnused(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"part-01020304-0-1-0.pending": "", "README": ""})
	found, err := leftovers(dir)
	if err != nil || checkUnused(dir, found) != nil {
		t.Errorf("uncommitted files count as used: %v", err)
	}
	writeFiles(t, dir, map[string]string{"part-01020304-3-1-0": ""})
	if found, err = leftovers(dir); err != nil || checkUnused(dir, found) == nil {
		t.Errorf("committed output is taken for unused: %v", err)
	}
}
