package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"cairn/checkpoint"
)

var (
	errCutOff = errors.New("connection reset: the network is cut")
	errDown   = errors.New("connection refused: nobody listens there")
)

// maxDelay is the longest that a message is under way. Each takes a random part of it.
const maxDelay = 2 * time.Millisecond

// network is what lies between the processes. A process may be cut off from all others, in one of two ways: loudly,
// then its connections break and new ones are refused; or silently, then nothing arrives and nobody is told. It is safe
// for concurrent use.
type network struct {
	mu     sync.Mutex
	random *rand.Rand // of delays; guarded by mu
	cuts   map[checkpoint.NodeID]cut
}

type cut struct {
	silent bool
	healed chan struct{} // closed at the end of the cut
}

func newNetwork(random *rand.Rand) *network {
	return &network{random: random, cuts: make(map[checkpoint.NodeID]cut)}
}

// cutOff separates a process from all others until heal is called. It reports false when it is cut off already.
func (n *network) cutOff(id checkpoint.NodeID, silent bool) (heal func(), done bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, already := n.cuts[id]; already {
		return nil, false
	}
	c := cut{silent: silent, healed: make(chan struct{})}
	n.cuts[id] = c
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.cuts, id)
		close(c.healed)
	}, true
}

// cutOfAny returns the cut of one of the processes.
func (n *network) cutOfAny(ids ...checkpoint.NodeID) (cut, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		if c, found := n.cuts[id]; found {
			return c, true
		}
	}
	return cut{}, false
}

// carry returns when a message has got from one process to another, or the error by which its sender learns that it
// will not.
func (n *network) carry(ctx context.Context, from, to checkpoint.NodeID) error {
	n.delay()
	for {
		c, found := n.cutOfAny(from, to)
		switch {
		case !found:
			return ctx.Err()
		case !c.silent:
			return fmt.Errorf("%s to %s: %w", from, to, errCutOff)
		}
		select {
		case <-c.healed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (n *network) delay() {
	n.mu.Lock()
	d := time.Duration(n.random.Int64N(int64(maxDelay)))
	n.mu.Unlock()
	time.Sleep(d) // virtual time
}
