package statestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"cairn/checkpoint"
)

// takingPeer takes a second for a chunk, and counts how many bytes it is being given.
type takingPeer struct {
	Peer
	mu         sync.Mutex
	now, most  int64
	everything int
}

func (p *takingPeer) Live() []PeerInfo { return []PeerInfo{{ID: "n2", Peer: p}} }

func (p *takingPeer) Put(_ context.Context, ref checkpoint.ChunkRef, _ Encoded) error {
	p.count(ref.Size)
	time.Sleep(time.Second)
	p.count(-ref.Size)
	return nil
}

func (p *takingPeer) count(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now += n
	p.most = max(p.most, p.now)
	if n > 0 {
		p.everything++
	}
}

// However many files are stored at the same time, no more than a bounded number of their bytes is in memory.
func TestFilesInMemoryAreBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		peer := &takingPeer{}
		r := NewReplicated(NewMemory(), "n1", peer, Options{})
		r.reading = semaphore.NewWeighted(3000)
		var storing sync.WaitGroup
		for i := range 10 {
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(path, noise(uint64(i), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
			storing.Go(func() {
				if _, err := r.PutFile(t.Context(), path); err != nil {
					t.Error(err)
				}
			})
		}
		storing.Wait()
		if peer.most != 3000 || peer.everything != 10 {
			t.Errorf("at most %d bytes at a time, of %d files", peer.most, peer.everything)
		}
	})
}
