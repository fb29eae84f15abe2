package executor

import (
	"context"

	"cairn/checkpoint"
)

// Custodian keeps the node's own store for the leader: it tells what is in it, and makes copies. Its methods are safe for
// concurrent use.
type Custodian interface {
	// Serve tells a leader which chunks the node holds, and how that changes, until ctx is done. It is called for one
	// leader at a time, when the leader has been sent the Report.
	Serve(ctx context.Context, leader Leader)
	// Copy fetches chunks and stores them. It returns those that the node holds durably now, and why it does not hold the
	// others.
	Copy(ctx context.Context, copies []checkpoint.ChunkCopy) (copied []checkpoint.ChunkID, failed []checkpoint.ChunkFailure)
	// Flush returns when all that has changed before has been queued for the leader, or when ctx is done.
	Flush(ctx context.Context)
	// Located takes in an answer to a question that was asked in Serve's time. It returns at once.
	Located(checkpoint.ChunksLocated)
}

// Leader is the leader as a Custodian reaches it. It is another name for the interface and not a type, so that a Custodian
// need not import this package.
type Leader = interface {
	// Tell queues a message. It is lost with the session.
	Tell(checkpoint.FromNode)
	// Offer queues messages, all or none: none, and false, when anything that was sent before still waits.
	Offer(...checkpoint.FromNode) bool
	// Lists are the numbers of the leader's requests for a list of all chunks. A newer one takes an older one's place.
	Lists() <-chan uint64
}

// noCustodian is the custodian of a node that has none.
type noCustodian struct{}

func (noCustodian) Serve(context.Context, Leader)    {}
func (noCustodian) Flush(context.Context)            {}
func (noCustodian) Located(checkpoint.ChunksLocated) {}
func (noCustodian) Copy(_ context.Context, copies []checkpoint.ChunkCopy) (_ []checkpoint.ChunkID, failed []checkpoint.ChunkFailure) {
	for _, c := range copies {
		failed = append(failed, checkpoint.ChunkFailure{Chunk: c.Chunk.ID, Error: "the node makes no copies"})
	}
	return nil, failed
}

// leadership is the time from a Leading to the next one, or to the end of its session.
type leadership struct {
	executor *Executor
	session  Session
	ctx      context.Context
	end      context.CancelFunc
	lists    chan uint64 // capacity 1: the newest request; sent to under the executor's mutex, never closed

	// The executor's mutex guards the rest.
	reported bool            // the Report has been sent
	copying  map[uint64]bool // the orders that are being carried out
}

var _ Leader = (*leadership)(nil)

// leadLocked begins a leadership on a session and ends the one before it; nil begins none.
func (e *Executor) leadLocked(s Session) {
	if l := e.mu.leadership; l != nil {
		l.end()
	}
	e.mu.leadership = nil
	if s == nil {
		return
	}
	l := &leadership{executor: e, session: s, lists: make(chan uint64, 1), copying: make(map[uint64]bool)}
	l.ctx, l.end = context.WithCancel(e.life)
	e.mu.leadership = l
}

// Tell implements Leader.
func (l *leadership) Tell(m checkpoint.FromNode) {
	l.executor.mu.Lock()
	defer l.executor.mu.Unlock()
	l.tellLocked(m)
}

// tellLocked queues a message unless somebody else leads by now: to another it means nothing.
func (l *leadership) tellLocked(m checkpoint.FromNode) {
	if l.executor.mu.leadership == l {
		l.executor.tellLocked(m)
	}
}

// Offer implements Leader.
func (l *leadership) Offer(messages ...checkpoint.FromNode) bool {
	return l.ctx.Err() == nil && l.session.Offer(messages...)
}

// Lists implements Leader.
func (l *leadership) Lists() <-chan uint64 { return l.lists }

// listLocked notes that the leader asks for a list.
func (l *leadership) listLocked(request uint64) {
	select {
	case <-l.lists: // an older request
	default:
	}
	l.lists <- request
}

// told notes that the leader has been sent the Report.
func (l *leadership) told() {
	l.executor.mu.Lock()
	defer l.executor.mu.Unlock()
	if l.reported {
		return
	}
	l.reported = true
	select {
	case l.executor.reported <- struct{}{}:
	default: // one pending signal is enough: it says to look who leads
	}
}

// custodyLoop lets the custodian serve one leader after the other, until ctx is done. Being one goroutine, it keeps the
// order of what a session is told.
func (e *Executor) custodyLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.reported:
		}
		e.mu.Lock()
		l := e.mu.leadership
		if l != nil && !l.reported {
			l = nil // its turn comes when it has been
		}
		e.mu.Unlock()
		if l != nil {
			e.serve(ctx, l)
		}
	}
}

func (e *Executor) serve(ctx context.Context, l *leadership) {
	stop := context.AfterFunc(ctx, l.end)
	defer stop()
	e.cfg.Custodian.Serve(l.ctx, l)
	<-l.ctx.Done()
}

// copyChunksLocked carries an order out in a goroutine of its own, since it waits for the network and the disk, and ends
// with the leadership. An order that is being carried out already is not begun again: what it says is told once.
func (e *Executor) copyChunksLocked(m checkpoint.CopyChunks) {
	l := e.mu.leadership
	if l.copying[m.Order] {
		return
	}
	l.copying[m.Order] = true
	e.goLocked(func() {
		answer := checkpoint.ChunksCopied{Order: m.Order}
		answer.Copied, answer.Failed = e.cfg.Custodian.Copy(l.ctx, m.Copies)
		for i := range answer.Failed {
			answer.Failed[i].Error = clip(answer.Failed[i].Error)
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(l.copying, m.Order)
		l.tellLocked(answer)
	})
}
