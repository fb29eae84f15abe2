package dataflow

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// memoryStore keeps chunks in memory. hold, delay and fail let a test stand in the way of Put.
type memoryStore struct {
	mu     sync.Mutex
	chunks map[checkpoint.ChunkID][]byte
	hold   chan struct{} // when set, Put waits for it
	fail   error         // when set, Put returns it
	delay  func() time.Duration
}

func newMemoryStore() *memoryStore {
	return &memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)}
}

func (s *memoryStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	s.mu.Lock()
	hold, fail := s.hold, s.fail
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return checkpoint.ChunkRef{}, ctx.Err()
		}
	}
	if s.delay != nil {
		select {
		case <-time.After(s.delay()):
		case <-ctx.Done():
			return checkpoint.ChunkRef{}, ctx.Err()
		}
	}
	if fail != nil {
		return checkpoint.ChunkRef{}, fail
	}
	ref := checkpoint.ChunkRef{ID: blake3.Sum256(data), Size: int64(len(data))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chunks[ref.ID] = slices.Clone(data)
	return ref, nil
}

func (s *memoryStore) Get(_ context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, found := s.chunks[ref.ID]
	if !found {
		return nil, fmt.Errorf("chunk %s is not there", ref.ID)
	}
	return data, nil
}

// setHold makes Put wait for hold from now on, or not if it is nil.
func (s *memoryStore) setHold(hold chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold = hold
}

// has reports whether every chunk of the state is stored.
func (s *memoryStore) has(state checkpoint.SubtaskState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range state.Handles {
		for _, c := range h.Chunks {
			if _, found := s.chunks[c.ID]; !found {
				return false
			}
		}
	}
	return true
}

// numbers is a source of the numbers 0 to n-1, dealt out in splits. A split's entry is its index and the
// numbers read of it. Between batches it is idle for a millisecond if pace is set.
type numbers struct {
	n, splits int
	batch     int
	pace      bool
}

type numbersReader struct {
	numbers
	ctx  SourceContext
	next map[int]int // numbers read, by split
	last string
}

func (s numbers) Open(ctx SourceContext) (SourceReader[int64], error) {
	r := &numbersReader{numbers: s, ctx: ctx, next: make(map[int]int)}
	for split := ctx.Subtask.Index; split < s.splits && !ctx.Restored; split += ctx.Parallelism {
		r.next[split] = 0
	}
	for _, e := range ctx.Entries {
		r.next[int(binary.LittleEndian.Uint32(e))] = int(binary.LittleEndian.Uint32(e[4:]))
	}
	return r, nil
}

func (r *numbersReader) Next(emit func(int64)) (ReadStatus, error) {
	for range r.batch {
		if len(r.next) == 0 {
			return End(), nil
		}
		for split := range r.next { // any one
			if v := split + r.next[split]*r.splits; v < r.n {
				r.next[split]++
				r.last = fmt.Sprintf("split %d offset %d", split, r.next[split])
				emit(int64(v))
			} else {
				delete(r.next, split)
			}
			break
		}
	}
	if r.pace {
		return IdleUntil(time.Now().Add(time.Millisecond)), nil
	}
	return Ready(), nil
}

func (r *numbersReader) Snapshot() ([][]byte, error) {
	var entries [][]byte
	for split, next := range r.next {
		e := binary.LittleEndian.AppendUint32(nil, uint32(split))
		entries = append(entries, binary.LittleEndian.AppendUint32(e, uint32(next)))
	}
	return entries, nil
}

func (r *numbersReader) Position() string { return r.last }
func (r *numbersReader) Close() error     { return nil }

// ledger is the outside world of a sink: transactions that are pre-committed or committed. It outlives
// attempts.
type ledger[T any] struct {
	mu        sync.Mutex
	nextID    uint64
	prepared  map[uint64]transactionOf[T]
	committed map[uint64]transactionOf[T]
}

type transactionOf[T any] struct {
	owner   int // subtask
	attempt checkpoint.Attempt
	records []T
}

func newLedger[T any]() *ledger[T] {
	return &ledger[T]{prepared: make(map[uint64]transactionOf[T]), committed: make(map[uint64]transactionOf[T])}
}

// output returns all committed records.
func (l *ledger[T]) output() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []T
	for _, t := range l.committed {
		all = append(all, t.records...)
	}
	return all
}

func (l *ledger[T]) Open(ctx SinkContext) (SinkWriter[T], error) {
	return &ledgerWriter[T]{ledger: l, ctx: ctx}, nil
}

type ledgerWriter[T any] struct {
	ledger *ledger[T]
	ctx    SinkContext
	open   []T
}

func (w *ledgerWriter[T]) Recover(ctx context.Context, handles [][]byte) error {
	for _, h := range handles {
		if err := w.Commit(ctx, h); err != nil {
			return err
		}
	}
	return nil
}

// Settle gives up what earlier attempts have prepared. A handle of it that anybody still committed would be lost.
func (w *ledgerWriter[T]) Settle(context.Context) error {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for id, t := range w.ledger.prepared {
		if t.attempt < w.ctx.Attempt {
			delete(w.ledger.prepared, id)
		}
	}
	return nil
}

func (w *ledgerWriter[T]) Write(v T) error {
	w.open = append(w.open, v)
	return nil
}

func (w *ledgerWriter[T]) PreCommit(context.Context, checkpoint.ID) ([]byte, error) {
	if len(w.open) == 0 {
		return nil, nil
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.nextID++
	w.ledger.prepared[w.ledger.nextID] = transactionOf[T]{
		owner: w.ctx.Subtask.Index, attempt: w.ctx.Attempt, records: w.open,
	}
	w.open = nil
	return binary.AppendUvarint(nil, w.ledger.nextID), nil
}

func (w *ledgerWriter[T]) Commit(_ context.Context, handle []byte) error {
	id, _ := binary.Uvarint(handle)
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	if _, done := w.ledger.committed[id]; done {
		return nil
	}
	t, found := w.ledger.prepared[id]
	if !found {
		return fmt.Errorf("transaction %d is lost", id)
	}
	w.ledger.committed[id] = t
	delete(w.ledger.prepared, id)
	return nil
}

func (w *ledgerWriter[T]) Close() error { return nil }

// attempt is all tasks of one attempt, in this process.
type attempt struct {
	tasks  map[checkpoint.SubtaskID]*Task
	events chan any // SubtaskReport, Ack and Decline; capacity as given, closed by nobody
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	progress []progressNote // in the order of arrival
}

// progressNote says that a subtask has entered a phase of a checkpoint.
type progressNote struct {
	checkpoint checkpoint.ID
	subtask    checkpoint.SubtaskID
	phase      checkpoint.Phase
}

func (a *attempt) progressed(n progressNote) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.progress = append(a.progress, n)
}

// phases returns the phases of a checkpoint that a subtask has entered, in that order.
func (a *attempt) phases(id checkpoint.ID, s checkpoint.SubtaskID) (phases []checkpoint.Phase) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.progress {
		if n.checkpoint == id && n.subtask == s {
			phases = append(phases, n.phase)
		}
	}
	return phases
}

// startAttempt runs every subtask of the graph, from the given states if restore is not 0.
func startAttempt(t *testing.T, g *Graph, number checkpoint.Attempt, store ChunkStore, restore checkpoint.ID, states map[checkpoint.SubtaskID]checkpoint.SubtaskState) *attempt {
	t.Helper()
	return startAttemptWith(t, g, store, TaskSpec{
		Attempt: number, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true, Restore: restore,
	}, states)
}

// narrow makes queues so short that they fill up with a few records.
func narrow(t *Task) {
	t.gate.Flow = exchange.Flow{Window: exchange.Credit{Frames: 4, Bytes: 64}, Batch: 24, Soft: 24, Overdraft: 1 << 10}
}

// startAttemptWith runs every subtask of the graph by the specification, which lacks what differs between them. The tasks
// are tuned before they run.
func startAttemptWith(t *testing.T, g *Graph, store ChunkStore, common TaskSpec,
	states map[checkpoint.SubtaskID]checkpoint.SubtaskState, tune ...func(*Task),
) *attempt {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a := &attempt{tasks: make(map[checkpoint.SubtaskID]*Task), events: make(chan any, 1<<14), ctx: ctx, cancel: cancel}
	for _, s := range g.Topology().Subtasks() {
		spec := common
		spec.Job, spec.Subtask, spec.Graph, spec.Assignment, spec.State = checkpoint.JobID{1}, s, g, oneNode(g), states[s]
		task, err := NewTask(spec, a.deps(store))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range tune {
			f(task)
		}
		a.tasks[s] = task
	}
	for _, task := range a.tasks {
		a.done.Go(func() { _ = task.Run(ctx) }) // the error is in its report
	}
	return a
}

func (a *attempt) deps(store ChunkStore) TaskDeps {
	return TaskDeps{
		Store: store, Connector: a, Logger: deadLogger,
		OnStatus:  func(r checkpoint.SubtaskReport) { a.events <- r },
		OnAck:     func(ack checkpoint.Ack, _ checkpoint.Kind) { a.events <- ack },
		OnDecline: func(d checkpoint.Decline, _ checkpoint.Kind) { a.events <- d },
		OnProgress: func(b checkpoint.Barrier, p checkpoint.SubtaskProgress) {
			a.progressed(progressNote{b.ID, p.Subtask, p.Phase})
		},
	}
}

// Connect implements exchange.Connector within the process.
func (a *attempt) Connect(ctx context.Context, _ checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	for s, task := range a.tasks {
		if s.Index == id.To && slices.ContainsFunc(task.vertex.inputs, func(e *edge) bool { return e.index == id.Edge }) {
			return task.Accept(ctx, id, func(exchange.Credit) { ready() })
		}
	}
	return nil, fmt.Errorf("no task for channel %s", id)
}

// stop cancels the attempt and waits for its end.
func (a *attempt) stop() {
	a.cancel()
	a.done.Wait()
}

var deadLogger = slog.New(slog.DiscardHandler)

func oneNode(g *Graph) checkpoint.Assignment {
	return checkpoint.Assignment{
		Nodes:  []checkpoint.NodeRef{{ID: "n1", Incarnation: 1, Address: "mem"}},
		NodeOf: make([]int, g.Topology().NumSubtasks()),
	}
}

// savepoint is the barrier of a savepoint.
func savepoint(id checkpoint.ID, stop checkpoint.Stop) checkpoint.Barrier {
	b := barrier(id)
	b.Kind, b.Stop = checkpoint.KindSavepoint, stop
	return b
}

// barrierOf is the barrier of a checkpoint with the given alignment.
func barrierOf(id checkpoint.ID, alignment checkpoint.Alignment) checkpoint.Barrier {
	b := barrier(id)
	b.Alignment = alignment
	return b
}

func barrier(id checkpoint.ID) checkpoint.Barrier {
	return checkpoint.Barrier{
		ID: id, Timestamp: checkpoint.Timestamp(time.Now().UnixMilli()),
		Kind: checkpoint.KindCheckpoint, Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned,
	}
}
