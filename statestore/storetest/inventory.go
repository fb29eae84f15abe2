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

func testDelete(t *testing.T, s inventory) {
	data, other := Chunk(1, 100), Chunk(2, 100)
	ref, kept := mustPut(t, s, data), mustPut(t, s, other)
	for range 2 { // again, as an interrupted sweep would
		if err := s.Delete(t.Context(), ref.ID); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantAbsent(t, s, ref)
	}
	wantContent(t, s, kept, other)
	if got := list(t, s); !slices.Equal(got, []checkpoint.ChunkRef{kept}) {
		t.Fatalf("List after Delete: %v", got)
	}
	mustPut(t, s, data)
	wantContent(t, s, ref, data)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Delete(ctx, ref.ID); !errors.Is(err, context.Canceled) {
		t.Fatalf("Delete with a cancelled context: %v", err)
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
			if err := s.Delete(t.Context(), ref.ID); err != nil {
				t.Fatalf("Delete: %v", err)
			}
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
