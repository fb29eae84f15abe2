package dataflow

import (
	"bytes"
	"errors"
	"maps"
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

// chunksOf cuts content into chunks of size bytes and returns the reader of it.
func chunksOf(t testing.TB, b []byte, size int) *chunkReader {
	t.Helper()
	r := &chunkReader{ctx: t.Context(), store: newMemoryStore()}
	for len(b) > 0 {
		n := min(size, len(b))
		ref, err := r.store.Put(t.Context(), b[:n])
		if err != nil {
			t.Fatal(err)
		}
		r.refs, b = append(r.refs, ref), b[n:]
	}
	return r
}

func readList(t testing.TB, b []byte) ([][]byte, error) {
	r, err := newStateReader(chunksOf(t, b, len(b)), int64(len(b)), listMagic, listFormatVersion)
	if err != nil {
		return nil, err
	}
	return r.list(checkpoint.UnknownEntries, checkpoint.EntryRange{})
}

func TestListFormat(t *testing.T) {
	for _, entries := range [][][]byte{{}, {{}}, {[]byte("a"), bytes.Repeat([]byte("b"), 1000)}} {
		b := content(t, func(w *chunkWriter) error { return w.writeList(entries) })
		got, err := readList(t, b)
		if err != nil || len(got) != len(entries) || len(got) > 0 && !bytes.Equal(got[len(got)-1], entries[len(got)-1]) {
			t.Errorf("%q became %q, %v", entries, got, err)
		}
		for cut := range b {
			if _, err := readList(t, b[:cut]); !errors.Is(err, errState) {
				t.Errorf("%q cut to %d of %d bytes: %v", entries, cut, len(b), err)
			}
		}
	}
	for name, bad := range map[string]string{
		"a newer format": "CRNL\x02\x00", "another kind": "CRNK\x01\x00", "bytes behind": "CRNL\x01\x00x",
		"an impossible count": "CRNL\x01\xff\xff\xff\xff\x0f",
	} {
		if _, err := readList(t, []byte(bad)); !errors.Is(err, errState) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeyedFormatIsStable holds the persisted form: state that this version wrote must be readable for ever.
func TestKeyedFormatIsStable(t *testing.T) {
	const golden = "CRNK\x02" + "\x05" + "\x05count" + "\x01" + "\x01" + "\x03" + "\x01k\x0e"
	s := &capturedShard{table: "count", kind: tableOfValues, group: 5, count: 1, data: []byte("\x01k\x0e"), serve: func() {}}
	b := content(t, func(w *chunkWriter) error {
		return w.writeKeyed(capturedKeyed{shards: []*capturedShard{s}})
	})
	if string(b) != golden {
		t.Errorf("written as %q, want %q", b, golden)
	}
}

// TestKeyedFormatOneIsRead: the first version did not say what a table holds.
func TestKeyedFormatOneIsRead(t *testing.T) {
	b := []byte("CRNK\x01" + "\x05" + "\x05count" + "\x01" + "\x03" + "\x01k\x0e")
	r, err := newStateReader(chunksOf(t, b, len(b)), int64(len(b)), keyedMagic, keyedFormatVersion)
	if err != nil {
		t.Fatal(err)
	}
	err = r.keyed(checkpoint.KeyGroupRange{First: 5, Last: 5}, func(group int, table string, kind tableKind, count int, rows []byte) error {
		if group != 5 || table != "count" || kind != tableOfValues || count != 1 || string(rows) != "\x01k\x0e" {
			t.Errorf("group %d, table %s of %s, %d rows: %q", group, table, kind, count, rows)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// FuzzStateReader feeds arbitrary content to the restore of list and keyed state: no panic, no allocation
// beyond the content, and only errors that say what is wrong.
func FuzzStateReader(f *testing.F) {
	f.Add([]byte("CRNL\x01\x02\x01a\x00"))
	f.Add([]byte("CRNK\x01\x00\x05count\x01\x03\x01k\x0e"))
	f.Add([]byte("CRNK\x02\x00\x05count\x01\x01\x03\x01k\x0e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readList(t, b); err != nil && !errors.Is(err, errState) {
			t.Errorf("list: %v", err)
		}
		for _, groups := range []checkpoint.KeyGroupRange{{First: 0, Last: testGroups - 1}, {First: 3, Last: 4}} {
			r, err := newStateReader(chunksOf(t, b, 7), int64(len(b)), keyedMagic, keyedFormatVersion)
			if err != nil {
				return
			}
			s, _ := countTable(t)
			_ = r.keyed(groups, s.loadShard) // the codec's and the table's errors are of many kinds
		}
	})
}

// TestLoadChecksKeyGroups: a key in the wrong group means that the key's encoding has changed since the
// snapshot; its records would be sent elsewhere.
func TestLoadChecksKeyGroups(t *testing.T) {
	s, table := countTable(t)
	entry := append(s.keys.Append(nil, "k"), 14)
	group := s.groupOf("k")
	empty := (group + 2) % testGroups
	if err := s.loadShard(group, "count", tableOfValues, 1, entry); err != nil {
		t.Error(err)
	}
	if got := maps.Collect(table.All()); len(got) != 1 || got["k"] != 7 {
		t.Errorf("%v, want k = 7", got)
	}
	for name, err := range map[string]error{
		"wrong group":   s.loadShard((group+1)%testGroups, "count", tableOfValues, 1, entry),
		"foreign group": s.loadShard(testGroups, "count", tableOfValues, 1, entry),
		"no such table": s.loadShard(group, "sum", tableOfValues, 1, entry),
		"another kind":  s.loadShard(empty, "count", tableOfLists, 1, entry),
		"twice":         s.loadShard(group, "count", tableOfValues, 1, entry),
		"too few keys":  s.loadShard(empty, "count", tableOfValues, 2, entry),
		"bytes behind":  s.loadShard(empty, "count", tableOfValues, 0, entry),
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
