package storetest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// RunShared runs the suite of Shared over a kind of store of objects. open returns a new, empty one for each test.
func RunShared(t *testing.T, open func(t *testing.T) statestore.Objects) {
	Run(t, func(t *testing.T) statestore.Store { return join(t, open(t), 1) })
	for _, test := range []struct {
		name string
		run  func(*testing.T, statestore.Objects)
	}{
		{"processes keep their own", testOwnCopies},
		{"compressed", testCompressed},
		{"concurrent puts of two processes", testConcurrentOwners},
		{"each chunk is listed once", testListShared},
		{"damaged object", testDamagedObject},
		{"object of another chunk", testMisplacedObject},
		{"foreign objects", testForeignObjects},
		{"object that somebody removed", testRemovedObject},
		{"what the departed left", testDeparted},
		{"departed process that lives", testDepartedLives},
		{"process that began after the mark", testLateProcess},
		{"process of which nothing is left", testForgotten},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// process is the n-th process that uses a store.
func process(n int) checkpoint.NodeRef {
	return checkpoint.NodeRef{ID: checkpoint.NodeID("n" + string(rune('0'+n))), Incarnation: checkpoint.Incarnation(n)}
}

// join returns the store as the n-th process has it.
func join(t *testing.T, objects statestore.Objects, n int) *statestore.Shared {
	t.Helper()
	s, err := statestore.OpenShared(t.Context(), objects, statestore.SharedOptions{Node: process(n)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testOwnCopies(t *testing.T, objects statestore.Objects) {
	a, b, reader := join(t, objects, 1), join(t, objects, 2), join(t, objects, 3)
	data := Chunk(1, 1000)
	ref := mustPut(t, a, data)
	wantContent(t, b, ref, data)
	wantHas(t, b, ref, false) // it is not b's: a may delete it
	mustPut(t, b, data)
	wantHas(t, b, ref, true)
	wantDeleted(t, a, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
	wantHas(t, a, ref, false)
	wantHas(t, b, ref, true)
	for _, s := range []*statestore.Shared{a, b, reader} {
		wantContent(t, s, ref, data)
	}
	wantDeleted(t, reader, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0) // it has none, so it takes none
	wantContent(t, reader, ref, data)
	wantDeleted(t, b, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
	wantAbsent(t, reader, ref)
}

// testCompressed: what can be compressed is stored so, and stays so on its way to others.
func testCompressed(t *testing.T, objects statestore.Objects) {
	a, b := join(t, objects, 1), join(t, objects, 2)
	data := bytes.Repeat([]byte("a value of a key, "), 5000)
	ref := mustPut(t, a, data)
	wantHas(t, a, ref, true)
	encoded, err := b.GetEncoded(t.Context(), ref)
	if err != nil || encoded.Encoding != statestore.EncodingZstd || len(encoded.Data) > len(data)/2 {
		t.Fatalf("GetEncoded: %s, %d of %d bytes, %v", encoded.Encoding, len(encoded.Data), len(data), err)
	}
	if err := b.WriteEncoded(t.Context(), ref, encoded); err != nil {
		t.Fatal(err)
	}
	wantHas(t, b, ref, true)
	keys := keysOf(t, objects, ref.ID)
	if len(keys) != 2 {
		t.Fatalf("stored are %v", keys)
	}
	for _, key := range keys {
		wantObject(t, objects, key, encoded.Data)
	}
	for _, s := range []*statestore.Shared{a, b, join(t, objects, 3)} {
		wantContent(t, s, ref, data)
	}
	if r := a.Report(); r.Chunks != 1 || r.Bytes != ref.Size || r.StoredBytes != int64(len(encoded.Data)) || r.Path != objects.Name() {
		t.Errorf("Report: %+v", r)
	}
	replace(t, objects, keys[0], encoded.Data[:len(encoded.Data)-1])
	replace(t, objects, keys[1], []byte("no frame"))
	if got, err := a.Get(t.Context(), ref); !errors.Is(err, statestore.ErrCorrupt) {
		t.Fatalf("Get of damaged frames: %d bytes, %v", len(got), err)
	}
}

func testConcurrentOwners(t *testing.T, objects statestore.Objects) {
	owners := []*statestore.Shared{join(t, objects, 1), join(t, objects, 2)}
	data := Chunk(1, 100_000)
	ref := statestore.RefOf(data)
	var all sync.WaitGroup
	for i := range 8 {
		s := owners[i%2]
		all.Go(func() {
			if _, err := s.Put(t.Context(), data); err != nil {
				t.Errorf("Put: %v", err)
			}
			if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Get right after Put: %d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
	for i, s := range owners {
		wantHas(t, s, ref, true)
		wantDeleted(t, s, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
		if i == 0 {
			wantContent(t, s, ref, data)
		}
	}
	wantAbsent(t, owners[0], ref)
}

func testListShared(t *testing.T, objects statestore.Objects) {
	a, b := join(t, objects, 1), join(t, objects, 2)
	var want []checkpoint.ChunkRef
	for seed := range uint64(10) {
		data := Chunk(seed, int(seed)*10)
		if seed%3 != 0 {
			mustPut(t, a, data)
		}
		if seed%3 != 1 {
			mustPut(t, b, data)
		}
		want = append(want, statestore.RefOf(data))
	}
	slices.SortFunc(want, byID)
	for _, s := range []*statestore.Shared{a, b, join(t, objects, 3)} {
		if got := list(t, s); !slices.Equal(got, want) {
			t.Fatalf("List:\n%v\nwant\n%v", got, want)
		}
	}
}

// keysOf returns the keys of a chunk's objects.
func keysOf(t *testing.T, objects statestore.Objects, id checkpoint.ChunkID) (keys []string) {
	t.Helper()
	for object, err := range objects.List(t.Context(), "chunks/") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(object.Key, id.String()) {
			keys = append(keys, object.Key)
		}
	}
	return keys
}

func replace(t *testing.T, objects statestore.Objects, key string, data []byte) {
	t.Helper()
	if err := objects.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

// testDamagedObject: a bad copy is never served; the next good one is. Its owner stores it anew when it is put again.
func testDamagedObject(t *testing.T, objects statestore.Objects) {
	a, b := join(t, objects, 1), join(t, objects, 2)
	data := Chunk(1, 1000)
	ref := mustPut(t, a, data)
	flipped := bytes.Clone(data)
	flipped[500] ^= 1
	own := keysOf(t, objects, ref.ID)[0]
	for _, bad := range [][]byte{flipped, data[:999], append(bytes.Clone(data), 0), {}} {
		replace(t, objects, own, bad)
		for _, s := range []*statestore.Shared{a, b} {
			if got, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrCorrupt) {
				t.Fatalf("Get of %d damaged bytes: %d bytes, %v", len(bad), len(got), err)
			}
		}
	}
	wantHas(t, a, ref, false) // it has seen the damage
	mustPut(t, b, data)
	for _, s := range []*statestore.Shared{a, b, join(t, objects, 3)} {
		wantContent(t, s, ref, data)
	}
	mustPut(t, a, data)
	wantHas(t, a, ref, true)
	wantDeleted(t, b, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
	wantContent(t, b, ref, data)
	wantDeleted(t, a, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0) // the damaged one too
	if keys := keysOf(t, objects, ref.ID); len(keys) > 0 {
		t.Errorf("left behind: %v", keys)
	}
}

// testMisplacedObject: what is stored under the name of another chunk is not served for it.
func testMisplacedObject(t *testing.T, objects statestore.Objects) {
	a, b := join(t, objects, 1), join(t, objects, 2)
	ref := mustPut(t, a, Chunk(1, 1000))
	replace(t, objects, keysOf(t, objects, ref.ID)[0], Chunk(2, 1000))
	if got, err := b.Get(t.Context(), ref); !errors.Is(err, statestore.ErrCorrupt) {
		t.Fatalf("Get: %d bytes, %v; want ErrCorrupt", len(got), err)
	}
}

// testForeignObjects: what others keep beside the chunks is neither listed nor served nor deleted.
func testForeignObjects(t *testing.T, objects statestore.Objects) {
	data := Chunk(1, 1000)
	ref := statestore.RefOf(data)
	prefix := "chunks/" + ref.ID.String()[:2] + "/" + ref.ID.String()
	foreign := []string{
		"chunks/README", prefix, prefix + ".1000", prefix + ".1000.n1", prefix + ".x.n1-1-1.1", prefix + ".1000.n1-1-1.x",
		prefix + ".01000.n1-1-1.1", prefix + ".1000.n1-1-1.1.gz", "chunks/00/" + ref.ID.String() + ".1000.n1-1-1.1", "other/x",
	}
	for _, key := range foreign {
		replace(t, objects, key, data)
	}
	s := join(t, objects, 1)
	if got := list(t, s); len(got) > 0 {
		t.Errorf("List: %v", got)
	}
	wantAbsent(t, s, ref)
	wantDeleted(t, s, []checkpoint.ChunkID{ref.ID}, keepNone, 1, 0)
	for _, key := range foreign {
		wantObject(t, objects, key, data)
	}
}

// testRemovedObject: nothing is acknowledged on the strength of an object that is not there any more.
func testRemovedObject(t *testing.T, objects statestore.Objects) {
	s := join(t, objects, 1)
	data := Chunk(1, 1000)
	ref := mustPut(t, s, data)
	remove := func() {
		for _, key := range keysOf(t, objects, ref.ID) {
			if err := objects.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove()
	wantAbsent(t, s, ref)
	mustPut(t, s, data)
	remove()
	mustPut(t, s, data)
	wantContent(t, s, ref, data)
}
