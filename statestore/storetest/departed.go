package storetest

import (
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// sweep marks a store and makes it ready to delete on behalf of those who are not among the living.
func sweep(t *testing.T, s *statestore.Swept, number uint64, live ...checkpoint.NodeRef) {
	t.Helper()
	s.Mark(number)
	if err := s.Fence(t.Context(), number, live); err != nil {
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
	live := []checkpoint.NodeRef{process(2), process(3)}
	for _, s := range []*statestore.Swept{b, a} {
		sweep(t, s, 7, live...)
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
	sweep(t, a, 8, live...)
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
	sweep(t, a, 7, process(2))
	wantHas(t, zombie, beforeRef, false) // it is there still, and may go at any time
	mustPut(t, zombie, data)             // it was there, too
	wantSwept(t, a, 7, ref)
	wantSwept(t, a, 7, beforeRef)
	wantContent(t, first, ref, data)
	wantHas(t, zombie, ref, true)
	wantAbsent(t, zombie, beforeRef)

	// It lives on, and may be taken for gone again.
	sweep(t, a, 8, process(2), process(1))
	wantSwept(t, a, 8, ref)
	wantContent(t, first, ref, data)
	sweep(t, a, 9, process(2))
	wantSwept(t, a, 9, ref)
	wantAbsent(t, first, ref)
	wantHas(t, zombie, ref, false)
	mustPut(t, zombie, data)
	wantContent(t, first, ref, data)
}

// testLateProcess: who begins after the mark is not among the living that it names, and loses nothing all the same, even
// when a later sweep has given it up meanwhile.
func testLateProcess(t *testing.T, objects statestore.Objects) {
	data := Chunk(1, 1000)
	first, second := join(t, objects, 1), join(t, objects, 2)
	a, b := statestore.NewSwept(first), statestore.NewSwept(second)
	sweep(t, a, 7, process(1))
	late := join(t, objects, 3)
	ref := mustPut(t, late, data)
	wantSwept(t, a, 7, ref)
	wantHas(t, late, ref, true)
	sweep(t, b, 8, process(2))
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
	sweep(t, a, 7, process(2))
	wantOwners("with a chunk left", "n1", "n2")
	wantSwept(t, a, 7, ref)
	wantOwners("with nothing left", "n2")

	replace(t, objects, key, data) // an upload that the network has delayed
	wantOwners("with a late upload", "n1", "n2")
	sweep(t, a, 8, process(2))
	wantSwept(t, a, 8, ref)
	wantAbsent(t, first, ref)
	wantOwners("at the end", "n2")
	if _, err := gone.Put(t.Context(), data); err != nil { // it lives after all
		t.Fatal(err)
	}
	list(t, first)
	sweep(t, a, 9, process(2), process(1))
	wantSwept(t, a, 9, ref) // what it may have sent before it noticed
	wantContent(t, first, ref, data)
	wantOwners("with one who came back", "n1", "n2")
}
