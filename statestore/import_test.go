package statestore

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"cairn/checkpoint"
)

// A directory that is damaged anywhere is refused, with the name of the file, before anything is stored.
func TestImportRefusesWhatIsNotWhole(t *testing.T) {
	_, manifest, m := exported(t)
	chunk := m.Subtasks[2].Handles[0].Chunks[0].ID
	edit := func(name string, change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := change(string(data))
			if changed == string(data) {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(old, with string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, with, 1) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	add := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path, elsewhere := filepath.Join(dir, name), filepath.Join(t.TempDir(), "elsewhere")
			if err := errors.Join(os.Rename(path, elsewhere), os.Symlink(elsewhere, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	chunkFile := "chunks/" + chunk.String()
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"a flipped bit":            {edit(chunkFile, replace("\x02", "\x03")), chunkFile},
		"a chunk cut short":        {edit(chunkFile, func(s string) string { return s[:100] }), chunkFile},
		"a longer chunk":           {edit(chunkFile, func(s string) string { return s + "x" }), chunkFile},
		"a missing chunk":          {remove(chunkFile), chunkFile},
		"no chunks at all":         {remove("chunks"), "chunks: it is missing"},
		"an extra chunk":           {add("chunks/" + manifest.ID.String()), manifest.ID.String() + ": the manifest does not name it"},
		"an extra file":            {add("chunks/notes.txt"), "notes.txt: the manifest does not name it"},
		"a linked chunk":           {link(chunkFile), "not a regular file"},
		"a damaged manifest":       {edit("manifest", replace("count", "Count")), "manifest"},
		"no manifest":              {remove("manifest"), "manifest: it is missing"},
		"no index":                 {remove("savepoint.json"), "savepoint.json: it is missing"},
		"half an index":            {edit("savepoint.json", func(s string) string { return s[:len(s)/2] }), "savepoint.json"},
		"bytes behind the index":   {edit("savepoint.json", func(s string) string { return s + "{}" }), "savepoint.json"},
		"a newer format":           {edit("savepoint.json", replace(`"format": 2`, `"format": 3`)), "format 3, this build reads 1 to 2"},
		"no format":                {edit("savepoint.json", replace(`"format": 2`, `"format": 0`)), "format 0, this build reads 1 to 2"},
		"another name of the job":  {edit("savepoint.json", replace(`"wordcount"`, `"wordcounts"`)), "its checksum is"},
		"no checksum":              {edit("savepoint.json", replace(`"checksum": "`, `"checksum": "x`)), "its checksum is"},
		"an unknown field":         {edit("savepoint.json", replace(`"format"`, `"more": 1, "format"`)), "unknown field"},
		"another job in the index": {edit("savepoint.json", resigned(replace(`"job": "01`, `"job": "02`))), "does not say what the manifest says"},
		"another chunk":            {edit("savepoint.json", resigned(replace(chunk.String(), manifest.ID.String()))), "does not say what the manifest says"},
		"a path for a name":        {edit("savepoint.json", resigned(replace(manifest.ID.String(), "../../../../etc/passwd"))), "want 64 hexadecimal digits"},
		"an enormous manifest":     {edit("savepoint.json", replace(`"manifest": {`, `"manifest": {"size": 99999999999, "ignored":`)), "savepoint.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := exportTo(t)
			test.spoil(t, dir)
			_, err := OpenExported(t.Context(), dir, nil)
			if !errors.Is(err, ErrNotExported) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
	for _, name := range []string{"manifest", "savepoint.json"} {
		dir := exportTo(t)
		link(name)(t, dir)
		if _, err := OpenExported(t.Context(), dir, nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("linked %s: %v", name, err)
		}
	}
	if _, err := OpenExported(t.Context(), filepath.Join(t.TempDir(), "nowhere"), nil); !errors.Is(err, ErrNotExported) {
		t.Errorf("no directory: %v", err)
	}
}

// resigned is a change behind which somebody has put a checksum that fits.
func resigned(change func(string) string) func(string) string {
	return func(s string) string {
		var index exportIndex
		if err := json.Unmarshal([]byte(change(s)), &index); err != nil {
			panic(err)
		}
		text, err := index.signed(index.JobName).encode()
		if err != nil {
			panic(err)
		}
		return string(text)
	}
}

// A directory of version 1 has neither the job's name nor a checksum of its index.
func TestImportOfVersion1(t *testing.T) {
	dir := exportTo(t)
	text, err := os.ReadFile(filepath.Join("testdata", "savepoint-v1.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "savepoint.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if x, err := OpenExported(t.Context(), dir, nil); err != nil || x.JobName() != "" {
		t.Errorf("%+v, %v", x, err)
	}
}

// fullStore takes some chunks and no more.
type fullStore struct {
	placing
	room *atomic.Int64
}

var errFull = errors.New("no space")

func (s fullStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	if s.room.Add(-1) < 0 {
		return checkpoint.ChunkRef{}, errFull
	}
	return s.placing.Put(ctx, data)
}

// An import that was interrupted goes on where it ended: what is there is not stored again.
func TestImportGoesOn(t *testing.T) {
	store, ref, _ := exported(t)
	dir, into := exportTo(t), fullStore{placing{NewMemory()}, new(atomic.Int64)}
	x, err := OpenExported(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	into.room.Store(3)
	if err := x.StoreManifest(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	if has, err := into.Has(t.Context(), ref); err != nil || !has {
		t.Fatalf("the manifest is there: %t, %v", has, err)
	}
	if _, err := x.StoreChunks(t.Context(), into, nil); !errors.Is(err, errFull) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("error %v", err)
	}
	into.room.Store(100)
	left := len(store.refs()) - len(into.refs())
	if stored, err := x.StoreChunks(t.Context(), into, nil); err != nil || stored != left || len(into.refs()) != len(store.refs()) {
		t.Errorf("%d chunks were stored, want the %d that were missing, %v", stored, left, err)
	}
	if stored := importAll(t, dir, into, nil); stored != 0 {
		t.Errorf("%d chunks were stored that were all there", stored)
	}
}

// A file that changes after it was verified is found all the same.
func TestImportVerifiesWhatItStores(t *testing.T) {
	dir := exportTo(t)
	x, err := OpenExported(t.Context(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(x.dir.chunk(x.chunks[0].ID), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := x.StoreChunks(t.Context(), placing{NewMemory()}, nil); !errors.Is(err, ErrNotExported) {
		t.Errorf("error %v", err)
	}
}

// A store that calls a chunk by another name is not trusted with it.
func TestImportChecksTheNamesOfTheStore(t *testing.T) {
	x, err := OpenExported(t.Context(), exportTo(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.StoreChunks(t.Context(), forgetfulStore{}, nil); err == nil || !strings.Contains(err.Error(), "the store calls it") {
		t.Errorf("error %v", err)
	}
	if err := x.StoreManifest(t.Context(), forgetfulStore{}); err == nil || !strings.Contains(err.Error(), "the store calls it") {
		t.Errorf("error %v", err)
	}
}

type forgetfulStore struct{}

func (forgetfulStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, nil
}

func (forgetfulStore) Placed(context.Context, checkpoint.ChunkRef) (bool, error) { return false, nil }

func FuzzDecodeIndex(f *testing.F) {
	for _, name := range []string{"savepoint-v1.json", "savepoint-v2.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"format": 1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		index, err := decodeIndex(b)
		if err != nil {
			return
		}
		again, err := index.encode()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := decodeIndex(again); err != nil || !same.equal(index) {
			t.Fatalf("%+v became %+v, %v", index, same, err)
		}
		_, _ = index.manifestRef()
	})
}
