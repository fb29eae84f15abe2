package statestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/statestore/storetest"
)

// slowObjects is a store behind a network that loses answers: what failed may be carried out later.
type slowObjects struct {
	*statestore.MemoryObjects

	mu     sync.Mutex
	broken bool
	late   []func() error
	// looked, when set, is called with every owner's record that was read, before its reader has it.
	looked func()
}

var errNoAnswer = errors.New("no answer")

func newSlowObjects() *slowObjects {
	return &slowObjects{MemoryObjects: statestore.NewMemoryObjects("slow")}
}

func (o *slowObjects) setBroken(broken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.broken = broken
}

func (o *slowObjects) postpone(do func() error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken {
		o.late = append(o.late, do)
	}
	return o.broken
}

// carryOut does what was postponed.
func (o *slowObjects) carryOut(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	late := o.late
	o.late = nil
	o.mu.Unlock()
	if len(late) == 0 {
		t.Fatal("nothing was postponed")
	}
	for _, do := range late {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
}

func (o *slowObjects) Put(ctx context.Context, key string, content io.ReadSeeker, size int64) error {
	data, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	put := func() error {
		return o.MemoryObjects.Put(context.WithoutCancel(ctx), key, bytes.NewReader(data), size)
	}
	if o.postpone(put) {
		return errNoAnswer
	}
	return put()
}

func (o *slowObjects) Delete(ctx context.Context, key string) error {
	if o.postpone(func() error { return o.MemoryObjects.Delete(context.WithoutCancel(ctx), key) }) {
		return errNoAnswer
	}
	return o.MemoryObjects.Delete(ctx, key)
}

func (o *slowObjects) Read(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	data, err := o.MemoryObjects.Read(ctx, key, offset, length)
	if looked := o.looked; looked != nil && strings.HasPrefix(key, "owners/") {
		looked()
	}
	return data, err
}

func nodeRef(id checkpoint.NodeID) checkpoint.NodeRef {
	return checkpoint.NodeRef{ID: id, Incarnation: 1}
}

func openShared(t *testing.T, objects statestore.Objects, id checkpoint.NodeID) *statestore.Swept {
	t.Helper()
	s, err := statestore.OpenShared(t.Context(), objects, statestore.SharedOptions{Node: nodeRef(id)})
	if err != nil {
		t.Fatal(err)
	}
	return statestore.NewSwept(s)
}

func wantListed(t *testing.T, s *statestore.Swept, want int) {
	t.Helper()
	got := 0
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if got++; got > want {
			t.Errorf("%s is there", ref.ID)
		}
	}
	if got < want {
		t.Errorf("%d chunks are there, want %d", got, want)
	}
}

// U8: a deletion that is carried out late, when the chunk has been stored again, deletes nothing that anybody relies on.
func TestU8_LateDeletion(t *testing.T) {
	objects := newSlowObjects()
	s := openShared(t, objects, "n1")
	data := storetest.Chunk(1, 100)
	ref := mustPut(t, s, data)
	s.Mark(1)
	objects.setBroken(true)
	if _, _, err := s.Delete(t.Context(), 1, []checkpoint.ChunkID{ref.ID}); !errors.Is(err, errNoAnswer) {
		t.Fatalf("Delete: %v", err)
	}
	objects.setBroken(false)
	if has, err := s.Has(t.Context(), ref); has || err != nil {
		t.Fatalf("Has behind a deletion of which nobody knows the outcome: %t, %v", has, err)
	}
	mustPut(t, s, data)
	objects.carryOut(t)
	if has, err := s.Has(t.Context(), ref); !has || err != nil {
		t.Errorf("Has behind the late deletion: %t, %v", has, err)
	}
	if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("Get behind the late deletion: %d bytes, %v", len(got), err)
	}
	s.Mark(2)
	wantSwept(t, s, 2, ref.ID, 1, 0)
	wantListed(t, s, 0)
}

// An upload that failed, and is carried out late, does not leave anything for ever: a sweep finds and deletes it.
func TestLateUpload(t *testing.T) {
	objects := newSlowObjects()
	s := openShared(t, objects, "n1")
	data := storetest.Chunk(1, 100)
	objects.setBroken(true)
	if _, err := s.Put(t.Context(), data); !errors.Is(err, errNoAnswer) {
		t.Fatalf("Put: %v", err)
	}
	objects.setBroken(false)
	objects.carryOut(t)
	wantListed(t, s, 1)
	s.Mark(1)
	wantSwept(t, s, 1, statestore.RefOf(data).ID, 1, 0)
	wantListed(t, s, 0)
}

// I5: a Put relies on no look at its owner's record that began before it. The one under way may have missed a fence.
func TestI5_PutLooksAgain(t *testing.T) {
	objects := newSlowObjects()
	gone, first := openShared(t, objects, "n1"), openShared(t, objects, "n2")
	data := storetest.Chunk(1, 100)
	ref := statestore.RefOf(data)
	var once sync.Once
	looking, goOn := make(chan struct{}), make(chan struct{})
	objects.looked = func() { once.Do(func() { close(looking); <-goOn }) }
	var puts sync.WaitGroup
	put := func(data []byte) {
		if _, err := gone.Put(t.Context(), data); err != nil {
			t.Errorf("Put: %v", err)
		}
	}
	puts.Go(func() { put(storetest.Chunk(2, 100)) })
	<-looking // it has read that it may, and does not know it yet

	first.Mark(1)
	if err := first.Fence(t.Context(), 1, []checkpoint.NodeRef{nodeRef("n2")}, []checkpoint.NodeRef{nodeRef("n1")}); err != nil {
		t.Fatal(err)
	}
	puts.Go(func() { put(data) })
	for { // until the object is there: the Put has begun by then
		if _, err := first.Get(t.Context(), ref); err == nil {
			break
		}
	}
	close(goOn)
	puts.Wait()
	wantSwept(t, first, 1, ref.ID, 1, 0)
	if got, err := first.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("what was stored behind the fence is lost: %d bytes, %v", len(got), err)
	}
}
