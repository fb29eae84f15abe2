package dataflow

import (
	"bytes"
	"errors"
	"testing"

	"cairn/checkpoint"
)

// content returns what the writer stored, as one piece.
func content(t testing.TB, write func(*chunkWriter) error) []byte {
	t.Helper()
	store := newMemoryStore()
	w := &chunkWriter{ctx: t.Context(), store: store}
	if err := errors.Join(write(w), w.flush()); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, ref := range w.refs {
		chunk, err := store.Get(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, chunk...)
	}
	return all
}

func readList(b []byte) ([][]byte, error) {
	r, err := newStateReader(bytes.NewReader(b), int64(len(b)), listMagic)
	if err != nil {
		return nil, err
	}
	return r.list()
}

func TestListFormat(t *testing.T) {
	for _, entries := range [][][]byte{{}, {{}}, {[]byte("a"), bytes.Repeat([]byte("b"), 1000)}} {
		b := content(t, func(w *chunkWriter) error { return w.writeList(entries) })
		got, err := readList(b)
		if err != nil || len(got) != len(entries) || len(got) > 0 && !bytes.Equal(got[len(got)-1], entries[len(got)-1]) {
			t.Errorf("%q became %q, %v", entries, got, err)
		}
		for cut := range b {
			if _, err := readList(b[:cut]); !errors.Is(err, errState) {
				t.Errorf("%q cut to %d of %d bytes: %v", entries, cut, len(b), err)
			}
		}
	}
	for name, bad := range map[string]string{
		"a newer format": "CRNL\x02\x00", "another kind": "CRNK\x01\x00", "bytes behind": "CRNL\x01\x00x",
		"an impossible count": "CRNL\x01\xff\xff\xff\xff\x0f",
	} {
		if _, err := readList([]byte(bad)); !errors.Is(err, errState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyedFormatIsStable holds the persisted form: state that this version wrote must be readable for ever.
func TestKeyedFormatIsStable(t *testing.T) {
	const golden = "CRNK\x01" + "\x05" + "\x05count" + "\x01" + "\x03" + "\x01k\x0e"
	s := &capturedShard{table: "count", group: 5, count: 1, data: []byte("\x01k\x0e"), serve: func() {}}
	b := content(t, func(w *chunkWriter) error {
		return w.writeKeyed(capturedKeyed{shards: []*capturedShard{s}})
	})
	if string(b) != golden {
		t.Errorf("written as %q, want %q", b, golden)
	}
}

// FuzzStateReader feeds arbitrary content to the restore of list and keyed state: no panic, no allocation
// beyond the content, and only errors that say what is wrong.
func FuzzStateReader(f *testing.F) {
	f.Add([]byte("CRNL\x01\x02\x01a\x00"))
	f.Add([]byte("CRNK\x01\x00\x05count\x01\x03\x01k\x0e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readList(b); err != nil && !errors.Is(err, errState) {
			t.Errorf("list: %v", err)
		}
		r, err := newStateReader(bytes.NewReader(b), int64(len(b)), keyedMagic)
		if err != nil {
			return
		}
		s, _ := countTable(t)
		_ = r.keyed(s.loadShard) // the codec's and the table's errors are of many kinds
	})
}

// TestLoadChecksKeyGroups: a key in the wrong group means that the key's encoding has changed since the
// snapshot; its records would be sent elsewhere.
func TestLoadChecksKeyGroups(t *testing.T) {
	s, table := countTable(t)
	entry := append(s.keys.Append(nil, "k"), 14)
	group := s.groupOf("k")
	if err := s.loadShard(group, "count", 1, entry); err != nil || table.shards[group].entries["k"] != 7 {
		t.Errorf("%v, %v", table.shards[group].entries, err)
	}
	for name, err := range map[string]error{
		"wrong group":   s.loadShard((group+1)%testGroups, "count", 1, entry),
		"foreign group": s.loadShard(testGroups, "count", 1, entry),
		"no such table": s.loadShard(group, "sum", 1, entry),
		"too few keys":  s.loadShard(group, "count", 2, entry),
		"bytes behind":  s.loadShard(group, "count", 0, entry),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	other, _ := countTable(t)
	other.groups = checkpoint.KeyGroupRange{First: 0, Last: 3}
	state := &operatorState{keyed: []keyedHandle{{handle: checkpoint.Handle{KeyGroups: s.groups}}}}
	if err := state.loadKeyed(other); err == nil {
		t.Error("state of other key groups was loaded")
	}
}
