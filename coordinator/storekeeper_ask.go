package coordinator

import (
	"bytes"
	"context"
	"slices"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

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
	case <-k.ended: // what was still in the inbox is dropped
		return errLeadershipOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// holdings returns what the nodes hold on disks of their own.
func (k *storekeeper) holdings(ctx context.Context) (Holdings, error) {
	var h Holdings
	if err := k.ask(ctx, func() { h = k.view.holdings(time.Now()) }); err != nil {
		return Holdings{}, err // they may still be being gathered
	}
	ascending := func(a, b checkpoint.ChunkID) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(h.Chunks, ascending)
	for _, extra := range h.Extra {
		slices.SortFunc(extra, ascending)
	}
	return h, nil
}

// lost returns those of the chunks, which a manifest names, of which no living node has a copy. It returns none while
// some living node has not told yet what it holds, or what it has stored of late: then nobody can say.
func (k *storekeeper) lost(ctx context.Context, manifest checkpoint.ChunkID, refs []checkpoint.ChunkRef) ([]LostChunk, error) {
	var lost []LostChunk
	if err := k.ask(ctx, func() { lost = k.view.lost(manifest, refs, time.Now()) }); err != nil {
		return nil, err
	}
	return lost, nil
}

// status says how the store is, but for SweptAt, which the leader loop knows.
func (k *storekeeper) status(ctx context.Context) (api.StoreStatus, error) {
	var s api.StoreStatus
	if err := k.ask(ctx, func() { s = k.view.status(time.Now()) }); err != nil {
		return api.StoreStatus{}, err
	}
	return s, nil
}

// problems says what is wrong with the store, for people.
func (k *storekeeper) problems(ctx context.Context) ([]string, error) {
	var said []string
	if err := k.ask(ctx, func() { said = k.view.problems(time.Now()) }); err != nil {
		return nil, err
	}
	return said, nil
}

// locate returns which living nodes hold the chunks.
func (k *storekeeper) locate(ctx context.Context, refs []checkpoint.ChunkRef) (api.ChunkLocations, error) {
	var found api.ChunkLocations
	if err := k.ask(ctx, func() { found = k.view.locations(refs) }); err != nil {
		return api.ChunkLocations{}, err
	}
	return found, nil
}
