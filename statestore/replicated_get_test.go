package statestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/statestore/storetest"
)

func TestGetPrefersTheLocalCopy(t *testing.T) {
	peers := newCluster(2)
	s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{Replicas: 3})
	ref := mustPut(t, s, []byte("content"))
	if _, err := s.Get(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	for id, p := range peers {
		if p.gets != 0 {
			t.Errorf("%s was asked for a chunk that is here", id)
		}
	}
}

// The empty chunk is a chunk: a peer's answer without a byte is an answer.
func TestGetHealsAMissingCopy(t *testing.T) {
	for _, size := range []int{0, 1000} {
		peers := newCluster(3)
		data := storetest.Chunk(1, size)
		ref := statestore.RefOf(data)
		order := peers.order(t, ref)
		if err := peers[order[2]].Write(t.Context(), ref, data); err != nil {
			t.Fatal(err)
		}
		peers[order[2]].spoil = func(data []byte) []byte { return append([]byte(nil), data...) }
		local := statestore.NewMemory()
		s := statestore.NewReplicated(local, "n1", peers, statestore.Options{})
		for range 2 {
			if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("Get of %d bytes: %d bytes, %v", size, len(got), err)
			}
		}
		if n := peers[order[2]].gets; n != 1 {
			t.Errorf("the peer was asked %d times, want once: the copy should be here since", n)
		}
	}
}

// Any way to damage the file on disk is found, put aside, and healed from the peer.
func TestGetHealsADamagedFile(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			local := openLocal(t, dir)
			peers := newCluster(2)
			s := statestore.NewReplicated(local, "n1", peers, statestore.Options{})
			data := storetest.Chunk(1, 5000)
			ref := mustPut(t, s, data)
			damageFile(t, chunkPath(dir, ref.ID), damage)

			if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("Get: %d bytes, %v", len(got), err)
			}
			if onDisk, err := os.ReadFile(chunkPath(dir, ref.ID)); err != nil || !bytes.Equal(onDisk, data) {
				t.Errorf("the file was not healed: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "quarantine", ref.ID.String())); err != nil {
				t.Errorf("the damaged file was not kept: %v", err)
			}
		})
	}
}

func TestGetPassesOverBadPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := storetest.Chunk(1, 1000)
		ref := statestore.RefOf(data)
		peers := newCluster(5)
		order := peers.order(t, ref)
		for _, p := range peers {
			if err := p.Write(t.Context(), ref, data); err != nil {
				t.Fatal(err)
			}
		}
		peers[order[0]].fail = errDown
		peers[order[1]].hang = true
		peers[order[2]].spoil = func(data []byte) []byte { data[0] ^= 1; return data }
		peers[order[3]].spoil = func(data []byte) []byte { return data[1:] }
		local := statestore.NewMemory()
		s := statestore.NewReplicated(local, "n1", peers, statestore.Options{})
		start := time.Now()
		if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("Get: %d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Get took %s, want 2s, when the one that hangs is slow", took)
		}
		if has, err := local.Has(t.Context(), ref); err != nil || !has {
			t.Errorf("the good copy was not kept: %v", err)
		}
	})
}

func TestGetWithNoGoodCopy(t *testing.T) {
	ref := statestore.RefOf([]byte("content"))
	peers := newCluster(2)
	s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})

	_, err := s.Get(t.Context(), ref)
	if !errors.Is(err, statestore.ErrNotFound) || !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("nobody has it: %v, want ErrNotFound", err)
	}
	peers["n3"].set(func(p *testPeer) { p.fail = errDown })
	_, err = s.Get(t.Context(), ref)
	if errors.Is(err, statestore.ErrNotFound) || !errors.Is(err, statestore.ErrUnavailable) || !errors.Is(err, errDown) {
		t.Errorf("a node that does not answer may have it: %v", err)
	}
	for _, want := range []string{ref.ID.String(), "it is not on n1, n2; node n3: connection refused"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not say %q", err, want)
		}
	}
}

func TestGetCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(2)
		for _, p := range peers {
			p.hang = true
		}
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.Get(ctx, statestore.RefOf([]byte("content")))
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, statestore.ErrUnavailable) {
			t.Fatalf("Get: %v, want the deadline", err)
		}
	})
}

// A full disk must not keep a task from reading what a peer has.
func TestGetWithoutRoomToHeal(t *testing.T) {
	peers := newCluster(1)
	data := []byte("content")
	ref := statestore.RefOf(data)
	if err := peers["n2"].Write(t.Context(), ref, data); err != nil {
		t.Fatal(err)
	}
	local := struct{ statestore.Store }{brokenStore{Memory: statestore.NewMemory(), err: syscall.ENOSPC}}
	s := statestore.NewReplicated(local, "n1", peers, statestore.Options{})
	if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
		t.Fatalf("Get: %q, %v", got, err)
	}
}

// Any one of three nodes may be lost, with its disk, and every chunk is still there.
func TestLosingAnyNode(t *testing.T) {
	const nodes, chunks = 3, 30
	stores := make(map[checkpoint.NodeID]*statestore.Memory)
	var all livePeers
	for _, id := range []checkpoint.NodeID{"n1", "n2", "n3"} {
		stores[id] = statestore.NewMemory()
		all = append(all, statestore.PeerInfo{ID: id, Peer: statestore.AsPeer(stores[id])})
	}
	var refs []checkpoint.ChunkRef
	for i := range chunks {
		writer := all[i%nodes].ID
		refs = append(refs, mustPut(t, statestore.NewReplicated(stores[writer], writer, all, statestore.Options{}), storetest.Chunk(uint64(i), 50)))
	}
	for lost := range nodes {
		left := append(append(livePeers{}, all[:lost]...), all[lost+1:]...)
		for i, ref := range refs {
			for _, reader := range left {
				// A memory that heals nothing keeps this round from helping the next one.
				s := statestore.NewReplicated(struct{ statestore.Store }{brokenStore{stores[reader.ID], errDown}}, reader.ID, left, statestore.Options{})
				if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, storetest.Chunk(uint64(i), 50)) {
					t.Fatalf("chunk %d with %s lost: %v", i, all[lost].ID, err)
				}
			}
		}
	}
}

// said is what a Locator of the tests says of every chunk.
type said struct {
	nodes []checkpoint.NodeID
	err   error
	hang  bool
	asked []int // how many chunks each question was about
}

func (l *said) Locate(ctx context.Context, chunks []checkpoint.ChunkID) ([][]checkpoint.NodeRef, error) {
	l.asked = append(l.asked, len(chunks))
	if l.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var refs []checkpoint.NodeRef
	for _, id := range l.nodes {
		refs = append(refs, checkpoint.NodeRef{ID: id})
	}
	return slices.Repeat([][]checkpoint.NodeRef{refs}, len(chunks)), l.err
}

// Who is said to hold a chunk is asked first. The others are asked all the same when that is wrong.
func TestGetAsksWhomTheLocatorNames(t *testing.T) {
	data := []byte("content")
	ref := statestore.RefOf(data)
	for name, test := range map[string]struct {
		holder int   // position of the one that has it
		said   []int // positions
		err    error
		asked  []int // positions that were asked
	}{
		"right":            {holder: 3, said: []int{3}, asked: []int{3}},
		"right, second":    {holder: 2, said: []int{3, 2}, asked: []int{3, 2}},
		"wrong":            {holder: 1, said: []int{3}, asked: []int{3, 0, 1}},
		"nothing is known": {holder: 1, asked: []int{0, 1}},
		"no answer":        {holder: 1, err: errDown, asked: []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			peers := newCluster(4)
			order := peers.order(t, ref)
			if err := peers[order[test.holder]].Write(t.Context(), ref, data); err != nil {
				t.Fatal(err)
			}
			locator := &said{err: test.err}
			for _, i := range test.said {
				locator.nodes = append(locator.nodes, order[i])
			}
			s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{Locator: locator})
			if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("Get: %q, %v", got, err)
			}
			for i, id := range order {
				if want := slices.Contains(test.asked, i); (peers[id].gets > 0) != want {
					t.Errorf("position %d was asked %d times, want it asked: %t", i, peers[id].gets, want)
				}
			}
		})
	}
}

// One question answers for all chunks that are to be read, except those that are here.
func TestExpectAsksOnce(t *testing.T) {
	peers, local := newCluster(3), statestore.NewMemory()
	locator := &said{nodes: []checkpoint.NodeID{"n4"}}
	s := statestore.NewReplicated(local, "n1", peers, statestore.Options{Locator: locator})
	var refs []checkpoint.ChunkRef
	for i := range 20 {
		data := []byte{byte(i)}
		refs = append(refs, statestore.RefOf(data))
		holder := statestore.Store(peers["n4"].Memory)
		if i < 5 {
			holder = local
		}
		if err := holder.Write(t.Context(), refs[i], data); err != nil {
			t.Fatal(err)
		}
	}
	s.Expect(t.Context(), refs)
	for _, ref := range refs {
		if _, err := s.Get(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(locator.asked, []int{15}) {
		t.Errorf("the locator was asked about %v chunks, want 15 in one question", locator.asked)
	}
	if n := peers["n2"].gets + peers["n3"].gets; n != 0 {
		t.Errorf("%d questions to others than the holder", n)
	}
}

// A locator that does not answer costs little, and that once.
func TestLocatorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(1)
		locator := &said{hang: true}
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{Locator: locator})
		start := time.Now()
		for i := range 10 {
			data := []byte{byte(i)}
			if err := peers["n2"].Write(t.Context(), statestore.RefOf(data), data); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context(), statestore.RefOf(data)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %s, want the 2s of one question", took)
		}
	})
}

// A node that is said to hold the only copy, and is gone, is named.
func TestGetNamesTheNodeThatIsGone(t *testing.T) {
	peers := newCluster(1)
	s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{Locator: &said{nodes: []checkpoint.NodeID{"n7"}}})
	ref := statestore.RefOf([]byte("content"))
	_, err := s.Get(t.Context(), ref)
	if !errors.Is(err, statestore.ErrUnavailable) || errors.Is(err, statestore.ErrNotFound) || !strings.Contains(err.Error(), "node n7: it is said to hold the chunk, but it is not live") {
		t.Fatalf("Get: %v", err)
	}
	var named interface{ Unavailable() checkpoint.ChunkRef }
	if !errors.As(err, &named) || named.Unavailable() != ref {
		t.Errorf("the error does not name the chunk: %v", err)
	}
}

// A peer that dies in the middle of its answer, one that is slow and one that is corrupt: the fourth is asked, and all of
// it ends with the call.
func TestGetFromWhoIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := storetest.Chunk(1, 1000)
		ref := statestore.RefOf(data)
		peers := newCluster(4)
		order := peers.order(t, ref)
		for _, p := range peers {
			if err := p.Write(t.Context(), ref, data); err != nil {
				t.Fatal(err)
			}
		}
		peers[order[0]].delay = time.Hour
		peers[order[1]].delay, peers[order[1]].fail = time.Second, errDown
		peers[order[2]].spoil = func(data []byte) []byte { return data[:10] }
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
		start := time.Now()
		if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("Get: %d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Get took %s, want 3s", took)
		}
	})
}
