package statestore

import (
	"encoding/binary"
	"errors"
	"testing"

	"cairn/checkpoint"
)

// A mark that would remember too much is given up: it spares everything, and sending it again does not revive it.
func TestMarkIsGivenUpWhenItGrows(t *testing.T) {
	s := NewSwept(NewMemory())
	ref, err := s.Put(t.Context(), []byte("old"))
	if err != nil {
		t.Fatal(err)
	}
	s.Mark(1)
	var id checkpoint.ChunkID
	for n := range uint64(maxKept + 1) {
		binary.BigEndian.PutUint64(id[:], n)
		s.note(id)
	}
	s.Mark(1)
	if _, _, err := s.Delete(t.Context(), 1, []checkpoint.ChunkID{ref.ID}); !errors.Is(err, ErrNoMark) {
		t.Fatalf("Delete: %v, want ErrNoMark", err)
	}
	s.Mark(2)
	if deleted, _, err := s.Delete(t.Context(), 2, []checkpoint.ChunkID{ref.ID}); deleted != 1 || err != nil {
		t.Fatalf("Delete in the next sweep: %d, %v", deleted, err)
	}
}
