package statestore

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

// The change feed tells everything that happens to a chunk, in order, and nothing else.
func TestChangeFeed(t *testing.T) {
	fsys := newCrashFS()
	var told []ChangeKind
	data := noise(1, 3000)
	ref := RefOf(data)
	s, err := openLocal(fsys, crashDir, LocalOptions{OnChange: func(c Change) {
		if c.Ref != ref {
			t.Errorf("told of %v", c.Ref)
		}
		told = append(told, c.Kind)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	put := func() {
		if _, err := s.Put(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(keep bool) {
		if _, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{ref.ID}, func(checkpoint.ChunkID) bool { return keep }); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		want []ChangeKind
	}{
		{"put", put, []ChangeKind{ChunkAdded}},
		{"put again", put, nil},
		{"delete of a chunk that is kept", func() { remove(true) }, nil},
		{"delete", func() { remove(false) }, []ChangeKind{ChunkRemoved}},
		{"delete again", func() { remove(false) }, nil},
		{"link", func() {
			writeUnsynced(t, fsys, linkable+"/1.sst", data)
			if err := putLink(t, s, data, linkable+"/1.sst"); err != nil {
				t.Fatal(err)
			}
		}, []ChangeKind{ChunkAdded}},
		{"damage found by a read", func() {
			spoil(t, fsys, s.chunk(ref.ID))
			if _, err := s.Get(t.Context(), ref); err == nil {
				t.Fatal("served")
			}
		}, []ChangeKind{ChunkCorrupt}},
		{"put of what was damaged", put, []ChangeKind{ChunkAdded}},
		{"damage found by a put", func() { spoil(t, fsys, s.chunk(ref.ID)); put() }, []ChangeKind{ChunkCorrupt, ChunkAdded}},
		{"file gone", func() {
			if err := fsys.Remove(s.chunk(ref.ID)); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), ref); err == nil {
				t.Fatal("served")
			}
		}, []ChangeKind{ChunkCorrupt}},
	} {
		told = nil
		if step.do(); !slices.Equal(told, step.want) {
			t.Errorf("%s: told %v, want %v", step.name, told, step.want)
		}
	}
}
