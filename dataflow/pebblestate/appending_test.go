package pebblestate

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAppendedInOrder: what was appended is read in order, wherever its pieces lie by then.
func TestAppendedInOrder(t *testing.T) {
	s := openStore(t, vfs.Default)
	defer closeAll(t, s)
	row, want := []byte{0, 1}, ""
	if err := s.Put(row, []byte("base ")); err != nil {
		t.Fatal(err)
	}
	want += "base "
	check := func(when string) {
		t.Helper()
		if v, found, err := s.Get(nil, row); string(v) != want || !found || err != nil {
			t.Fatalf("%s: %q, %v, %v; want %q", when, v, found, err, want)
		}
	}
	for i := range 60 {
		piece := fmt.Sprint(i, " ")
		want += piece
		if err := s.Append(row, []byte(piece)); err != nil {
			t.Fatal(err)
		}
		check("in the write buffer")
		if i%5 == 0 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			check("flushed")
		}
		if i%20 == 19 {
			if err := s.db.Compact(t.Context(), firstRow, lastRow, false); err != nil {
				t.Fatal(err)
			}
			check("merged")
		}
	}
}

// TestAppendedByTheDefault: what stores of earlier builds have appended with Pebble's own merge operator is read alike.
func TestAppendedByTheDefault(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: format, Logger: logger{slog.New(slog.DiscardHandler), newFault(func(error) {})}})
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []string{"a", "b", "c"} {
		if err := db.Merge([]byte{0, 1}, []byte(piece), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	closeAll(t, db)
	b, err := New(Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := b.Open(dir, nil, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if v, found, err := s.Get(nil, []byte{0, 1}); string(v) != "abc" || !found || err != nil {
		t.Errorf("%q, %v, %v", v, found, err)
	}
	closeAll(t, s)
}
