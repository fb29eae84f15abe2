package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cairn/checkpoint"
)

// exported returns a store with a checkpoint in it, and its manifest. Two handles share a chunk.
func exported(t testing.TB) (*Memory, checkpoint.ChunkRef, checkpoint.Manifest) {
	t.Helper()
	store := NewMemory()
	put := func(data []byte) checkpoint.ChunkRef {
		ref, err := store.Put(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	shared := put([]byte("shared"))
	m := checkpoint.Manifest{
		Job: checkpoint.JobID{1, 2}, ID: 7, Attempt: 3, Kind: checkpoint.KindSavepoint, TriggerTimestamp: 1_700_000_000_123,
		Vertices: []checkpoint.Vertex{{ID: "count", Operators: []checkpoint.OperatorID{"count", "write"}, Parallelism: 3, MaxParallelism: 128}},
	}
	for i := range 3 {
		m.Subtasks = append(m.Subtasks, checkpoint.SubtaskState{
			Subtask: checkpoint.SubtaskID{Vertex: "count", Index: i},
			Handles: []checkpoint.Handle{
				{Operator: "count", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(i, 128, 3),
					Chunks: []checkpoint.ChunkRef{put(bytes.Repeat([]byte{byte(i)}, 1000*i)), shared}},
				{Operator: "write", Name: "transactions", Kind: checkpoint.ListState, Entries: i, Chunks: []checkpoint.ChunkRef{put(fmt.Append(nil, i))}},
			},
		})
	}
	data, err := checkpoint.EncodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	return store, put(data), m
}

// exportTo returns a directory with the checkpoint of exported in it.
func exportTo(t testing.TB) string {
	t.Helper()
	store, ref, _ := exported(t)
	dir := filepath.Join(t.TempDir(), "sp")
	if _, err := Export(t.Context(), store, ref, "wordcount", dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExportIsSelfContained(t *testing.T) {
	store, ref, want := exported(t)
	dir := filepath.Join(t.TempDir(), "sp")
	var last [2]int64
	progress := func(done, total int64) {
		if done < last[0] {
			t.Errorf("progress from %d to %d", last[0], done)
		}
		last = [2]int64{done, total}
	}
	m, err := Export(t.Context(), store, ref, "wordcount", dir, progress)
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Fatalf("exported %+v, %v", m, err)
	}
	if last != [2]int64{3009, 3009} {
		t.Errorf("the progress ends with %v", last)
	}
	for range 2 { // verified, and stored
		last = [2]int64{}
		x, err := OpenExported(t.Context(), dir, progress)
		if err != nil || x.Ref() != ref || !reflect.DeepEqual(x.Manifest(), want) || x.JobName() != "wordcount" {
			t.Fatalf("opened %+v, %v", x, err)
		}
		if chunks, bytes := x.Size(); last != [2]int64{3009, 3009} || chunks != len(store.refs())-1 || bytes != 3009 {
			t.Errorf("the progress ends with %v of %d chunks, %d bytes", last, chunks, bytes)
		}
	}
	last = [2]int64{}
	into := placing{NewMemory()}
	importAll(t, dir, into, progress)
	if last != [2]int64{3009, 3009} {
		t.Errorf("the progress ends with %v", last)
	}
	if !reflect.DeepEqual(into.refs(), store.refs()) {
		t.Errorf("%d chunks arrived, of %d", len(into.refs()), len(store.refs()))
	}
}

// placing is a store of one node.
type placing struct{ *Memory }

func (p placing) Placed(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	return p.Has(ctx, ref)
}

// importAll imports a directory.
func importAll(t *testing.T, dir string, into Putter, progress Progress) (stored int) {
	t.Helper()
	x, err := OpenExported(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.StoreManifest(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	if stored, err = x.StoreChunks(t.Context(), into, progress); err != nil {
		t.Fatal(err)
	}
	return stored
}

// The index is for people, and the persisted form of version 2: it stays readable for ever.
func TestExportedIndex(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(exportTo(t), "savepoint.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(filepath.Join("testdata", "savepoint-v2.json"))
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(golden) {
		t.Errorf("the index has changed; a new form needs a new version:\n%s", text)
	}
}

func TestExportRefusesADirectoryThatIsInUse(t *testing.T) {
	store, ref, _ := exported(t)
	dir := t.TempDir()
	if _, err := Export(t.Context(), store, ref, "wordcount", dir, nil); err != nil {
		t.Fatalf("into an empty directory: %v", err)
	}
	if _, err := Export(t.Context(), store, ref, "wordcount", dir, nil); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("over an earlier export: %v", err)
	}
	if _, err := Export(t.Context(), store, ref, "", filepath.Join(dir, "manifest"), nil); err == nil {
		t.Error("over a file")
	}
	if _, err := OpenExported(t.Context(), dir, nil); err != nil {
		t.Errorf("the earlier export is damaged: %v", err)
	}
}

// failingGetter fails at one chunk.
type failingGetter struct {
	*Memory
	at  checkpoint.ChunkID
	err error // nil means other bytes
}

func (g failingGetter) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	if ref.ID == g.at {
		return []byte("other"), g.err
	}
	return g.Memory.Get(ctx, ref)
}

func TestFailedExportLeavesNothing(t *testing.T) {
	store, ref, m := exported(t)
	chunk := m.Subtasks[2].Handles[0].Chunks[0].ID
	for name, from := range map[string]failingGetter{
		"a chunk is lost":      {store, chunk, ErrUnavailable},
		"a chunk is damaged":   {store, chunk, nil},
		"the manifest is lost": {store, ref.ID, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := Export(t.Context(), from, ref, "", filepath.Join(parent, "sp"), nil)
			if want := errors.Is(err, ErrUnavailable) || errors.Is(err, ErrCorrupt); !want || !strings.Contains(err.Error(), from.at.String()) {
				t.Errorf("error %v", err)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
				t.Errorf("%d entries are left, %v", len(left), err)
			}
		})
	}
}

// Wherever the process or the machine dies, what stands under the export's name is whole.
func TestExportSurvivesCrashes(t *testing.T) {
	store, ref, _ := exported(t)
	for _, existed := range []bool{false, true} {
		whole, none := 0, 0
		for crashAt := 1; ; crashAt++ {
			fsys := newCrashFS()
			dirs := []string{"/backup"}
			if existed {
				dirs = append(dirs, "/backup/sp")
			}
			for _, dir := range dirs {
				if err := errors.Join(fsys.Mkdir(dir), fsys.SyncDir(filepath.Dir(dir))); err != nil {
					t.Fatal(err)
				}
			}
			fsys.crashAt = len(fsys.changes) + crashAt
			_, err := export(t.Context(), fsys, store, ref, "wordcount", "/backup/sp", nil)
			after := []*crashFS{fsys.afterKill()}
			for seed := range uint64(8) {
				after = append(after, fsys.afterPowerLoss(seed))
			}
			for _, left := range after {
				i := &Exported{fs: left, dir: exportDir{"/backup/sp"}}
				importErr := i.verify(t.Context(), nil)
				entries, dirErr := left.ReadDir("/backup/sp")
				switch {
				case importErr == nil:
					whole++
				case errors.Is(dirErr, fs.ErrNotExist) || existed && len(entries) == 0:
					none++
				default:
					t.Fatalf("crash at %d: %v", crashAt, importErr)
				}
				if err == nil && importErr != nil {
					t.Fatalf("a finished export is gone: %v", importErr)
				}
			}
			if err == nil {
				break
			}
		}
		if whole < 5 || none < 50 {
			t.Errorf("%d whole ones, %d that are not there: the test has lost its teeth", whole, none)
		}
	}
}
