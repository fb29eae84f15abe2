package statestore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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
		"a newer format":           {edit("savepoint.json", replace(`"format": 1`, `"format": 2`)), "format 2, this build reads 1"},
		"an unknown field":         {edit("savepoint.json", replace(`"format"`, `"more": 1, "format"`)), "unknown field"},
		"another job in the index": {edit("savepoint.json", replace(`"job": "01`, `"job": "02`)), "does not say what the manifest says"},
		"another chunk":            {edit("savepoint.json", replace(chunk.String(), manifest.ID.String())), "does not say what the manifest says"},
		"a path for a name":        {edit("savepoint.json", replace(manifest.ID.String(), "../../../../etc/passwd")), "want 64 hexadecimal digits"},
		"an enormous manifest":     {edit("savepoint.json", replace(`"manifest": {`, `"manifest": {"size": 99999999999, "ignored":`)), "savepoint.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := exportTo(t)
			test.spoil(t, dir)
			into := NewMemory()
			_, _, err := Import(t.Context(), dir, into, nil)
			if !errors.Is(err, ErrNotExported) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if n := len(into.refs()); n != 0 {
				t.Errorf("%d chunks were stored", n)
			}
		})
	}
	for _, name := range []string{"manifest", "savepoint.json"} {
		dir := exportTo(t)
		link(name)(t, dir)
		if _, _, err := Import(t.Context(), dir, NewMemory(), nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("linked %s: %v", name, err)
		}
	}
	if _, _, err := Import(t.Context(), filepath.Join(t.TempDir(), "nowhere"), NewMemory(), nil); !errors.Is(err, ErrNotExported) {
		t.Errorf("no directory: %v", err)
	}
}

// fullStore takes everything but manifests.
type fullStore struct{ *Memory }

var errFull = errors.New("no space")

func (s fullStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	if _, err := checkpoint.DecodeManifest(data); err == nil {
		return checkpoint.ChunkRef{}, errFull
	}
	return s.Memory.Put(ctx, data)
}

// The manifest is stored last: a store that has it has all that it names.
func TestImportStoresTheManifestLast(t *testing.T) {
	store, _, _ := exported(t)
	into := fullStore{NewMemory()}
	if _, _, err := Import(t.Context(), exportTo(t), into, nil); !errors.Is(err, errFull) {
		t.Fatalf("error %v", err)
	}
	if got, want := len(into.refs()), len(store.refs())-1; got != want {
		t.Errorf("%d chunks were stored before the manifest, want %d", got, want)
	}
}

// A store that calls a chunk by another name is not trusted with it.
func TestImportChecksTheNamesOfTheStore(t *testing.T) {
	if _, _, err := Import(t.Context(), exportTo(t), forgetfulStore{}, nil); err == nil || !strings.Contains(err.Error(), "the store calls it") {
		t.Errorf("error %v", err)
	}
}

type forgetfulStore struct{}

func (forgetfulStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, nil
}

func FuzzDecodeIndex(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "savepoint-v1.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
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
