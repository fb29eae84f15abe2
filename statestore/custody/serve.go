package custody

import (
	"context"
	"errors"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

const (
	// maxPiece bounds the chunks that one message names: some 600 kB, which take a few milliseconds of a session.
	maxPiece = 1 << 14
	// gatherTime is how long changes are gathered before the leader is told.
	gatherTime = 200 * time.Millisecond
	// offerPause is the time between two attempts to send what has to wait for other messages.
	offerPause = 20 * time.Millisecond
	// reportInterval is how often the leader is told how the store is.
	reportInterval = 3 * time.Second
	// listPause is the time between two attempts to list a store that cannot be listed.
	listPause = 5 * time.Second
)

// Serve tells the leader what the node holds, and how that changes, until ctx is done. It is called for one leader at a
// time.
func (c *Custodian) Serve(ctx context.Context, leader Leader) {
	c.questions.open(leader.Tell)
	defer c.questions.close()
	t := &teller{Custodian: c, leader: leader, owed: c.cfg.Feed != nil}
	if t.owed {
		defer c.cfg.Feed.ignore()
	}
	t.run(ctx)
}

// teller tells one leader about the store. It belongs to the goroutine of Serve.
type teller struct {
	*Custodian
	leader Leader
	// owed says that the leader is to be given the list of what the node holds; request is the number of a list that it
	// has asked for, 0 for none.
	owed    bool
	request uint64
	// gone are the chunks that the leader was told were removed, since the list began that is being sent; nil between lists.
	// Of those that came back since it has been told, too.
	gone map[checkpoint.ChunkID]struct{}
	// flushing are the calls of Flush that wait.
	flushing []chan struct{}
}

// Flush returns when all that has changed before has been queued for the leader, or when ctx is done. Behind the answer to
// a mark a leader relies on that: what it does not know to be deleted by then is there, unless it has it deleted itself.
func (c *Custodian) Flush(ctx context.Context) {
	if c.cfg.Feed == nil {
		return // there is nothing that it is told
	}
	done := make(chan struct{})
	select {
	case c.flushes <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (t *teller) run(ctx context.Context) {
	reports := time.NewTicker(reportInterval)
	defer reports.Stop()
	t.report()
	for ctx.Err() == nil {
		if t.owed || t.request != 0 {
			t.lists(ctx)
			continue
		}
		if len(t.flushing) > 0 {
			t.flush(ctx)
			continue
		}
		select {
		case <-ctx.Done():
		case <-reports.C:
			t.report()
		case t.request = <-t.leader.Lists():
		case done := <-t.flushes:
			t.flushing = append(t.flushing, done)
		case <-t.changed():
			if pause(ctx, gatherTime) {
				t.owed = t.changes(ctx) != nil
			}
		}
	}
}

// flush sends what was gathered to those who wait for that. Where it is not known any more, they wait for the list.
func (t *teller) flush(ctx context.Context) {
	if t.owed = t.changes(ctx) != nil; t.owed {
		return
	}
	for _, done := range t.flushing {
		close(done)
	}
	t.flushing = nil
}

// changed returns the channel that says that something has changed, nil for a store of which that is not told.
func (t *teller) changed() <-chan struct{} {
	if t.cfg.Feed == nil {
		return nil
	}
	return t.cfg.Feed.ready
}

// report tells how the store is. Nothing is lost when the leader does not hear it.
func (t *teller) report() {
	if t.cfg.Report != nil {
		t.leader.Offer(t.cfg.Report())
	}
}

// lists sends the lists that are due, the node's own first.
func (t *teller) lists(ctx context.Context) {
	request := t.request
	if t.owed {
		request = 0
		t.cfg.Feed.listen() // what changed before this is in the list
	}
	err := t.list(ctx, request)
	switch {
	case ctx.Err() != nil:
	case err == nil && request == 0:
		t.owed = false
	case err == nil:
		t.request = 0
	case errors.Is(err, errOvertaken):
		t.log.Warn("the leader gets the list of the chunks anew", "node", t.cfg.Self, "cause", err)
		t.owed = true
	default:
		t.log.Error("the chunks cannot be listed; trying again", "node", t.cfg.Self, "cause", err)
		pause(ctx, listPause)
	}
}

// list sends the list of all chunks in pieces, and what changes meanwhile between them.
func (t *teller) list(ctx context.Context, request uint64) error {
	t.gone = make(map[checkpoint.ChunkID]struct{})
	defer func() { t.gone = nil }()
	piece := checkpoint.Inventory{Request: request, First: true}
	for ref, err := range t.cfg.Store.List(ctx) {
		if err != nil {
			return err
		}
		if len(piece.Chunks) == t.maxPiece {
			if err := t.deliver(ctx, piece); err != nil {
				return err
			}
			// The next piece is empty now: whatever these changes remove is left out of it.
			if err := t.changes(ctx); err != nil {
				return err
			}
			piece = checkpoint.Inventory{Request: request}
		}
		if _, gone := t.gone[ref.ID]; !gone {
			piece.Chunks = append(piece.Chunks, ref)
		}
	}
	// Behind the list: who has stored what it names had announced that before.
	var err error
	if piece.Owners, err = t.cfg.Store.Owners(ctx); err != nil {
		return err
	}
	piece.Last = true
	return t.deliver(ctx, piece)
}

// changes sends what was gathered. It returns errOvertaken when that is not known any more.
func (t *teller) changes(ctx context.Context) error {
	if t.cfg.Feed == nil {
		return nil
	}
	all, complete := t.cfg.Feed.take()
	if !complete {
		return errOvertaken
	}
	for _, m := range changeMessages(all, t.maxPiece) {
		if err := t.deliver(ctx, m); err != nil {
			return err
		}
	}
	for id, c := range all {
		if t.gone != nil && c.kind != statestore.ChunkAdded {
			t.gone[id] = struct{}{}
		}
	}
	return nil
}

// changeMessages puts changes into messages that name up to limit chunks. What was damaged comes before what was stored: it may be the same chunk.
func changeMessages(all map[checkpoint.ChunkID]change, limit int) []checkpoint.InventoryChange {
	corrupt, rest := changeWriter{limit: limit}, changeWriter{limit: limit}
	for id, c := range all {
		if c.corrupt {
			m := corrupt.next()
			m.Corrupt = append(m.Corrupt, id)
		}
		switch c.kind {
		case statestore.ChunkAdded:
			m := rest.next()
			m.Added = append(m.Added, checkpoint.ChunkRef{ID: id, Size: c.size})
		case statestore.ChunkRemoved:
			m := rest.next()
			m.Removed = append(m.Removed, id)
		}
	}
	return append(corrupt.messages, rest.messages...)
}

// changeWriter makes messages that are not too large.
type changeWriter struct {
	limit    int
	messages []checkpoint.InventoryChange
}

// next returns the message that takes one more chunk.
func (w *changeWriter) next() *checkpoint.InventoryChange {
	if n := len(w.messages); n > 0 {
		if m := &w.messages[n-1]; len(m.Added)+len(m.Removed)+len(m.Corrupt) < w.limit {
			return m
		}
	}
	w.messages = append(w.messages, checkpoint.InventoryChange{})
	return &w.messages[len(w.messages)-1]
}

// deliver sends a message as soon as nothing else waits. It returns an error when ctx is done before that.
func (t *teller) deliver(ctx context.Context, m checkpoint.FromNode) error {
	for ctx.Err() == nil {
		if t.leader.Offer(m) {
			return nil
		}
		pause(ctx, offerPause)
	}
	return context.Cause(ctx)
}

// pause waits. It reports false when ctx is done before that.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
