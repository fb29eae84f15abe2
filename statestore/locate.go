package statestore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"cairn/checkpoint"
)

// Locator knows which nodes hold chunks. It is safe for concurrent use.
type Locator interface {
	// Locate returns, for each of the chunks, the nodes that are said to hold it, those to be asked first in front; none
	// where nothing is known. It is a hint: the nodes may have changed, and others may hold the chunk as well.
	Locate(ctx context.Context, chunks []checkpoint.ChunkID) ([][]checkpoint.NodeRef, error)
}

// errNotLive says that a node is said to hold a chunk, and cannot be asked for it.
var errNotLive = errors.New("it is said to hold the chunk, but it is not live")

// maxHints bounds how many chunks hints remembers, about twice.
const maxHints = 1 << 16

// hints remembers what a Locator has said, so that one question answers for many chunks.
type hints struct {
	locator Locator // nil for none

	mu    sync.Mutex
	quiet time.Time // the locator is not asked until then, because it did not answer
	// known and former are two generations: when known is full it becomes former, and the oldest are forgotten.
	known, former map[checkpoint.ChunkID][]checkpoint.NodeID
}

// locatorPause is how long a Locator that did not answer is left alone: there is no leader, or it has other worries.
const locatorPause = 5 * time.Second

// ask asks about chunks that are to be read soon. Without an answer nothing is known of them, which is fine.
func (h *hints) ask(ctx context.Context, chunks []checkpoint.ChunkID) {
	if h.locator == nil || len(chunks) == 0 || h.isQuiet() {
		return
	}
	located, err := h.locator.Locate(ctx, chunks)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || len(located) != len(chunks) {
		h.quiet = time.Now().Add(locatorPause)
		return
	}
	for i, refs := range located {
		nodes := make([]checkpoint.NodeID, len(refs))
		for at, ref := range refs {
			nodes[at] = ref.ID
		}
		h.noteLocked(chunks[i], nodes)
	}
}

func (h *hints) isQuiet() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Before(h.quiet)
}

func (h *hints) noteLocked(chunk checkpoint.ChunkID, nodes []checkpoint.NodeID) {
	if len(h.known) >= maxHints {
		h.known, h.former = nil, h.known
	}
	if h.known == nil {
		h.known = make(map[checkpoint.ChunkID][]checkpoint.NodeID)
	}
	h.known[chunk] = nodes
}

// take returns what was said of a chunk, once: who asks again found it wrong, or not enough.
func (h *hints) take(chunk checkpoint.ChunkID) (nodes []checkpoint.NodeID, asked bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, generation := range []map[checkpoint.ChunkID][]checkpoint.NodeID{h.known, h.former} {
		if nodes, asked = generation[chunk]; asked {
			delete(generation, chunk)
			return nodes, true
		}
	}
	return nil, false
}

// holdersFirst moves the peers to the front that are said to hold a chunk, and returns those of them that are no peers.
func holdersFirst(order []PeerInfo, said []checkpoint.NodeID) (ordered []PeerInfo, absent []checkpoint.NodeID) {
	if len(said) == 0 {
		return order, nil
	}
	for _, id := range said {
		if i := slices.IndexFunc(order, func(p PeerInfo) bool { return p.ID == id }); i >= 0 {
			ordered = append(ordered, order[i])
		} else {
			absent = append(absent, id)
		}
	}
	for _, p := range order {
		if !slices.Contains(said, p.ID) {
			ordered = append(ordered, p)
		}
	}
	return ordered, absent
}
