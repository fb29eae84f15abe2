package statestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// fanout puts chunks on peers and gets them from there. It is what Replicated and Remote have in common.
type fanout struct {
	peers Peers
	self  checkpoint.NodeID // never used as a peer; empty for a coordinator
	opts  Options
	hints hints
	// A peer whose disk is full serves chunks all the same.
	takes, gives peerHealth
}

func newFanout(peers Peers, self checkpoint.NodeID, opts Options) *fanout {
	opts = opts.withDefaults()
	return &fanout{
		peers: peers, self: self, opts: opts, hints: hints{locator: opts.Locator},
		takes: peerHealth{log: opts.Logger, sick: "a peer does not take chunks; others get them", better: "a peer takes chunks again"},
		gives: peerHealth{log: opts.Logger, sick: "a peer does not give chunks; others are asked", better: "a peer gives chunks again"},
	}
}

// candidates returns the peers in the order in which they should hold the chunk.
func (f *fanout) candidates(chunk checkpoint.ChunkID) []PeerInfo {
	return candidates(f.peers, placement.Node{ID: f.self, Zone: f.opts.Zone}, chunk)
}

// put stores a chunk on want of the given peers: the first ones that can, and those last that have failed of late. It
// returns when want have it, no peer is left or ctx is done. Nothing touches e afterwards.
func (f *fanout) put(ctx context.Context, ref checkpoint.ChunkRef, e Encoded, order []PeerInfo, want int) ([]checkpoint.NodeID, NodeErrors) {
	order = f.takes.order(order)
	r := race{n: len(order), want: want, slowAfter: f.slowAfter(ref), try: func(ctx context.Context, i int) error {
		return attempt(ctx, f.opts.PutTimeout, func(ctx context.Context) error { return order[i].Peer.Put(ctx, ref, e) })
	}}
	results := r.run(ctx)
	var took []checkpoint.NodeID
	var failed NodeErrors
	for i, err := range results {
		if errors.Is(err, errNotTried) {
			continue
		}
		if ctx.Err() == nil {
			f.takes.observe(order[i].ID, err)
		}
		if err == nil {
			took = append(took, order[i].ID)
		} else {
			failed = append(failed, NodeError{Node: order[i].ID, Err: err})
		}
	}
	return took, failed
}

// get asks the peers for a chunk until one has a good copy, and reports whether one had: first those that are said to
// hold it, then the others in the order in which they should. It also returns what the others said.
func (f *fanout) get(ctx context.Context, ref checkpoint.ChunkRef) (c content, found bool, failed NodeErrors) {
	order, absent := holdersFirst(f.candidates(ref.ID), f.located(ctx, ref))
	order = f.gives.order(order)
	copies := make([]content, len(order)) // each is written by the attempt at its position
	r := race{n: len(order), want: 1, slowAfter: f.slowAfter(ref), try: func(ctx context.Context, i int) (err error) {
		err = attempt(ctx, f.opts.GetTimeout, func(ctx context.Context) error {
			copies[i].encoded, err = order[i].Peer.Get(ctx, ref)
			return err
		})
		if err == nil {
			copies[i].data, err = copies[i].encoded.Decode(ref)
		}
		return err
	}}
	for i, err := range r.run(ctx) {
		if errors.Is(err, errNotTried) {
			continue
		}
		if ctx.Err() == nil {
			f.gives.observe(order[i].ID, withoutAnswers(err))
		}
		if err == nil {
			c, found = copies[i], true
		} else {
			failed = append(failed, NodeError{Node: order[i].ID, Err: err})
		}
	}
	for _, id := range absent {
		failed = append(failed, NodeError{Node: id, Err: errNotLive})
	}
	return c, found, failed
}

// has asks a peer whether it holds a chunk, and to keep it then. That a peer answers says nothing of how fast it gives a
// chunk; that it does not, does.
func (f *fanout) has(ctx context.Context, p PeerInfo, ref checkpoint.ChunkRef) (has bool, err error) {
	err = attempt(ctx, f.opts.GetTimeout, func(ctx context.Context) (err error) {
		has, err = p.Peer.Has(ctx, ref)
		return err
	})
	if err != nil && ctx.Err() == nil {
		f.gives.observe(p.ID, err)
	}
	return has, err
}

// located returns the nodes that are said to hold a chunk.
func (f *fanout) located(ctx context.Context, ref checkpoint.ChunkRef) []checkpoint.NodeID {
	nodes, asked := f.hints.take(ref.ID)
	if !asked {
		f.locate(ctx, []checkpoint.ChunkID{ref.ID})
		nodes, _ = f.hints.take(ref.ID)
	}
	return nodes
}

// locate asks who holds chunks that are to be read soon. It does not wait long for the answer.
func (f *fanout) locate(ctx context.Context, chunks []checkpoint.ChunkID) {
	ctx, cancel := context.WithTimeout(ctx, f.opts.SlowAfter)
	defer cancel()
	f.hints.ask(ctx, chunks)
}

// withoutAnswers leaves out the errors that are a peer's good answer to the question for a chunk.
func withoutAnswers(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		return nil
	}
	return err
}

// usualSize is the size of a chunk up to which Options.SlowAfter holds as it is.
const usualSize = 8 << 20

// slowAfter returns when a peer counts as slow that is given a chunk, or asked for it.
func (f *fanout) slowAfter(ref checkpoint.ChunkRef) time.Duration {
	return time.Duration(float64(f.opts.SlowAfter) * max(1, float64(ref.Size)/usualSize))
}

// attempt runs one exchange with a peer under a timeout, and says so when it was the timeout that ended it.
func attempt(ctx context.Context, timeout time.Duration, exchange func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := exchange(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer within %s: %w", timeout, err)
	}
	return err
}
