package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// tick is how often the leader decides when nothing happens: the granularity of intervals and timeouts.
const tick = 20 * time.Millisecond

// replicatedLog is the leader's way to the Raft log.
type replicatedLog interface {
	// barrier waits until everything committed before this leadership has been applied here.
	barrier(ctx context.Context) error
	// propose appends the commands in order and calls during while they commit. It returns the response
	// to each, in order. With errBusy those that carry it were not taken, and the others hold. On any other
	// error the outcome of some is unknown (I8): nothing may be concluded.
	propose(commands []fsm.Command, during func()) ([]fsm.Response, error)
	// readIndex returns once this coordinator has led in term at some moment since it was called, and everything
	// committed before that moment has been applied here.
	readIndex(ctx context.Context, term checkpoint.Term) error
	// jobs returns the replicated jobs, oldest first, as immutable values.
	jobs() []*fsm.Job
	// imports returns the imported savepoints as an immutable slice.
	imports() []fsm.Import
	// drained returns the drained nodes as an immutable map.
	drained() map[checkpoint.NodeID]checkpoint.Timestamp
}

// Store is where manifests are kept. Implementations are safe for concurrent use.
type Store interface {
	// Put makes data durable on as many nodes as the store's policy says.
	Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error)
	// Get returns the verified content of a chunk.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
	// Keep makes the nodes that hold the chunks spare them in the sweeps that are under way. It fails when some chunk
	// is nowhere.
	Keep(ctx context.Context, refs []checkpoint.ChunkRef) error
}

// leader is the loop of one leadership. Its fields belong to the goroutine in run; everybody else posts
// events to its inbox.
type leader struct {
	id       checkpoint.NodeID
	term     checkpoint.Term
	nth      uint8 // of the loops of this term, from 0: it keeps the numbers of their sweeps apart
	log      *slog.Logger
	raft     replicatedLog
	store    Store
	timing   Timing
	inbox    *inbox
	ctx      context.Context // of this leadership
	view     *View
	sessions map[checkpoint.NodeID]*openSession
	requests requests
	tasks    sync.WaitGroup // manifests being written or read, and the storekeeper
	keeper   *storekeeper
	// toldNodes and toldJobs are what the storekeeper was told last.
	toldNodes   []nodeFact
	toldJobs    []*fsm.Job
	toldImports []fsm.Import
}

func newLeader(id checkpoint.NodeID, term checkpoint.Term, raft replicatedLog, store Store, timing Timing, log *slog.Logger) *leader {
	l := &leader{
		id: id, term: term, log: log.With("term", term), raft: raft, store: store, timing: timing,
		inbox: newInbox(), sessions: make(map[checkpoint.NodeID]*openSession), requests: newRequests(),
	}
	l.keep(0, DefaultRepair())
	return l
}

// keep makes the storekeeper anew, for so many copies of each chunk. It is called before run.
func (l *leader) keep(replicas int, repair Repair) {
	l.keeper = newStorekeeper(l.log, l.term, l.store, storePolicy{replicas: replicas, repair: repair, adoption: l.timing.AdoptionGrace})
	l.keeper.view.lastOrder += uint64(l.nth) << 24
	l.keeper.send = func(id checkpoint.NodeID, m checkpoint.ToNode) { l.inbox.post(func() { l.send(id, m) }) }
}

// run leads until ctx is done or the log refuses proposals, and returns after everything it started has
// ended. registry tells it of the sessions.
func (l *leader) run(ctx context.Context, registry *sessions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer l.tasks.Wait()
	defer cancel()
	l.ctx = ctx
	if err := l.raft.barrier(ctx); err != nil {
		return fmt.Errorf("term %d: applying the log: %w", l.term, err)
	}
	l.view = NewView(l.term, time.Now(), l.timing)
	l.view.cleaning.number += uint64(l.nth) << 24
	l.refresh()
	l.tasks.Go(func() { l.keeper.run(ctx) })
	registry.attach(l)
	defer l.failRequests()
	defer l.inbox.close()
	defer registry.detach()
	l.log.Info("leading", "jobs", len(l.view.Jobs))
	return l.loop(ctx)
}

// refresh gives the view the replicated state of the moment.
func (l *leader) refresh() {
	// The imports come first: what a job claims between the two is then seen twice, and not nowhere.
	l.view.Imports = l.raft.imports()
	l.view.SetJobs(l.raft.jobs())
	l.view.Drained = l.raft.drained()
}

func (l *leader) loop(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.inbox.ready:
		case now := <-ticker.C:
			l.watch(now)
		}
		for _, event := range l.inbox.drain() {
			event()
		}
		if err := l.act(ctx); err != nil {
			return err
		}
	}
}

// opened, closed and received are called by the sessions.
func (l *leader) opened(o *openSession) {
	l.inbox.post(func() {
		l.sessions[o.hello.Node.ID] = o
		l.view.OnSession(o.hello, time.Now())
		l.keeper.opened(o.hello)
	})
}

func (l *leader) closed(o *openSession) {
	l.inbox.post(func() {
		if l.sessions[o.hello.Node.ID] == o {
			delete(l.sessions, o.hello.Node.ID)
			l.view.OnSessionClosed(o.hello.Node, time.Now())
			l.dropPlans(o.hello.Node.ID)
			l.keeper.closed(o.hello.Node)
		}
	})
}

func (l *leader) received(o *openSession, m checkpoint.FromNode) {
	l.inbox.post(func() {
		id := o.hello.Node.ID
		if l.sessions[id] != o {
			return // a newer session speaks for the node
		}
		l.view.OnHeard(id, time.Now())
		l.handle(id, m)
	})
}

func (l *leader) handle(id checkpoint.NodeID, m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.Report:
		l.log.Info("node reported", "node", id, "attempts", len(m.Attempts))
		l.view.OnReport(id, m, time.Now())
	case checkpoint.StatusChange:
		l.logStatus(id, m)
		l.view.OnStatus(id, m)
	case checkpoint.AckBatch:
		now := time.Now()
		for _, ack := range m.Acks {
			l.view.OnAck(id, ack, now)
		}
	case checkpoint.Decline:
		if l.view.OnDecline(id, m) {
			l.log.Warn("checkpoint declined", "job", m.Job, "checkpoint", m.Checkpoint, "task", m.Subtask,
				"node", id, "reason", m.Reason, "cause", m.Message)
		}
	case checkpoint.Progress:
		l.view.OnProgress(id, m)
	case checkpoint.TaskMetrics:
		l.view.OnTaskMetrics(id, m, time.Now())
	case checkpoint.JobPlanned:
		if !l.view.OnPlanned(id, m) {
			l.planned(id, m)
		}
	case checkpoint.ChunksMarked:
		l.view.OnChunksMarked(id, m)
	case checkpoint.ChunksDeleted:
		l.chunksDeleted(id, m)
	case checkpoint.Inventory:
		l.tellKeeper(id, m)
		l.view.OnInventory(id, m, time.Now())
	case checkpoint.InventoryChange, checkpoint.StoreReport, checkpoint.LocateChunks, checkpoint.ChunksCopied:
		l.tellKeeper(id, m)
	case checkpoint.Heartbeat, checkpoint.Hello:
	}
}

// tellKeeper passes on what a node says about its part of the store.
func (l *leader) tellKeeper(id checkpoint.NodeID, m checkpoint.FromNode) {
	if o := l.sessions[id]; o != nil {
		l.keeper.received(o.hello.Node, m)
	}
}

func (l *leader) logStatus(id checkpoint.NodeID, m checkpoint.StatusChange) {
	if m.Report.Status == checkpoint.SubtaskFailed {
		level := slog.LevelWarn
		if !meantToRun(l.view.byID[m.Job], m.Attempt) {
			level = slog.LevelDebug // channels break when an attempt is ended in good order: nothing to look after
		}
		l.log.Log(l.ctx, level, "subtask failed", "job", m.Job, "attempt", m.Attempt, "task", m.Report.Subtask, "node", id,
			"cause", m.Report.Failure.Message)
	}
}

// meantToRun reports whether an attempt of a job runs, or has failed and may go on in parts.
func meantToRun(j *fsm.Job, attempt checkpoint.Attempt) bool {
	return j != nil && j.Attempt == attempt && j.Interrupted == "" && (j.Status == fsm.JobRunning || j.Status == fsm.JobRestarting)
}

func (l *leader) memberFailed(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	l.inbox.post(func() { l.view.OnMemberFailed(id, inc) })
}

func (l *leader) memberLeft(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	l.inbox.post(func() { l.view.OnMemberLeft(id, inc) })
}
