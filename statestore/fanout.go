package statestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// errNotTried marks a node whose turn did not come.
var errNotTried = errors.New("not tried")

// fanout puts chunks on peers and gets them from there. It is what Replicated and Remote have in common.
type fanout struct {
	peers  Peers
	self   checkpoint.NodeID // never used as a peer; empty for a coordinator
	opts   Options
	health peerHealth
}

func newFanout(peers Peers, self checkpoint.NodeID, opts Options) *fanout {
	opts = opts.withDefaults()
	return &fanout{peers: peers, self: self, opts: opts, health: peerHealth{log: opts.Logger}}
}

func (f *fanout) candidates(chunk checkpoint.ChunkID) []PeerInfo {
	return candidates(f.peers, placement.Node{ID: f.self, Zone: f.opts.Zone}, chunk)
}

// put stores a chunk on want of the given peers, taking the first ones first and replacing each that fails
// by the next in order. It returns when want have it, no peer is left or ctx is done, and all its
// goroutines have ended: the memory of e may then be reused.
func (f *fanout) put(ctx context.Context, ref checkpoint.ChunkRef, e Encoded, order []PeerInfo, want int) ([]checkpoint.NodeID, NodeErrors) {
	results := make([]error, len(order)) // each element is written by the one worker that drew its index
	for i := range results {
		results[i] = errNotTried
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(want, len(order)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(order) {
					return
				}
				if results[i] = f.putTo(ctx, order[i], ref, e); results[i] == nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return sortResults(order, results)
}

func sortResults(order []PeerInfo, results []error) (took []checkpoint.NodeID, failed NodeErrors) {
	for i, err := range results {
		switch {
		case err == nil:
			took = append(took, order[i].ID)
		case !errors.Is(err, errNotTried):
			failed = append(failed, NodeError{Node: order[i].ID, Err: err})
		}
	}
	return took, failed
}

func (f *fanout) putTo(ctx context.Context, p PeerInfo, ref checkpoint.ChunkRef, e Encoded) error {
	err := attempt(ctx, f.opts.PutTimeout, func(ctx context.Context) error { return p.Peer.Put(ctx, ref, e) })
	if ctx.Err() == nil {
		f.health.observe(p.ID, err)
	}
	return err
}

// get asks the given peers in order until one has a good copy, and reports whether one had. It also returns
// what the others said.
func (f *fanout) get(ctx context.Context, ref checkpoint.ChunkRef, order []PeerInfo) (c content, found bool, failed NodeErrors) {
	for _, p := range order {
		if ctx.Err() != nil {
			break
		}
		c, err := f.getFrom(ctx, p, ref)
		if err == nil {
			return c, true, failed
		}
		failed = append(failed, NodeError{Node: p.ID, Err: err})
	}
	return content{}, false, failed
}

func (f *fanout) getFrom(ctx context.Context, p PeerInfo, ref checkpoint.ChunkRef) (c content, err error) {
	err = attempt(ctx, f.opts.GetTimeout, func(ctx context.Context) error {
		c.encoded, err = p.Peer.Get(ctx, ref)
		return err
	})
	if err == nil {
		c.data, err = c.encoded.Decode(ref)
	}
	return c, err
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

// peerHealth logs when a peer stops taking chunks and when it resumes, instead of a line for every chunk.
type peerHealth struct {
	log *slog.Logger

	mu   sync.Mutex
	sick map[checkpoint.NodeID]struct{} // peers whose last attempt failed
}

func (h *peerHealth) observe(node checkpoint.NodeID, err error) {
	switch changed := h.record(node, err != nil); {
	case !changed:
	case err != nil:
		h.log.Warn("a peer does not take chunks; others get them", "node", node, "error", err)
	default:
		h.log.Info("a peer takes chunks again", "node", node)
	}
}

// record notes how an attempt went and reports whether that is news.
func (h *peerHealth) record(node checkpoint.NodeID, sick bool) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, was := h.sick[node]; was == sick {
		return false
	}
	if !sick {
		delete(h.sick, node)
		return true
	}
	if h.sick == nil {
		h.sick = make(map[checkpoint.NodeID]struct{})
	}
	h.sick[node] = struct{}{}
	return true
}
