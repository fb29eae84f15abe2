package statestore

import (
	"log/slog"
	"sync"
	"time"

	"cairn/checkpoint"
)

// How long a peer that has failed is passed over: it is asked again behind the first pause, and for as long as it fails
// the pause doubles.
const (
	firstPause   = 2 * time.Second
	longestPause = time.Minute
)

// peerHealth remembers which peers have failed, so that not every chunk has to find out anew which of them is slow, full
// or gone. It logs when that changes, instead of a line for every chunk.
type peerHealth struct {
	log          *slog.Logger
	sick, better string // what the log says

	mu       sync.Mutex
	failures map[checkpoint.NodeID]peerFailure // of peers whose last attempt failed
}

// peerFailure is what is known of a peer that has failed.
type peerFailure struct {
	pause time.Duration
	until time.Time // it is passed over
}

// order moves the peers behind the others that are to be passed over: they are asked when nobody else is left.
func (h *peerHealth) order(peers []PeerInfo) []PeerInfo {
	healthy, failing := h.split(peers)
	return append(healthy, failing...)
}

// split returns the peers that are to be passed over apart from the others.
func (h *peerHealth) split(peers []PeerInfo) (healthy, failing []PeerInfo) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.failures) == 0 {
		return peers, nil
	}
	now := time.Now()
	healthy = make([]PeerInfo, 0, len(peers))
	for _, p := range peers {
		if f, failed := h.failures[p.ID]; failed && now.Before(f.until) {
			failing = append(failing, p)
		} else {
			healthy = append(healthy, p)
		}
	}
	return healthy, failing
}

// observe notes how an attempt went.
func (h *peerHealth) observe(node checkpoint.NodeID, err error) {
	switch changed := h.record(node, err != nil); {
	case !changed:
	case err != nil:
		h.log.Warn(h.sick, "node", node, "error", err)
	default:
		h.log.Info(h.better, "node", node)
	}
}

// record notes how an attempt went and reports whether that is news.
func (h *peerHealth) record(node checkpoint.NodeID, failed bool) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, before := h.failures[node]
	if !failed {
		delete(h.failures, node)
		return before
	}
	now := time.Now()
	switch {
	case !before:
		f.pause = firstPause
	case !now.Before(f.until): // several chunks at a time fail once
		f.pause = min(2*f.pause, longestPause)
	default:
		return false
	}
	f.until = now.Add(f.pause)
	if h.failures == nil {
		h.failures = make(map[checkpoint.NodeID]peerFailure)
	}
	h.failures[node] = f
	return !before
}
