package coordinator

import (
	"bytes"
	"context"
	"log/slog"
	"slices"

	"cairn/checkpoint"
	"cairn/placement"
)

// storekeeper knows where the chunks are, for one leadership. It has a goroutine of its own beside the leader loop: what
// it looks at may be a million chunks, and no checkpoint is to wait for that. What it knows is soft state, which the
// nodes tell it: nothing is deleted on its word alone (see decide_clean.go), and a chunk that it does not know of may
// still be somewhere.
type storekeeper struct {
	log   *slog.Logger
	inbox *inbox
	index *placement.Index // of the goroutine in run
}

func newStorekeeper(log *slog.Logger) *storekeeper {
	return &storekeeper{log: log, inbox: newInbox(), index: placement.NewIndex()}
}

// run serves until ctx is done.
func (k *storekeeper) run(ctx context.Context) {
	defer k.inbox.close()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.inbox.ready:
		}
		for _, event := range k.inbox.drain() {
			event()
		}
	}
}

// received takes in what a node says about its part of the store. It returns at once.
func (k *storekeeper) received(node checkpoint.NodeRef, m checkpoint.FromNode) {
	k.inbox.post(func() { k.handle(node, m) })
}

func (k *storekeeper) handle(node checkpoint.NodeRef, m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.Inventory:
		for _, ref := range m.Chunks {
			k.index.Add(node.ID, ref)
		}
	case checkpoint.InventoryChange:
		for _, ref := range m.Added {
			k.index.Add(node.ID, ref)
		}
		for _, id := range slices.Concat(m.Removed, m.Corrupt) {
			k.index.Remove(node.ID, id)
		}
	}
}

// ask runs f in the goroutine of the storekeeper and waits for it. It returns an error when ctx is done before that, or
// the leadership is over.
func (k *storekeeper) ask(ctx context.Context, f func()) error {
	done := make(chan struct{})
	if !k.inbox.post(func() { f(); close(done) }) {
		return errLeadershipOver
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Holdings are what the nodes hold at one moment, for a sweep of all that they have.
type Holdings struct {
	// Complete says that every node that is alive has sent its whole inventory. Without it the rest is empty.
	Complete bool
	Chunks   []checkpoint.ChunkID // ascending, each once
	// Extra are copies beyond the number of replicas, which may be given up when nothing else changes meanwhile.
	Extra map[checkpoint.NodeID][]checkpoint.ChunkID
}

// holdings returns what the nodes hold.
func (k *storekeeper) holdings(ctx context.Context) (h Holdings, err error) {
	err = k.ask(ctx, func() {
		h.Complete = true
		for ref := range k.index.All() {
			h.Chunks = append(h.Chunks, ref.ID)
		}
	})
	slices.SortFunc(h.Chunks, func(a, b checkpoint.ChunkID) int { return bytes.Compare(a[:], b[:]) })
	return h, err
}

// LostChunk is a chunk of which no node that is alive has a copy.
type LostChunk struct {
	Chunk checkpoint.ChunkRef
	Had   []checkpoint.NodeID // nodes that are not alive and had one, as far as that is known
}

// lost returns those of the chunks of which no living node has a copy. It returns none while some living node has not
// told yet what it holds: then nobody can say.
func (k *storekeeper) lost(ctx context.Context, refs []checkpoint.ChunkRef) (lost []LostChunk, err error) {
	err = k.ask(ctx, func() {
		for _, ref := range refs {
			if len(k.index.Holders(ref.ID)) == 0 {
				lost = append(lost, LostChunk{Chunk: ref})
			}
		}
	})
	return lost, err
}
