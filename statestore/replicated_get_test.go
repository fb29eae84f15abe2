package statestore_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
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
		s := statestore.NewReplicated(local, "n1", peers, statestore.Options{GetTimeout: 2 * time.Second})
		start := time.Now()
		if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("Get: %d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("Get took %s, want the one timeout of 2s", took)
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
	for _, want := range []string{ref.ID.String(), "node n1: ", "node n2: ", "node n3: connection refused"} {
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
