package custody

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cairn/checkpoint"
)

// locateTimeout is how long the leader may take to say where chunks are.
const locateTimeout = time.Second

// ErrNoLeader says that nobody leads who could say where chunks are.
var ErrNoLeader = errors.New("no leader is heard")

// questions are what the leader has been asked and has not answered.
type questions struct {
	mu   sync.Mutex
	tell func(checkpoint.FromNode) // nil while nobody leads
	last uint64                    // number of the newest; a process uses none twice
	// waiting gets the answers, by number. A channel has capacity 1, and is closed when no answer is to be expected.
	waiting map[uint64]chan checkpoint.ChunksLocated
}

// open directs questions to a leader.
func (q *questions) open(tell func(checkpoint.FromNode)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tell = tell
	q.waiting = make(map[uint64]chan checkpoint.ChunksLocated)
}

// close ends that: nobody answers any more.
func (q *questions) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, answer := range q.waiting {
		close(answer)
	}
	q.tell, q.waiting = nil, nil
}

// ask asks the leader, if there is one.
func (q *questions) ask(ids []checkpoint.ChunkID) (request uint64, answer <-chan checkpoint.ChunksLocated, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.tell == nil {
		return 0, nil, ErrNoLeader
	}
	q.last++
	waiting := make(chan checkpoint.ChunksLocated, 1)
	q.waiting[q.last] = waiting
	q.tell(checkpoint.LocateChunks{Request: q.last, Chunks: ids})
	return q.last, waiting, nil
}

// answer hands an answer to whoever waits for it.
func (q *questions) answer(m checkpoint.ChunksLocated) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if waiting := q.waiting[m.Request]; waiting != nil {
		delete(q.waiting, m.Request)
		waiting <- m
	}
}

// forget gives a question up.
func (q *questions) forget(request uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, request)
}

// Located takes in the leader's answer to a question that Locate has asked. Any other changes nothing.
func (c *Custodian) Located(m checkpoint.ChunksLocated) { c.questions.answer(m) }

// Locate asks the leader who holds the chunks: for each of them those nodes, in no particular order, and none when the
// leader knows of none. It returns an error that wraps ErrNoLeader when nobody leads, and another one when the leader does
// not answer within a second.
func (c *Custodian) Locate(ctx context.Context, ids []checkpoint.ChunkID) ([][]checkpoint.NodeRef, error) {
	all := make([][]checkpoint.NodeRef, 0, len(ids))
	for len(ids) > 0 {
		n := min(len(ids), c.maxPiece)
		holders, err := c.locate(ctx, ids[:n])
		if err != nil {
			return nil, fmt.Errorf("where %d chunks are: %w", n, err)
		}
		all, ids = append(all, holders...), ids[n:]
	}
	return all, nil
}

func (c *Custodian) locate(ctx context.Context, ids []checkpoint.ChunkID) ([][]checkpoint.NodeRef, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, locateTimeout, fmt.Errorf("the leader did not say within %s", locateTimeout))
	defer cancel()
	request, answer, err := c.questions.ask(ids)
	if err != nil {
		return nil, err
	}
	defer c.questions.forget(request)
	select {
	case m, answered := <-answer:
		if !answered {
			return nil, ErrNoLeader
		}
		return holdersIn(m, len(ids))
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// holdersIn reads the answer to a question about n chunks.
func holdersIn(m checkpoint.ChunksLocated, n int) ([][]checkpoint.NodeRef, error) {
	if len(m.Holders) != n {
		return nil, fmt.Errorf("the leader answered for %d chunks, asked for %d", len(m.Holders), n)
	}
	all := make([][]checkpoint.NodeRef, n)
	for i, positions := range m.Holders {
		for _, at := range positions {
			if at < 0 || at >= len(m.Nodes) {
				return nil, fmt.Errorf("the leader named node %d of %d", at, len(m.Nodes))
			}
			all[i] = append(all[i], m.Nodes[at])
		}
	}
	return all, nil
}
