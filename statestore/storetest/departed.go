package storetest

import (
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// some are the processes of those numbers.
func some(numbers ...int) (nodes []checkpoint.NodeRef) {
	for _, n := range numbers {
		nodes = append(nodes, process(n))
	}
	return nodes
}

// sweep marks a store and, when it is the first of live, makes it ready to delete for those who are gone.
func sweep(t *testing.T, s *statestore.Swept, number uint64, live, gone []checkpoint.NodeRef) {
	t.Helper()
	s.Mark(number)
	if err := s.Fence(t.Context(), number, live, gone); err != nil {
		t.Fatal(err)
	}
}

func wantSwept(t *testing.T, s *statestore.Swept, number uint64, ref checkpoint.ChunkRef) {
	t.Helper()
	if _, _, err := s.Delete(t.Context(), number, []checkpoint.ChunkID{ref.ID}); err != nil {
		t.Fatalf("Delete in sweep %d: %v", number, err)
	}
}

// testDeparted: the first of the living deletes what others have left who are gone, and nobody deletes for the living.
func testDeparted(t *testing.T, objects statestore.Objects) {
	data := Chunk(1, 1000)
	ref := statestore.RefOf(data)
	gone, first, second := join(t, objects, 1), join(t, objects, 2), join(t, objects, 3)
	a, b := statestore.NewSwept(first), statestore.NewSwept(second)
	for _, s := range []*statestore.Shared{gone, first, second} {
		mustPut(t, s, data)
	}
	mustPut(t, gone, Chunk(2, 10))
	for _, s := range []*statestore.Swept{b, a} {
		sweep(t, s, 7, some(2, 3), some(1))
	}
	wantSwept(t, b, 7, ref)
	if keys := keysOf(t, objects, ref.ID); len(keys) != 2 {
		t.Fatalf("the second of the living left %v", keys)
	}
	wantSwept(t, a, 7, ref)
	wantAbsent(t, second, ref)
	wantContent(t, first, statestore.RefOf(Chunk(2, 10)), Chunk(2, 10)) // nobody condemned it

	// The second one lives, and has stored the chunk again: no sweep of the first touches that.
	mustPut(t, b, data)
	sweep(t, a, 8, some(2, 3), nil)
	wantSwept(t, a, 8, ref)
	wantHas(t, second, ref, true)
	wantContent(t, first, ref, data)

	// Without a fence nothing is deleted for others.
	a.Mark(9)
	wantSwept(t, a, 9, statestore.RefOf(Chunk(2, 10)))
	wantContent(t, first, statestore.RefOf(Chunk(2, 10)), Chunk(2, 10))
}

// testDepartedLives: a process that was taken for gone, and lives, relies on nothing that others may delete now.
func testDepartedLives(t *testing.T, objects statestore.Objects) {
	data, before := Chunk(1, 1000), Chunk(2, 1000)
	ref, beforeRef := statestore.RefOf(data), statestore.RefOf(before)
	zombie, first := join(t, objects, 1), join(t, objects, 2)
	mustPut(t, zombie, data)
	mustPut(t, zombie, before)
	a := statestore.NewSwept(first)
	sweep(t, a, 7, some(2), some(1))
	wantHas(t, zombie, beforeRef, false) // it is there still, and may go at any time
	mustPut(t, zombie, data)             // it was there, too
	wantSwept(t, a, 7, ref)
	wantSwept(t, a, 7, beforeRef)
	wantContent(t, first, ref, data)
	wantHas(t, zombie, ref, true)
	wantAbsent(t, zombie, beforeRef)

	// It lives on, and may be taken for gone again.
	sweep(t, a, 8, some(2, 1), nil)
	wantSwept(t, a, 8, ref)
	wantContent(t, first, ref, data)
	sweep(t, a, 9, some(2), some(1))
	wantSwept(t, a, 9, ref)
	wantAbsent(t, first, ref)
	wantHas(t, zombie, ref, false)
	mustPut(t, zombie, data)
	wantContent(t, first, ref, data)
}

// testLateProcess: who is not named as gone, because it begins after the mark, say, loses nothing, even when a later sweep
// has given it up meanwhile.
func testLateProcess(t *testing.T, objects statestore.Objects) {
	data := Chunk(1, 1000)
	first, second := join(t, objects, 1), join(t, objects, 2)
	a, b := statestore.NewSwept(first), statestore.NewSwept(second)
	sweep(t, a, 7, some(1), some(4))
	late := join(t, objects, 3)
	ref := mustPut(t, late, data)
	wantSwept(t, a, 7, ref)
	wantHas(t, late, ref, true)
	sweep(t, b, 8, some(2), some(3))
	wantSwept(t, a, 7, ref) // of a leader that does not know of its end
	wantContent(t, first, ref, data)
	wantSwept(t, b, 8, ref)
	wantAbsent(t, first, ref)
}

// testForgotten: who is gone and has left nothing is forgotten, others are not; and what a forgotten one stores late
// is found.
func testForgotten(t *testing.T, objects statestore.Objects) {
	data := Chunk(1, 1000)
	gone, first := join(t, objects, 1), join(t, objects, 2)
	ref := mustPut(t, gone, data)
	key := keysOf(t, objects, ref.ID)[0]
	a := statestore.NewSwept(first)
	owners := func() (names []string) {
		for record, err := range objects.List(t.Context(), "owners/") {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, strings.TrimPrefix(record.Key, "owners/")[:2])
		}
		return names
	}
	wantOwners := func(when string, want ...string) {
		t.Helper()
		list(t, first)
		if got := owners(); !slices.Equal(got, want) {
			t.Fatalf("%s there are records of %v, want %v", when, got, want)
		}
	}
	wantOwners("at first", "n1", "n2")
	if nodes, err := a.Owners(t.Context()); err != nil || len(nodes) != 2 || nodes[0] != process(1) || nodes[1] != process(2) {
		t.Fatalf("Owners: %v, %v", nodes, err)
	}
	sweep(t, a, 7, some(2), some(1))
	wantOwners("with a chunk left", "n1", "n2")
	if nodes, err := a.Owners(t.Context()); err != nil || !slices.Equal(nodes, some(2)) {
		t.Fatalf("Owners behind the fence: %v, %v", nodes, err)
	}
	wantSwept(t, a, 7, ref)
	wantOwners("with nothing left", "n2")

	replace(t, objects, key, data) // an upload that the network has delayed
	wantOwners("with a late upload", "n1", "n2")
	sweep(t, a, 8, some(2), nil)
	wantSwept(t, a, 8, ref)
	wantAbsent(t, first, ref)
	wantOwners("at the end", "n2")
	if _, err := gone.Put(t.Context(), data); err != nil { // it lives after all
		t.Fatal(err)
	}
	list(t, first)
	sweep(t, a, 9, some(2, 1), nil)
	wantSwept(t, a, 9, ref) // what it may have sent before it noticed
	wantContent(t, first, ref, data)
	wantOwners("with one who came back", "n1", "n2")
}
