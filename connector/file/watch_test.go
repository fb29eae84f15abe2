package file

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cairn/dataflow"
)

func at(path string, size, modified int64) listed {
	return listed{path: path, stamp: stamp{size: size, modified: modified}}
}

func TestFilesAreTakenWhenTheyStandStill(t *testing.T) {
	steps := []struct {
		listing []listed
		taken   []string // new in this step
	}{
		{[]listed{at("a", 5, 1), at("b", 5, 9), at("c", 5, 2), at("empty", 0, 1)}, nil},
		{[]listed{at("a", 5, 1), at("b", 6, 10), at("c", 5, 3), at("empty", 0, 1)}, []string{"a"}},      // b grew, c was written over
		{[]listed{at("a", 9, 9), at("b", 6, 10), at("c", 5, 3), at("empty", 0, 1)}, []string{"c", "b"}}, // a was taken as it was; the oldest goes first
		{[]listed{at("d", 5, 1)}, nil},
		{nil, nil},
		{[]listed{at("d", 5, 1)}, nil}, // gone in between: seen once again
		{[]listed{at("d", 5, 1)}, []string{"d"}},
	}
	w := newWatched()
	for i, step := range steps {
		before := len(w.waiting)
		w.observe(step.listing)
		if got := paths(w.waiting[before:]); !slices.Equal(got, step.taken) {
			t.Errorf("step %d takes %q, want %q", i, got, step.taken)
		}
	}
	if a := w.waiting[0]; a != wholeFile("a", 5) {
		t.Errorf("a is %+v, want the 5 bytes that stood still", a)
	}
}

// What has been read is forgotten when it has gone for long, and not when a listing misses it.
func TestFinishedFilesAreForgotten(t *testing.T) {
	w := newWatched()
	w.take(wholeFile("a", 5))
	w.finished(wholeFile("a", 5))
	there := []listed{at("a", 5, 1)}
	for i, listing := range [][]listed{there, nil, nil, there, there, nil, nil} {
		w.observe(listing)
		if !w.done.has("a") || len(w.waiting) != 1 {
			t.Fatalf("step %d: it is read again", i)
		}
	}
	w.observe(nil)
	if w.done.has("a") || len(w.done.appendEntries(nil)) != 0 {
		t.Errorf("it is remembered: %q", w.done.appendEntries(nil))
	}
}

// Blocks are as many as they have to be, and a full one is not encoded again.
func TestFinishedBlocks(t *testing.T) {
	f := newFinishedFiles()
	for i := range 2*blockFiles + 1 {
		f.add(fmt.Sprintf("dir/file-%05d.json", i))
	}
	first := f.appendEntries(nil)
	if len(first) != 3 {
		t.Fatalf("%d blocks, want 3", len(first))
	}
	if size := len(bytes.Join(first, nil)); size > 12*(2*blockFiles+1) {
		t.Errorf("%d names of 20 bytes take %d bytes: what they share is written again and again", f.count(), size)
	}
	before := slices.Clone(first[2])
	f.add("another")
	second := f.appendEntries(nil)
	if &first[0][0] != &second[0][0] || !bytes.Equal(first[2], before) || bytes.Equal(second[2], before) {
		t.Error("a full block was encoded again, or an entry that was given away has changed")
	}
}

func TestFinishedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make(map[string]bool)
		for _, path := range rapid.SliceOf(rapid.StringMatching(`([a-cé]{1,3}/){0,2}[a-c]{1,9}`)).Draw(t, "paths") {
			want[filepath.FromSlash(path)] = true
		}
		got, err := decodeFinished(encodeFinished(want))
		if err != nil || len(got) != len(want) || slices.ContainsFunc(got, func(path string) bool { return !want[path] }) {
			t.Fatalf("%v come back as %q, %v", want, got, err)
		}
	})
}

func FuzzDecodeFinished(f *testing.F) {
	f.Add(encodeFinished(map[string]bool{"a/b": true, "a/c": true}))
	f.Add([]byte{0, formFinished, 1, 1})
	f.Add([]byte{0, formFinished, 0, 4, '.', '.', '/', 'x'})
	f.Fuzz(func(t *testing.T, entry []byte) {
		paths, err := decodeFinished(entry)
		if err != nil {
			return
		}
		for _, path := range paths {
			if !filepath.IsLocal(path) {
				t.Errorf("%q leads out of the input", path)
			}
		}
	})
}

func TestUnreadyFilesAreNotListed(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"a.csv": "x", "sub/b.csv": "x", "c.txt": "x", ".d.csv": "x", "_e.csv": "x", ".hidden/f.csv": "x", "_tmp/g.csv": "x",
		"part-01020304-0-1-0.csv": "x", "part-01020304-0-1-1.csv.pending": "x", "part-01020304-0-1-2.csv.inprogress": "x",
	})
	if err := os.Symlink(filepath.Join(dir, "a.csv"), filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	everything := func(string) bool { return true }
	for suffix, want := range map[string][]string{
		".csv": {"a.csv", "part-01020304-0-1-0.csv", "sub/b.csv"},
		"":     {"a.csv", "c.txt", "part-01020304-0-1-0.csv", "sub/b.csv"},
	} {
		listing, err := listWatched(dir, suffix, everything)
		var got []string
		for _, l := range listing {
			got = append(got, filepath.ToSlash(l.path))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("suffix %q: listed %q, %v, want %q", suffix, got, err, want)
		}
	}
	if _, err := listWatched(filepath.Join(dir, "missing"), "", everything); err == nil {
		t.Error("a directory that has gone is taken for an empty one")
	}
}

// State of the one kind of source must not be taken for that of the other: files would be read again, or never.
func TestWatchingIsNotChangedUnderAJob(t *testing.T) {
	dir := t.TempDir()
	bounded := [][]byte{wholeFile("a", 5).appendTo(nil, formSplit)}
	watching := [][]byte{wholeFile("a", 5).appendTo(nil, formWatched)}
	finished := [][]byte{encodeFinished(map[string]bool{"a": true})}
	for name, err := range map[string]error{
		"bounded to watching": errorOf(NewSource(dir, Watch(time.Second)).Open(restoredContext(0, 1, bounded))),
		"watching to bounded": errorOf(NewSource(dir).Open(restoredContext(0, 1, watching))),
		"finished to bounded": errorOf(NewSource(dir).Open(restoredContext(0, 1, finished))),
	} {
		if err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), "a source that watches") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if NewSource(dir).UnionSplits() || !NewSource(dir, Watch(time.Second)).UnionSplits() {
		t.Error("the list is dealt out to those who watch, or given whole to those who do not")
	}
}

func TestWatchWantsADirectory(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "a\n"})
	for _, input := range []string{filepath.Join(dir, "f"), filepath.Join(dir, "missing")} {
		if _, err := NewSource(input, Watch(time.Second)).Open(sourceContext(0, 1)); err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), input) {
			t.Errorf("%s: %v", input, err)
		}
	}
}

// A watcher waits without turning round, and wakes up when there may be something new.
func TestWatchWakesUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, err := NewSource(dir, Watch(time.Minute)).Open(sourceContext(0, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Close() }()
		ready := r.(*reader[string]).files.(*watched).lister.ready
		next := func(want ...string) {
			t.Helper()
			<-ready
			var got []string
			status, err := r.Next(func(line string) { got = append(got, line) })
			if err != nil || !slices.Equal(got, want) || status != dataflow.IdleOn(ready) {
				t.Fatalf("read %q, %v, %v; want %q, and to be woken up", got, err, status, want)
			}
		}
		next()
		start := time.Now()
		writeFiles(t, dir, map[string]string{"f": "a\nb\n"})
		next()
		next("a", "b")
		if waited := time.Since(start); waited != 2*time.Minute {
			t.Errorf("it took %s, want two intervals", waited)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		<-ready
		if _, err := r.Next(func(string) {}); err == nil {
			t.Error("nobody hears that the directory has gone")
		}
	})
}

// Each file of the restored list is one subtask's, whoever had it before: the state of all does not grow with restores.
func TestRestoredFilesHaveOneOwner(t *testing.T) {
	finished, entries := make(map[string]bool), [][]byte(nil)
	for i := range 40 {
		finished[fmt.Sprint("done", i)] = true
		entries = append(entries, wholeFile(fmt.Sprint("waits", i), 5).appendTo(nil, formWatched))
	}
	entries = append(entries, encodeFinished(finished))
	done, waiting := 0, 0
	for index := range 3 {
		w := newWatched()
		if err := w.restore(entries, func(path string) bool { return owner(path, 3) == index }); err != nil {
			t.Fatal(err)
		}
		if w.done.count() == 0 || len(w.waiting) == 0 {
			t.Errorf("subtask %d has no share", index)
		}
		done += w.done.count()
		waiting += len(w.waiting)
	}
	if done != 40 || waiting != 40 {
		t.Errorf("%d files that were read and %d that wait, want 40 of each", done, waiting)
	}
}
