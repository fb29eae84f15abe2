package executor

import (
	"context"

	"cairn/checkpoint"
)

// ChunkSweeper deletes chunks of the node's own store on behalf of the leader. Its methods are safe for concurrent
// use.
type ChunkSweeper interface {
	// Mark opens a sweep: from then on the store notes every chunk that it is asked to keep. It returns at once.
	Mark(sweep uint64)
	// Fence comes between a mark and its answer where nodes share a store: the first of live deletes for those in gone.
	// Without it the node deletes for nobody but itself. It waits for the store.
	Fence(ctx context.Context, sweep uint64, live, gone []checkpoint.NodeRef) error
	// Delete deletes chunks, save for those that the store was asked to keep since the sweep's mark. It counts the
	// chunks that are gone and those that were spared.
	Delete(ctx context.Context, sweep uint64, chunks []checkpoint.ChunkID) (deleted, refused int, err error)
}

// markChunks opens a sweep. It is called when the mutex has been released.
func (e *Executor) markChunks(s Session, m checkpoint.MarkChunks) {
	e.cfg.Sweeper.Mark(m.Sweep)
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.mu.leadership; l != nil && l.session == s {
		e.goLocked(func() { e.answerMark(l, m) })
	}
}

// answerMark answers a mark: in a shared store, after the processes that are gone have been kept from storing there;
// otherwise after the leader has been told what was deleted before.
func (e *Executor) answerMark(l *leadership, m checkpoint.MarkChunks) {
	if len(m.Live) > 0 {
		if err := e.cfg.Sweeper.Fence(e.life, m.Sweep, m.Live, m.Gone); err != nil {
			e.log.Warn("what nodes that are gone have stored stays for now", "sweep", m.Sweep, "cause", err)
		}
	}
	e.cfg.Custodian.Flush(l.ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	l.tellLocked(checkpoint.ChunksMarked{Sweep: m.Sweep})
}

// deleteChunksLocked deletes chunks in a goroutine of its own, since it waits for the disk.
func (e *Executor) deleteChunksLocked(s Session, m checkpoint.DeleteChunks) {
	e.goLocked(func() {
		answer := checkpoint.ChunksDeleted{Sweep: m.Sweep}
		var err error
		if answer.Deleted, answer.Refused, err = e.cfg.Sweeper.Delete(e.life, m.Sweep, m.Chunks); err != nil {
			answer.Error = clip(err.Error())
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.answerLocked(s, m.Term, answer)
	})
}

// answerLocked answers a leader that asked for something on session s, if it still leads: to another the answer
// means nothing.
func (e *Executor) answerLocked(s Session, term checkpoint.Term, answer checkpoint.FromNode) {
	if e.mu.fence.session == s && e.mu.fence.term == term {
		e.tellLocked(answer)
	}
}
