package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"cairn/statestore"
)

// RunObjects runs the suite of stores of objects. open returns a new, empty one for each test.
func RunObjects(t *testing.T, open func(t *testing.T) statestore.Objects) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, statestore.Objects)
	}{
		{"round trip", testObjectRoundTrip},
		{"range", testObjectRange},
		{"put in place of another", testObjectReplaced},
		{"missing", testObjectMissing},
		{"list", testObjectList},
		{"list ends early", testObjectListEnds},
		{"delete", testObjectDelete},
		{"upload that is cut off", testObjectCutOff},
		{"concurrent puts of one object", testObjectConcurrent},
		{"cancelled context", testObjectCancelled},
		{"probe", testObjectProbe},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

func mustPutObject(t *testing.T, o statestore.Objects, key string, data []byte) {
	t.Helper()
	if err := o.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("Put of %s: %v", key, err)
	}
}

func wantObject(t *testing.T, o statestore.Objects, key string, want []byte) {
	t.Helper()
	got, err := o.Read(t.Context(), key, 0, int64(len(want))+1)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("Read of %s: %d bytes, %v; want the %d stored", key, len(got), err, len(want))
	}
	info, err := o.Head(t.Context(), key)
	if err != nil || info != (statestore.ObjectInfo{Key: key, Size: int64(len(want))}) {
		t.Fatalf("Head of %s: %+v, %v; want %d bytes", key, info, err, len(want))
	}
}

func wantNoObject(t *testing.T, o statestore.Objects, key string) {
	t.Helper()
	if data, err := o.Read(t.Context(), key, 0, 10); !errors.Is(err, statestore.ErrNoObject) {
		t.Fatalf("Read of %s, which is not there: %q, %v", key, data, err)
	}
	if info, err := o.Head(t.Context(), key); !errors.Is(err, statestore.ErrNoObject) {
		t.Fatalf("Head of %s, which is not there: %+v, %v", key, info, err)
	}
}

func testObjectRoundTrip(t *testing.T, o statestore.Objects) {
	for seed, size := range []int{0, 1, 4096, 1<<20 + 1, 6 << 20} {
		key := fmt.Sprintf("chunks/%02x/object.%d", seed, size)
		data := Chunk(uint64(seed), size)
		mustPutObject(t, o, key, data)
		wantObject(t, o, key, data)
	}
}

func testObjectRange(t *testing.T, o statestore.Objects) {
	data := Chunk(1, 1000)
	mustPutObject(t, o, "a/b", data)
	for _, r := range []struct{ offset, length, from, to int }{
		{0, 10, 0, 10}, {0, 1000, 0, 1000}, {0, 2000, 0, 1000}, {1, 999, 1, 1000}, {500, 100, 500, 600}, {990, 100, 990, 1000},
		{1000, 1, 1000, 1000}, {5000, 10, 1000, 1000}, {0, 0, 0, 0}, {10, 0, 10, 10},
	} {
		got, err := o.Read(t.Context(), "a/b", int64(r.offset), int64(r.length))
		if err != nil || !bytes.Equal(got, data[r.from:r.to]) {
			t.Errorf("Read of %d bytes from %d: %d bytes, %v; want %d", r.length, r.offset, len(got), err, r.to-r.from)
		}
	}
}

func testObjectReplaced(t *testing.T, o statestore.Objects) {
	mustPutObject(t, o, "owners/n1", nil)
	wantObject(t, o, "owners/n1", nil)
	mustPutObject(t, o, "owners/n1", []byte("gone"))
	wantObject(t, o, "owners/n1", []byte("gone"))
	mustPutObject(t, o, "owners/n1", []byte("gone"))
	wantObject(t, o, "owners/n1", []byte("gone"))
}

func testObjectMissing(t *testing.T, o statestore.Objects) {
	mustPutObject(t, o, "a/bc", []byte("x"))
	for _, key := range []string{"a/b", "a/bcd", "b", "b/c"} {
		wantNoObject(t, o, key)
	}
}

func listObjects(t *testing.T, o statestore.Objects, prefix string) (keys []string) {
	t.Helper()
	for object, err := range o.List(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("List of %q: %v", prefix, err)
		}
		if object.Size != int64(len(object.Key)) {
			t.Errorf("%s is listed with %d bytes", object.Key, object.Size)
		}
		keys = append(keys, object.Key)
	}
	return keys
}

func testObjectList(t *testing.T, o statestore.Objects) {
	if keys := listObjects(t, o, ""); len(keys) > 0 {
		t.Fatalf("an empty store lists %v", keys)
	}
	all := []string{"chunks/0a/aa.1", "chunks/0a/ab.1", "chunks/0a/ab.2", "chunks/0b/ba.1", "chunks/ff/a", "owners/n1-1", "owners/n1-11", "owners/n2-1"}
	for _, i := range []int{5, 2, 0, 7, 1, 4, 3, 6} {
		mustPutObject(t, o, all[i], []byte(all[i]))
	}
	for prefix, want := range map[string][]string{
		"": all, "chunks/": all[:5], "chunks/0": all[:4], "chunks/0a/": all[:3], "chunks/0a/ab.": all[1:3], "owners/": all[5:],
		"owners/n1-1": all[5:7], "other/": nil, "chunks/0a/ac": nil, "chunks/0a/ab.1": all[1:2],
	} {
		if got := listObjects(t, o, prefix); !slices.Equal(got, want) {
			t.Errorf("List of %q: %v, want %v", prefix, got, want)
		}
	}
}

func testObjectListEnds(t *testing.T, o statestore.Objects) {
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		mustPutObject(t, o, key, []byte(key))
	}
	seen := 0
	for _, err := range o.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("saw %d objects before the break", seen)
	}
}

func testObjectDelete(t *testing.T, o statestore.Objects) {
	mustPutObject(t, o, "a/b", []byte("x"))
	mustPutObject(t, o, "a/c", []byte("a/c"))
	for range 2 { // again, as an interrupted sweep would
		if err := o.Delete(t.Context(), "a/b"); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantNoObject(t, o, "a/b")
	}
	if err := o.Delete(t.Context(), "never/there"); err != nil {
		t.Fatalf("Delete of what never was: %v", err)
	}
	if got := listObjects(t, o, ""); !slices.Equal(got, []string{"a/c"}) {
		t.Errorf("List after Delete: %v", got)
	}
	mustPutObject(t, o, "a/b", []byte("y"))
	wantObject(t, o, "a/b", []byte("y"))
}

// cutOff is content whose source breaks in the middle.
type cutOff struct {
	*bytes.Reader
	at int64
}

var errCutOff = errors.New("the source broke")

func (c cutOff) Read(p []byte) (int, error) {
	left := c.at - (c.Size() - int64(c.Len()))
	if left <= 0 {
		return 0, errCutOff
	}
	return c.Reader.Read(p[:min(int64(len(p)), left)])
}

// ReadAt breaks at the same place.
func (c cutOff) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= c.at {
		return c.Reader.ReadAt(p, off)
	}
	n := 0
	if off < c.at {
		n, _ = c.Reader.ReadAt(p[:c.at-off], off)
	}
	return n, errCutOff
}

func testObjectCutOff(t *testing.T, o statestore.Objects) {
	data := Chunk(1, 1<<20)
	for what, content := range map[string]io.ReadSeeker{
		"breaks":   cutOff{bytes.NewReader(data), 500_000},
		"is short": bytes.NewReader(data[:500_000]),
	} {
		if err := o.Put(t.Context(), "a/b", content, int64(len(data))); err == nil {
			t.Errorf("Put of content that %s was acknowledged", what)
		}
		wantNoObject(t, o, "a/b")
	}
	if got := listObjects(t, o, ""); len(got) > 0 {
		t.Errorf("left behind: %v", got)
	}
	mustPutObject(t, o, "a/b", data)
	wantObject(t, o, "a/b", data)
}

func testObjectConcurrent(t *testing.T, o statestore.Objects) {
	data := Chunk(1, 100_000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := o.Put(t.Context(), "a/b", bytes.NewReader(data), int64(len(data))); err != nil {
				t.Errorf("Put: %v", err)
			}
			if got, err := o.Read(t.Context(), "a/b", 0, int64(len(data))); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Read right after Put: %d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

func testObjectCancelled(t *testing.T, o statestore.Objects) {
	mustPutObject(t, o, "a/b", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, readErr := o.Read(ctx, "a/b", 0, 1)
	_, headErr := o.Head(ctx, "a/b")
	var listErr error
	for _, err := range o.List(ctx, "") {
		listErr = err
	}
	for call, err := range map[string]error{
		"Put": o.Put(ctx, "a/c", bytes.NewReader(nil), 0), "Delete": o.Delete(ctx, "a/b"), "Read": readErr, "Head": headErr, "List": listErr,
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", call, err)
		}
	}
	wantObject(t, o, "a/b", []byte("x"))
	wantNoObject(t, o, "a/c")
}

func testObjectProbe(t *testing.T, o statestore.Objects) {
	if err := statestore.Probe(t.Context(), o, "probe/n1"); err != nil {
		t.Fatal(err)
	}
	if got := listObjects(t, o, ""); len(got) > 0 {
		t.Errorf("the probe left %v", got)
	}
}
