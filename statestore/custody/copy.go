package custody

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

const (
	// maxFetching is how many chunks are fetched at a time, for all orders together; of those that are larger than
	// largeChunk it is maxLarge. So they take some 110 MiB of memory at most, and as much again where they come compressed.
	maxFetching = 4
	maxLarge    = 1
	largeChunk  = 16 << 20
	// fetchTimeout bounds one attempt to read a chunk from one node.
	fetchTimeout = 30 * time.Second
)

// Copy fetches chunks from other nodes and stores them here. What is here already is not fetched. It says which chunks
// the node holds durably when it returns, in the given order, and why it does not hold the others; when ctx is done it
// gives up.
func (c *Custodian) Copy(ctx context.Context, copies []checkpoint.ChunkCopy) (copied []checkpoint.ChunkID, failed []checkpoint.ChunkFailure) {
	results := make([]error, len(copies))
	var fetching sync.WaitGroup
	for i, one := range copies {
		release, err := c.admit(ctx, one.Chunk)
		if err != nil {
			results[i] = err
			continue
		}
		fetching.Go(func() {
			defer release()
			results[i] = c.copyOne(ctx, one)
		})
	}
	fetching.Wait()
	for i, err := range results {
		id := copies[i].Chunk.ID
		if err == nil {
			copied = append(copied, id)
			continue
		}
		failed = append(failed, checkpoint.ChunkFailure{Chunk: id, Error: err.Error()})
	}
	return copied, failed
}

// admit waits until a chunk may be fetched.
func (c *Custodian) admit(ctx context.Context, ref checkpoint.ChunkRef) (release func(), err error) {
	if ref.Size < 0 || ref.Size > statestore.MaxChunkSize {
		return nil, fmt.Errorf("%d bytes: a chunk has at most %d", ref.Size, statestore.MaxChunkSize)
	}
	if ref.Size <= largeChunk {
		return acquire(ctx, c.fetching)
	}
	// The scarcer token first: whoever waits for it holds nothing that others need.
	large, err := acquire(ctx, c.large)
	if err != nil {
		return nil, err
	}
	fetching, err := acquire(ctx, c.fetching)
	if err != nil {
		large()
		return nil, err
	}
	return func() { fetching(); large() }, nil
}

func acquire(ctx context.Context, tokens chan struct{}) (release func(), err error) {
	select {
	case tokens <- struct{}{}:
		return func() { <-tokens }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// copyOne makes sure that a chunk is here. The question whether it is counts as a wish to keep it, as storing it does.
func (c *Custodian) copyOne(ctx context.Context, m checkpoint.ChunkCopy) error {
	if has, err := c.cfg.Store.Has(ctx, m.Chunk); err != nil || has {
		return err
	}
	var tried []string
	for _, from := range m.From {
		if from.ID == c.cfg.Self {
			continue
		}
		data, err := c.fetch(ctx, from, m.Chunk)
		if err == nil {
			err = c.cfg.Store.WriteEncoded(ctx, m.Chunk, data)
			if err == nil || ctx.Err() == nil && !errors.Is(err, statestore.ErrCorrupt) {
				return err // when it is this node that cannot store it, another source would not help
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		tried = append(tried, fmt.Sprintf("node %s: %v", from.ID, err))
	}
	if tried == nil {
		return errors.New("no other node was named that has it")
	}
	return errors.New(strings.Join(tried, "; "))
}

func (c *Custodian) fetch(ctx context.Context, from checkpoint.NodeRef, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return c.cfg.Source(from).Get(ctx, ref)
}
