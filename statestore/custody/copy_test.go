package custody

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// sources are the stores of other nodes.
type sources struct {
	get func(ctx context.Context, from checkpoint.NodeID, ref checkpoint.ChunkRef) ([]byte, error)

	mu    sync.Mutex
	asked []string
}

func (s *sources) of(from checkpoint.NodeRef) Source { return sourceOf{s, from.ID} }

type sourceOf struct {
	*sources
	id checkpoint.NodeID
}

func (s sourceOf) Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	s.mu.Lock()
	s.asked = append(s.asked, string(s.id))
	s.mu.Unlock()
	data, err := s.get(ctx, s.id, ref)
	return statestore.Encoded{Data: data}, err
}

func copyOf(data string, from ...checkpoint.NodeID) checkpoint.ChunkCopy {
	c := checkpoint.ChunkCopy{Chunk: statestore.RefOf([]byte(data))}
	for _, id := range from {
		c.From = append(c.From, checkpoint.NodeRef{ID: id})
	}
	return c
}

// newCopier returns a custodian of a store in memory, which fetches from s.
func newCopier(t *testing.T, s *sources) (*Custodian, *statestore.Memory) {
	own := statestore.NewMemory()
	return newCustodian(t, newDisk(0), 2, func(cfg *Config) {
		cfg.Store, cfg.Source = statestore.NewSwept(own), s.of
	}), own
}

// The nodes that have a chunk are asked in the leader's order until one gives a good copy.
func TestCopyAsksInOrder(t *testing.T) {
	s := &sources{get: func(_ context.Context, from checkpoint.NodeID, ref checkpoint.ChunkRef) ([]byte, error) {
		switch from {
		case "n3":
			return nil, errors.New("connection refused")
		case "n4":
			return []byte("something else"), nil
		}
		return []byte("content"), nil
	}}
	c, own := newCopier(t, s)
	one := copyOf("content", "n1", "n3", "n4", "n5", "n2")
	copied, failed := c.Copy(t.Context(), []checkpoint.ChunkCopy{one})
	if !slices.Equal(copied, []checkpoint.ChunkID{one.Chunk.ID}) || len(failed) != 0 {
		t.Errorf("copied %v, failed %v", copied, failed)
	}
	if want := []string{"n3", "n4", "n5"}; !slices.Equal(s.asked, want) {
		t.Errorf("asked %v, want %v: not itself, and nobody behind the one who had it", s.asked, want)
	}
	if data, err := own.Get(t.Context(), one.Chunk); err != nil || string(data) != "content" {
		t.Errorf("the store has %q, %v", data, err)
	}

	// Again, it is not fetched.
	s.asked = nil
	if copied, _ = c.Copy(t.Context(), []checkpoint.ChunkCopy{one}); len(copied) != 1 || len(s.asked) != 0 {
		t.Errorf("the second time: copied %v, asked %v", copied, s.asked)
	}
}

func TestCopyNamesWhatFailed(t *testing.T) {
	s := &sources{get: func(_ context.Context, from checkpoint.NodeID, _ checkpoint.ChunkRef) ([]byte, error) {
		if from == "n3" {
			return nil, errors.New("connection refused")
		}
		return []byte("here"), nil
	}}
	c, _ := newCopier(t, s)
	orders := []checkpoint.ChunkCopy{
		copyOf("absent", "n3", "n2"), copyOf("here", "n2"), copyOf("nobody's", "n1"),
		{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{9}, Size: statestore.MaxChunkSize + 1}, From: []checkpoint.NodeRef{{ID: "n2"}}},
	}
	copied, failed := c.Copy(t.Context(), orders)
	if !slices.Equal(copied, []checkpoint.ChunkID{orders[1].Chunk.ID}) || len(failed) != 3 {
		t.Fatalf("copied %v, failed %v", copied, failed)
	}
	for i, want := range [][]string{{"node n3: connection refused", "node n2: ", statestore.ErrCorrupt.Error()}, {"no other node"}, {"at most"}} {
		for _, text := range want {
			if !strings.Contains(failed[i].Error, text) {
				t.Errorf("failure %d: %q does not say %q", i, failed[i].Error, text)
			}
		}
	}
}

// fullDisk is a store that takes nothing.
type fullDisk struct{ *disk }

func (fullDisk) WriteEncoded(context.Context, checkpoint.ChunkRef, statestore.Encoded) error {
	return fmt.Errorf("no space on node n1 (/data): %w", syscall.ENOSPC)
}

// When it is this node that cannot store a chunk, the others are not asked for it one after the other.
func TestCopyToAFullDisk(t *testing.T) {
	s := &sources{get: func(context.Context, checkpoint.NodeID, checkpoint.ChunkRef) ([]byte, error) {
		return []byte("content"), nil
	}}
	d := newDisk(0)
	c := newCustodian(t, d, 2, func(cfg *Config) { cfg.Store, cfg.Source = fullDisk{d}, s.of })
	copied, failed := c.Copy(t.Context(), []checkpoint.ChunkCopy{copyOf("content", "n2", "n3")})
	if len(copied) != 0 || len(failed) != 1 || !strings.Contains(failed[0].Error, "no space on node n1 (/data)") {
		t.Errorf("copied %v, failed %v", copied, failed)
	}
	if len(s.asked) != 1 {
		t.Errorf("asked %v, want one of them", s.asked)
	}
}

// Few chunks are fetched at a time, whatever is ordered, and fewer large ones; an end of the leadership ends it all.
func TestCopyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fetching, large, most, mostLarge atomic.Int64
		s := &sources{get: func(ctx context.Context, _ checkpoint.NodeID, ref checkpoint.ChunkRef) ([]byte, error) {
			most.Store(max(most.Load(), fetching.Add(1)))
			defer fetching.Add(-1)
			if ref.Size > largeChunk {
				mostLarge.Store(max(mostLarge.Load(), large.Add(1)))
				defer large.Add(-1)
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			return nil, errors.New("nothing")
		}}
		c, _ := newCopier(t, s)
		var orders []checkpoint.ChunkCopy
		for i := range 40 {
			one := copyOf(fmt.Sprint(i), "n2")
			if i%2 == 0 {
				one.Chunk.Size = largeChunk + 1
			}
			orders = append(orders, one)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		var failures atomic.Int64
		for half := range 2 {
			running.Go(func() {
				_, failed := c.Copy(ctx, orders[20*half:20*half+20])
				failures.Add(int64(len(failed)))
			})
		}
		time.Sleep(5 * time.Second)
		cancel()
		began := time.Now()
		running.Wait()
		if most.Load() > maxFetching || most.Load() < 2 || mostLarge.Load() != maxLarge {
			t.Errorf("up to %d were fetched at a time, %d of them large; want at most %d, and %d", most.Load(), mostLarge.Load(), maxFetching, maxLarge)
		}
		if took := time.Since(began); took > 0 || failures.Load() != 40 {
			t.Errorf("ended %s behind the leadership, with %d failures, want all 40 at once", took, failures.Load())
		}
	})
}

// A copy counts as asked for: a sweep that was marked before it does not take it.
func TestI5_CopiesAreKeptSinceTheMark(t *testing.T) {
	s := &sources{get: func(context.Context, checkpoint.NodeID, checkpoint.ChunkRef) ([]byte, error) {
		return []byte("fetched"), nil
	}}
	own := statestore.NewMemory()
	swept := statestore.NewSwept(own)
	c := newCustodian(t, newDisk(0), 2, func(cfg *Config) { cfg.Store, cfg.Source = swept, s.of })
	here, err := own.Put(t.Context(), []byte("here already"))
	if err != nil {
		t.Fatal(err)
	}
	swept.Mark(1)
	orders := []checkpoint.ChunkCopy{copyOf("fetched", "n2"), {Chunk: here}}
	if copied, failed := c.Copy(t.Context(), orders); len(copied) != 2 {
		t.Fatalf("copied %v, failed %v", copied, failed)
	}
	deleted, refused, err := swept.Delete(t.Context(), 1, []checkpoint.ChunkID{orders[0].Chunk.ID, here.ID})
	if deleted != 0 || refused != 2 || err != nil {
		t.Errorf("deleted %d, refused %d: %v", deleted, refused, err)
	}
}
