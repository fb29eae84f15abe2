package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// readIndexer makes reads linearizable without entries in the log: it confirms that this replica led at some moment
// after the read came. Reads that come while a confirmation is under way share the next one: the one under way may
// have been answered before they came. It is safe for concurrent use; the zero value needs confirm only.
type readIndexer struct {
	confirm func(checkpoint.Term) error
	running sync.WaitGroup // the confirmations and the messages of theirs

	mu   sync.Mutex
	now  *confirmation // under way, nil when there is none
	next *confirmation // waits for now to end, nil when nobody asks
}

// confirmation is one round of messages to the voters.
type confirmation struct {
	term checkpoint.Term
	done chan struct{} // closed when err is set
	err  error
}

// read returns once a confirmation that began after the call has ended.
func (r *readIndexer) read(ctx context.Context, term checkpoint.Term) error {
	c := r.join(term)
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *readIndexer) join(term checkpoint.Term) *confirmation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil && r.next.term == term {
		return r.next
	}
	c := &confirmation{term: term, done: make(chan struct{})}
	switch {
	case r.now == nil:
		r.now = c
		r.running.Go(func() { r.run(c) })
	case r.next == nil:
		r.next = c
	default: // two leaderships wait at once: the older one's readers have nothing to wait for any more
		r.next.err = errors.New("the term has ended")
		close(r.next.done)
		r.next = c
	}
	return c
}

// run confirms until nobody waits any more.
func (r *readIndexer) run(c *confirmation) {
	for c != nil {
		c.err = r.confirm(c.term)
		close(c.done)
		r.mu.Lock()
		c, r.next = r.next, nil
		r.now = c
		r.mu.Unlock()
	}
}

// readIndex implements replicatedLog. What was acknowledged to anybody in this term has been applied here before it
// was acknowledged, and what was committed in earlier terms before the leader loop began: so the state of the
// moment after the confirmation is new enough.
func (r *replica) readIndex(ctx context.Context, term checkpoint.Term) error {
	return r.reads.read(ctx, term)
}

// readIndex returns an error that a caller can act on unless the state may be read now.
func (l *leader) readIndex(ctx context.Context) error {
	if err := l.raft.readIndex(ctx, l.term); err != nil {
		return api.Errorf(api.NotLeader, "this coordinator led in term %d and could not confirm that it still does: %v", l.term, err)
	}
	return nil
}

// confirmLimit bounds a confirmation. A leader that reaches no majority for as long steps down anyway.
const confirmLimit = time.Second

// confirmLeadership returns nil when a majority of the voters have answered a heartbeat of this term that was sent
// during the call. raft.VerifyLeader would not do: it counts members without vote, and answers to heartbeats that
// were sent before it was called.
func (r *replica) confirmLeadership(term checkpoint.Term) error {
	voters := r.voters()
	answers := make(chan error, len(voters)) // nobody waits for all of them
	for _, voter := range voters {
		if voter.ID == raft.ServerID(r.id) {
			answers <- nil
			continue
		}
		r.reads.running.Go(func() { answers <- r.heartbeat(voter, term) })
	}
	limit := time.NewTimer(confirmLimit)
	defer limit.Stop()
	majority, failed := len(voters)/2+1, 0
	var cause error
	for majority > 0 {
		select {
		case err := <-answers:
			if err == nil {
				majority--
			} else if failed, cause = failed+1, err; failed >= len(voters)-len(voters)/2 {
				return fmt.Errorf("no majority of %d voters answers: %w", len(voters), cause)
			}
		case <-limit.C:
			return fmt.Errorf("no majority of %d voters answers within %s", len(voters), confirmLimit)
		}
	}
	if r.raft.State() != raft.Leader || r.raft.CurrentTerm() != uint64(term) {
		return raft.ErrNotLeader
	}
	return nil
}

// heartbeat sends Raft's own heartbeat to a voter: an AppendEntries without entries.
func (r *replica) heartbeat(voter raft.Server, term checkpoint.Term) error {
	self := r.gate.EncodePeer(raft.ServerID(r.id), r.gate.LocalAddr())
	req := raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(r.id), Addr: self}, Term: uint64(term),
	}
	var resp raft.AppendEntriesResponse
	if err := r.gate.AppendEntries(voter.ID, voter.Address, &req, &resp); err != nil {
		return fmt.Errorf("coordinator %s: %w", voter.ID, err)
	}
	if !resp.Success {
		return fmt.Errorf("coordinator %s is in term %d", voter.ID, resp.Term)
	}
	return nil
}
