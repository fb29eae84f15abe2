package statestore

import (
	"context"
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

// interleaved is a store in whose calls something else happens.
type interleaved struct {
	*Memory
	inWrite  func() // when the chunk is there, before the write returns
	inDelete func() // before the second chunk is looked at
}

func (s *interleaved) writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	err := s.Memory.writeVerified(ctx, ref, c)
	s.inWrite()
	return err
}

func (s *interleaved) Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (int, int, error) {
	looked := 0
	return s.Memory.Delete(ctx, ids, func(id checkpoint.ChunkID) bool {
		if looked++; looked == 2 {
			s.inDelete()
		}
		return keep(id)
	})
}

// I5: a Delete that comes between a Put's finding the chunk and its return spares the chunk.
func TestI5_DeleteInsideAPut(t *testing.T) {
	own := &interleaved{Memory: NewMemory()}
	s := NewSwept(own)
	ref, err := own.Put(t.Context(), []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	s.Mark(1)
	own.inWrite = func() {
		if deleted, _, err := s.Delete(t.Context(), 1, []checkpoint.ChunkID{ref.ID}); deleted > 0 || err != nil {
			t.Errorf("Delete inside the Put: %d deleted, %v", deleted, err)
		}
	}
	if _, err := s.Put(t.Context(), []byte("content")); err != nil {
		t.Fatal(err)
	}
	if has, err := s.Has(t.Context(), ref); !has || err != nil {
		t.Fatalf("behind the Put: %v, %v", has, err)
	}
}

// U8: a deletion that is under way when the next mark comes stops: what was kept under its own mark is forgotten.
func TestU8_NextMarkEndsADeletion(t *testing.T) {
	own := &interleaved{Memory: NewMemory(), inWrite: func() {}}
	s := NewSwept(own)
	var ids []checkpoint.ChunkID
	for _, data := range []string{"a", "b", "c"} {
		ref, err := s.Put(t.Context(), []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ref.ID)
	}
	s.Mark(1)
	own.inDelete = func() { s.Mark(2) }
	deleted, refused, err := s.Delete(t.Context(), 1, ids)
	if deleted != 1 || refused != 2 || !errors.Is(err, ErrNoMark) {
		t.Fatalf("Delete: %d deleted, %d refused, %v", deleted, refused, err)
	}
}
