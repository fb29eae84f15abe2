package coordinator

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
	"cairn/placement"
)

const (
	// storeTick is how often the storekeeper decides when nothing happens.
	storeTick = 250 * time.Millisecond
	// namesEvery is the least time between two looks at what the replicated state names: each is one at every job.
	namesEvery = time.Second
)

// storekeeper knows where the chunks are, for one leadership, and has copies made of those that have too few. It has a
// goroutine of its own beside the leader loop: what it looks at may be a million chunks, and no checkpoint is to wait for
// that. What it knows is soft state, which the nodes tell it: nothing is deleted on its word alone (see
// decide_clean.go), and a chunk that it does not know of may still be somewhere.
//
// Its methods may be called from any goroutine; what is asked of it is done in its own, in order.
type storekeeper struct {
	log   *slog.Logger
	store Store
	inbox *inbox
	send  func(checkpoint.NodeID, checkpoint.ToNode) // without waiting
	term  checkpoint.Term
	ended chan struct{} // closed when run has returned

	// What follows belongs to the goroutine in run.
	view     *storeView
	index    *placement.Index // of view
	jobs     []*fsm.Job       // as of the leader's last word
	imports  []fsm.Import
	renamed  bool      // they have changed since they were looked at
	namedAt  time.Time // when they were
	failedAt time.Time // when failures were last logged
	failed   int       // copies that failed since
	repairs  repairLog
	reads    sync.WaitGroup
}

func newStorekeeper(log *slog.Logger, term checkpoint.Term, store Store, policy storePolicy) *storekeeper {
	view := newStoreView(policy, uint64(term)<<32, time.Now())
	return &storekeeper{log: log, term: term, store: store, inbox: newInbox(), ended: make(chan struct{}), view: view, index: view.index}
}

// run serves until ctx is done, and returns after everything it started has ended.
func (k *storekeeper) run(ctx context.Context) {
	defer close(k.ended)
	defer k.reads.Wait()
	defer k.inbox.close()
	ticker := time.NewTicker(storeTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-k.inbox.ready:
		}
		for _, event := range k.inbox.drain() {
			event()
		}
		k.act(ctx, time.Now())
	}
}

// act does what is to be done at time now.
func (k *storekeeper) act(ctx context.Context, now time.Time) {
	if k.renamed && now.Sub(k.namedAt) >= namesEvery {
		k.renamed, k.namedAt = false, now
		k.view.OnLive(fsm.LiveOf(k.jobs, k.imports), now)
	}
	k.view.survey(now)
	for _, a := range decideStore(k.view, now) {
		switch a := a.(type) {
		case orderCopies:
			k.log.Debug("copies of chunks ordered", "node", a.Node.ID, "chunks", len(a.Copies))
			k.view.OnCopiesOrdered(a, now)
			k.send(a.Node.ID, checkpoint.CopyChunks{Term: k.term, Order: a.Order, Copies: a.Copies})
		case readManifest:
			k.read(ctx, a.Manifest)
		}
	}
	k.logFailures(now)
	k.logRepair(now)
}

// read reads a manifest beside the goroutine.
func (k *storekeeper) read(ctx context.Context, ref checkpoint.ChunkRef) {
	k.view.OnManifestReading(ref)
	k.reads.Go(func() {
		m, err := getManifest(ctx, k.store, ref)
		k.inbox.post(func() {
			if tries := k.view.OnManifestRead(ref, m, err, time.Now()); tries == unreadableTries {
				k.log.Warn("a manifest cannot be read; what it names is not repaired, and it is tried again", "chunk", ref.ID, "cause", err)
			}
		})
	})
}

// opened and closed tell of the sessions of nodes, in order with received.
func (k *storekeeper) opened(hello checkpoint.Hello) {
	k.inbox.post(func() { k.view.OnSession(hello, time.Now()) })
}

func (k *storekeeper) closed(ref checkpoint.NodeRef) {
	k.inbox.post(func() { k.view.OnSessionClosed(ref, time.Now()) })
}

// received takes in what a node says about its part of the store. It returns at once.
func (k *storekeeper) received(node checkpoint.NodeRef, m checkpoint.FromNode) {
	k.inbox.post(func() { k.handle(node, m) })
}

func (k *storekeeper) handle(node checkpoint.NodeRef, m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.Inventory:
		if k.view.OnInventory(node, m) {
			k.log.Debug("node has told what it holds", "node", node.ID, "chunks", k.index.Len())
		}
	case checkpoint.InventoryChange:
		if len(m.Corrupt) > 0 {
			k.log.Warn("node has found damaged copies", "node", node.ID, "chunks", len(m.Corrupt), "first", m.Corrupt[0])
		}
		k.view.OnInventoryChange(node, m)
	case checkpoint.StoreReport:
		k.view.OnStoreReport(node, m)
	case checkpoint.ChunksCopied:
		k.view.OnChunksCopied(node, m, time.Now())
	case checkpoint.LocateChunks:
		if k.view.node(node) != nil {
			answer := k.view.locate(node, m)
			answer.Term = k.term
			k.send(node.ID, answer)
		}
	}
}

// judged tells how the leader loop judges the nodes.
func (k *storekeeper) judged(facts []nodeFact) {
	k.inbox.post(func() { k.view.OnNodes(facts, time.Now()) })
}

// named tells of the replicated jobs and imports, which name chunks.
func (k *storekeeper) named(jobs []*fsm.Job, imports []fsm.Import) {
	k.inbox.post(func() { k.jobs, k.imports, k.renamed = jobs, imports, true })
}

// wrote tells of a manifest that this leader has stored, before the log names it.
func (k *storekeeper) wrote(ref checkpoint.ChunkRef, m checkpoint.Manifest) {
	k.inbox.post(func() { k.view.OnManifestStored(ref, m, time.Now()) })
}

// watch tells the storekeeper what the leader loop knows of nodes and jobs, where that has changed since it last did.
func (l *leader) watch(now time.Time) {
	facts := make([]nodeFact, 0, len(l.view.order))
	for _, n := range l.view.order {
		_, drained := l.view.Drained[n.ref.ID]
		facts = append(facts, nodeFact{n.ref.ID, l.view.stateOf(n, now), drained})
	}
	if !slices.Equal(facts, l.toldNodes) {
		l.toldNodes = facts
		l.keeper.judged(facts)
	}
	// Jobs are immutable: another value is another job.
	if !slices.Equal(l.view.Jobs, l.toldJobs) || !slices.Equal(l.view.Imports, l.toldImports) {
		l.toldJobs, l.toldImports = l.view.Jobs, l.view.Imports
		l.keeper.named(l.toldJobs, l.toldImports)
	}
}
