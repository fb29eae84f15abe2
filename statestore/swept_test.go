package statestore_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/statestore/storetest"
)

// owners are the stores that sweeps run over.
func owners(t *testing.T) map[string]*statestore.Swept {
	t.Helper()
	shared, err := statestore.OpenShared(t.Context(), statestore.NewMemoryObjects("mem://test"), statestore.SharedOptions{
		Node: checkpoint.NodeRef{ID: "n1", Incarnation: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*statestore.Swept{
		"shared": statestore.NewSwept(shared),
		"local":  statestore.NewSwept(openLocal(t, t.TempDir())),
		"memory": statestore.NewSwept(statestore.NewMemory()),
	}
}

func wantSwept(t *testing.T, s *statestore.Swept, sweep uint64, id checkpoint.ChunkID, wantDeleted, wantRefused int) {
	t.Helper()
	deleted, refused, err := s.Delete(t.Context(), sweep, []checkpoint.ChunkID{id})
	if err != nil || deleted != wantDeleted || refused != wantRefused {
		t.Fatalf("Delete in sweep %d: %d deleted, %d refused, %v; want %d and %d", sweep, deleted, refused, err, wantDeleted, wantRefused)
	}
}

// I5: what a node was asked to keep since the mark is not deleted, however it was asked.
func TestI5_KeptSinceTheMark(t *testing.T) {
	data := storetest.Chunk(1, 100)
	ref := statestore.RefOf(data)
	asks := map[string]func(*statestore.Swept) error{
		"put":   func(s *statestore.Swept) error { _, err := s.Put(t.Context(), data); return err },
		"write": func(s *statestore.Swept) error { return s.Write(t.Context(), ref, data) },
		"keep":  func(s *statestore.Swept) error { _, err := s.Keep(t.Context(), ref); return err },
		"has":   func(s *statestore.Swept) error { _, err := s.Has(t.Context(), ref); return err },
		"replicated put": func(s *statestore.Swept) error {
			_, err := statestore.NewReplicated(s, "n1", livePeers{}, statestore.Options{Replicas: 1}).Put(t.Context(), data)
			return err
		},
		"put of a peer": func(s *statestore.Swept) error {
			return statestore.AsPeer(s).Put(t.Context(), ref, statestore.Encode(data))
		},
	}
	for how, ask := range asks {
		for name, s := range owners(t) {
			t.Run(how+"/"+name, func(t *testing.T) {
				mustPut(t, s, data) // long before
				s.Mark(1)
				if err := ask(s); err != nil {
					t.Fatal(err)
				}
				s.Mark(1) // sent again, behind a broken session
				wantSwept(t, s, 1, ref.ID, 0, 1)
				s.Mark(2)
				wantSwept(t, s, 2, ref.ID, 1, 0)
			})
		}
	}
}

// Reading a chunk does not keep it.
func TestGetDoesNotKeep(t *testing.T) {
	for name, s := range owners(t) {
		t.Run(name, func(t *testing.T) {
			ref := mustPut(t, s, storetest.Chunk(1, 100))
			s.Mark(1)
			if _, err := s.Get(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			wantSwept(t, s, 1, ref.ID, 1, 0)
		})
	}
}

// U8: without the mark of the very sweep in force nothing is deleted: before the first one, behind a restart, of a
// sweep that a newer one has replaced, of a deposed leader.
func TestU8_NoMarkNoDeletion(t *testing.T) {
	dir := t.TempDir()
	data := storetest.Chunk(1, 100)
	refuses := func(s *statestore.Swept, sweep uint64) {
		t.Helper()
		ids := []checkpoint.ChunkID{statestore.RefOf(data).ID}
		if deleted, refused, err := s.Delete(t.Context(), sweep, ids); !errors.Is(err, statestore.ErrNoMark) || deleted+refused > 0 {
			t.Fatalf("Delete in sweep %d: %d, %d, %v; want ErrNoMark", sweep, deleted, refused, err)
		}
	}
	own, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := statestore.NewSwept(own)
	mustPut(t, s, data)
	refuses(s, 0)
	refuses(s, 1)
	s.Mark(7)
	refuses(s, 6)
	refuses(s, 8)
	s.Mark(6) // of an older leader: it does not bring its sweep back
	refuses(s, 6)
	if err := own.Close(); err != nil {
		t.Fatal(err)
	}

	s = statestore.NewSwept(openLocal(t, dir)) // the node starts again
	refuses(s, 7)
	s.Mark(8)
	wantSwept(t, s, 8, statestore.RefOf(data).ID, 1, 0)
}

// I5: a Put that returned after the mark leaves its chunk in place, however it races with deletions of that chunk and
// with further marks.
func TestI5_PutsRaceDeletions(t *testing.T) {
	for name, s := range owners(t) {
		t.Run(name, func(t *testing.T) {
			const chunks, rounds = 4, 150
			var all sync.WaitGroup
			for round := range uint64(rounds) {
				// What is put before this mark may go; what is put behind it may not.
				s.Mark(round + 1)
				rng := rand.New(rand.NewPCG(1, round))
				wanted := storetest.Chunk(rng.Uint64N(chunks), 64)
				for range 2 {
					all.Go(func() {
						var ids []checkpoint.ChunkID
						for n := range uint64(chunks) {
							ids = append(ids, statestore.RefOf(storetest.Chunk(n, 64)).ID)
						}
						if _, _, err := s.Delete(t.Context(), round+1, ids); err != nil {
							t.Errorf("Delete: %v", err)
						}
					})
				}
				all.Go(func() {
					ref, err := s.Put(t.Context(), wanted)
					if err != nil {
						t.Errorf("Put: %v", err)
						return
					}
					if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, wanted) {
						t.Errorf("round %d: the chunk is gone behind its Put: %v", round, err)
					}
				})
				all.Wait()
				if _, err := s.Get(t.Context(), statestore.RefOf(wanted)); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
		})
	}
}
