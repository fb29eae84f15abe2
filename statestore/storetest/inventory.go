package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// inventory is a store that owns its copies.
type inventory interface {
	statestore.Store
	statestore.Inventory
}

func runInventory(t *testing.T, open func(t *testing.T) statestore.Store) {
	type test struct {
		name string
		run  func(*testing.T, inventory)
	}
	tests := []test{
		{"list", testList},
		{"list ends early", testListEndsEarly},
		{"delete", testDelete},
	}
	for seed := range uint64(3) {
		name := fmt.Sprintf("random operations, seed %d", seed)
		tests = append(tests, test{name, func(t *testing.T, s inventory) { testModel(t, s, seed) }})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t).(inventory)) })
	}
}

func list(t *testing.T, s inventory) []checkpoint.ChunkRef {
	t.Helper()
	var refs []checkpoint.ChunkRef
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		refs = append(refs, ref)
	}
	return refs
}

func byID(a, b checkpoint.ChunkRef) int { return bytes.Compare(a.ID[:], b.ID[:]) }

func testList(t *testing.T, s inventory) {
	if refs := list(t, s); len(refs) > 0 {
		t.Fatalf("an empty store lists %v", refs)
	}
	var want []checkpoint.ChunkRef
	for seed := range uint64(20) {
		want = append(want, mustPut(t, s, Chunk(seed, int(seed)*10)))
	}
	slices.SortFunc(want, byID)
	if got := list(t, s); !slices.Equal(got, want) {
		t.Fatalf("List:\n%v\nwant\n%v", got, want)
	}
}

func testListEndsEarly(t *testing.T, s inventory) {
	for seed := range uint64(5) {
		mustPut(t, s, Chunk(seed, 10))
	}
	seen := 0
	for _, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Fatalf("saw %d chunks before the break, want 2", seen)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range s.List(ctx) {
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Fatalf("List with a cancelled context ended with %v", last)
	}
}

func keepNone(checkpoint.ChunkID) bool { return false }

func wantDeleted(t *testing.T, s inventory, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool, wantDeleted, wantRefused int) {
	t.Helper()
	deleted, refused, err := s.Delete(t.Context(), ids, keep)
	if err != nil || deleted != wantDeleted || refused != wantRefused {
		t.Fatalf("Delete of %d chunks: %d deleted, %d refused, %v; want %d and %d", len(ids), deleted, refused, err, wantDeleted, wantRefused)
	}
}

func testDelete(t *testing.T, s inventory) {
	data, other, spared := Chunk(1, 100), Chunk(2, 100), Chunk(3, 100)
	ref, otherRef, sparedRef := mustPut(t, s, data), mustPut(t, s, other), mustPut(t, s, spared)
	ids := []checkpoint.ChunkID{ref.ID, sparedRef.ID}
	for range 2 { // again, as an interrupted sweep would
		wantDeleted(t, s, ids, func(id checkpoint.ChunkID) bool { return id == sparedRef.ID }, 1, 1)
		wantAbsent(t, s, ref)
	}
	wantContent(t, s, otherRef, other)
	wantContent(t, s, sparedRef, spared)
	wantDeleted(t, s, ids, keepNone, 2, 0)
	if got := list(t, s); !slices.Equal(got, []checkpoint.ChunkRef{otherRef}) {
		t.Fatalf("List after Delete: %v", got)
	}
	mustPut(t, s, data)
	wantContent(t, s, ref, data)
	wantDeleted(t, s, nil, keepNone, 0, 0)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if deleted, refused, err := s.Delete(ctx, ids, keepNone); !errors.Is(err, context.Canceled) || deleted+refused > 0 {
		t.Fatalf("Delete with a cancelled context: %d, %d, %v", deleted, refused, err)
	}
	wantHas(t, s, ref, true)
}

// testModel runs random operations, which depend on the seed alone, against the store and against a map:
// they must agree throughout.
func testModel(t *testing.T, s inventory, seed uint64) {
	const chunks, steps = 6, 100
	rng := rand.New(rand.NewPCG(seed, 0))
	stored := make(map[checkpoint.ChunkID]bool)
	for range steps {
		data := Chunk(rng.Uint64N(chunks), 64)
		ref := statestore.RefOf(data)
		switch rng.IntN(4) {
		case 0:
			mustPut(t, s, data)
			stored[ref.ID] = true
		case 1:
			wantDeleted(t, s, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
			delete(stored, ref.ID)
		case 2:
			if stored[ref.ID] {
				wantContent(t, s, ref, data)
				wantHas(t, s, ref, true)
			} else {
				wantAbsent(t, s, ref)
			}
		case 3:
			refs := list(t, s)
			if len(refs) != len(stored) || !slices.IsSortedFunc(refs, byID) {
				t.Fatalf("List: %v, want the %d of %v in order", refs, len(stored), stored)
			}
			for _, ref := range refs {
				if !stored[ref.ID] {
					t.Fatalf("List has %v, which is not stored", ref)
				}
			}
		}
	}
}
