package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	self  = checkpoint.NodeRef{ID: "n1", Incarnation: 11, Address: "n1:7490"}
	other = checkpoint.NodeRef{ID: "n2", Incarnation: 22, Address: "n2:7490"}
	job1  = checkpoint.JobID{1}
)

// cluster is an executor with tasks, sessions and a peer that the test plays. It lives in a synctest bubble.
type cluster struct {
	*Executor
	t       *testing.T
	stop    context.CancelFunc
	stopped chan struct{} // closed when Run has returned
	peer    *fakePeer
	sweeper *fakeSweeper
	keeper  *fakeCustodian
	slow    chan struct{} // closed by the test to let the program "slow" be built

	mu    sync.Mutex
	tasks []*fakeTask // in the order in which they were made
	made  func(*fakeTask)
	fatal []error // why the process was to end
	log   bytes.Buffer
}

// Write takes in what the executor logs.
func (c *cluster) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log.Write(line)
	return c.t.Output().Write(line)
}

// logged returns the lines that have been logged with a message.
func (c *cluster) logged(message string) (lines []string) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range strings.Lines(c.log.String()) {
		if strings.Contains(line, message) {
			lines = append(lines, line)
		}
	}
	return lines
}

// fatals returns why the process was to end.
func (c *cluster) fatals() []error {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.fatal)
}

// inCluster runs a test in a bubble of its own, in which time passes when everything waits.
func inCluster(t *testing.T, test func(*testing.T, *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		ctx, stop := context.WithCancel(t.Context())
		c.stop = stop
		go func() {
			defer close(c.stopped)
			if err := c.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		}()
		test(t, c)
		c.releaseAll()
		stop()
		<-c.stopped
	})
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, stopped: make(chan struct{}), peer: &fakePeer{}, sweeper: &fakeSweeper{}, keeper: &fakeCustodian{}, slow: make(chan struct{})}
	e, err := New(Config{
		Self: self, Slots: 4, Version: "test", Registry: testRegistry(c.slow), Store: noStore{}, Sweeper: c.sweeper, Custodian: c.keeper, Dialer: c.peer,
		OrphanTimeout: time.Minute, CancellationTimeout: 3 * time.Minute, Fatal: func(cause error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.fatal = append(c.fatal, cause)
		},
		Logger: slog.New(slog.NewTextHandler(c, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.newTask = c.newTask
	c.Executor = e
	return c
}

func (c *cluster) newTask(spec dataflow.TaskSpec, deps dataflow.TaskDeps) (task, error) {
	f := &fakeTask{spec: spec, deps: deps, end: make(chan error, 1), stuck: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks = append(c.tasks, f)
	if c.made != nil {
		c.made(f)
	}
	return f, nil
}

// releaseAll lets all tasks end that have been told to, also those that are still to be made.
func (c *cluster) releaseAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = func(f *fakeTask) { f.release() }
	for _, f := range c.tasks {
		f.release()
	}
}

// task returns the newest task of a subtask.
func (c *cluster) task(attempt checkpoint.Attempt, s checkpoint.SubtaskID) *fakeTask {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range slices.Backward(c.tasks) {
		if f.spec.Attempt == attempt && f.spec.Subtask == s {
			return f
		}
	}
	c.t.Fatalf("%s of attempt %d was not made", s, attempt)
	return nil
}

// lead makes a new session that says it leads, and takes the report.
func (c *cluster) lead(term checkpoint.Term, leader checkpoint.NodeID) (*fakeSession, checkpoint.Report) {
	c.t.Helper()
	s := &fakeSession{term: term}
	c.Receive(s, checkpoint.Leading{Term: term, Leader: leader})
	messages := s.take()
	if len(messages) == 0 {
		c.t.Fatalf("the leader of term %d got no report", term)
	}
	report, ok := messages[0].(checkpoint.Report)
	if !ok {
		c.t.Fatalf("the leader of term %d got %+v first", term, messages[0])
	}
	s.got = messages[1:]
	return s, report
}

// deployment places read[0] and write[0] on this node, the others on another.
func deployment(term checkpoint.Term, attempt checkpoint.Attempt) checkpoint.Deploy {
	return checkpoint.Deploy{
		Term: term, Job: job1, Attempt: attempt, Program: "pipe", Topology: pipeTopology(),
		Assignment: checkpoint.Assignment{Nodes: []checkpoint.NodeRef{self, other}, NodeOf: []int{0, 1, 0, 1}},
		Mode:       checkpoint.ExactlyOnce,
	}
}

var (
	read0  = checkpoint.SubtaskID{Vertex: "read", Index: 0}
	write0 = checkpoint.SubtaskID{Vertex: "write", Index: 0}
)

// fakeTask is a task that does what the test says.
type fakeTask struct {
	spec    dataflow.TaskSpec
	deps    dataflow.TaskDeps
	end     chan error    // capacity 1: makes Run return
	stuck   chan struct{} // closed to let a Run that ignores its context return
	ignores bool          // Run ignores its context
	// vanishes makes Run end its goroutine.
	vanishes bool

	mu       sync.Mutex
	released bool
	heard    []string
	stats    dataflow.Stats
}

func (f *fakeTask) Stats() dataflow.Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

// measures sets what the task has measured.
func (f *fakeTask) measures(s dataflow.Stats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stats = s
}

func (f *fakeTask) Run(ctx context.Context) error {
	f.deps.OnStatus(checkpoint.SubtaskReport{Subtask: f.spec.Subtask, Status: checkpoint.SubtaskRunning})
	if f.vanishes {
		runtime.Goexit()
	}
	select {
	case err := <-f.end:
		return err
	case <-ctx.Done():
	}
	if f.ignores {
		<-f.stuck
	}
	return ctx.Err()
}

func (f *fakeTask) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.released {
		close(f.stuck)
	}
	f.released = true
}

func (f *fakeTask) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, s)
}

// takeHeard returns what the task was told since the last call.
func (f *fakeTask) takeHeard() []string {
	synctest.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	heard := f.heard
	f.heard = nil
	return heard
}

func (f *fakeTask) Trigger(b checkpoint.Barrier)    { f.note("trigger " + b.ID.String()) }
func (f *fakeTask) NotifyComplete(id checkpoint.ID) { f.note("complete " + id.String()) }
func (f *fakeTask) NotifyAborted(id checkpoint.ID)  { f.note("aborted " + id.String()) }
func (f *fakeTask) status(s checkpoint.SubtaskStatus) {
	f.deps.OnStatus(checkpoint.SubtaskReport{Subtask: f.spec.Subtask, Status: s})
}
func (f *fakeTask) ack(id checkpoint.ID) { f.deps.OnAck(f.ackFor(id), checkpoint.KindCheckpoint) }
func (f *fakeTask) decline(id checkpoint.ID) {
	f.deps.OnDecline(checkpoint.Decline{
		Job: f.spec.Job, Attempt: f.spec.Attempt, Checkpoint: id, Subtask: f.spec.Subtask, Reason: checkpoint.ReasonDeclined,
	}, checkpoint.KindCheckpoint)
}
func (f *fakeTask) enter(b checkpoint.Barrier, phase checkpoint.Phase) {
	f.deps.OnProgress(b, checkpoint.SubtaskProgress{
		Subtask: f.spec.Subtask, Phase: phase, Metrics: checkpoint.Metrics{SyncMillis: int64(phase)},
	})
}
func (f *fakeTask) ackFor(id checkpoint.ID) checkpoint.Ack {
	return checkpoint.Ack{
		Job: f.spec.Job, Attempt: f.spec.Attempt, Checkpoint: id, State: checkpoint.SubtaskState{Subtask: f.spec.Subtask},
	}
}

func (f *fakeTask) Accept(context.Context, exchange.ChannelID, func(exchange.Credit)) (exchange.FrameWriter, error) {
	return fakeWriter{f}, nil
}

type fakeWriter struct{ to *fakeTask }

func (fakeWriter) TryWrite([]byte) (bool, error) { return true, nil }
func (fakeWriter) Force([]byte) error            { return nil }
func (fakeWriter) Close() error                  { return nil }

// fakeSession keeps what it is told.
type fakeSession struct {
	term checkpoint.Term

	mu     sync.Mutex
	got    []checkpoint.FromNode
	broken bool
	slow   bool // something that was sent still waits
	// offered is apart from got: it comes once a second. So is what the custodian offers, in custody: the Report has always
	// been sent before that.
	offered []checkpoint.TaskMetrics
	custody []checkpoint.FromNode
}

func (s *fakeSession) Offer(messages ...checkpoint.FromNode) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken || s.slow {
		return false
	}
	for _, m := range messages {
		if measured, is := m.(checkpoint.TaskMetrics); is {
			s.offered = append(s.offered, measured)
		} else {
			s.custody = append(s.custody, m)
		}
	}
	return true
}

// takeOffered returns what was offered since the last call.
func (s *fakeSession) takeOffered() []checkpoint.TaskMetrics {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	offered := s.offered
	s.offered = nil
	return offered
}

func (s *fakeSession) setSlow(slow bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = slow
}

func (s *fakeSession) Close() error { return nil }

func (s *fakeSession) Send(m checkpoint.FromNode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errors.New("broken pipe")
	}
	s.got = append(s.got, m)
	return nil
}

// take waits until everything is at rest and returns what was sent since the last call.
func (s *fakeSession) take() []checkpoint.FromNode {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// takeStatuses returns the status changes among what was sent since the last call.
func (s *fakeSession) takeStatuses() map[checkpoint.SubtaskID]checkpoint.SubtaskReport {
	all := make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport)
	for _, m := range s.take() {
		if change, ok := m.(checkpoint.StatusChange); ok {
			all[change.Report.Subtask] = change.Report
		}
	}
	return all
}

// fakePeer answers connections to other nodes.
type fakePeer struct {
	mu      sync.Mutex
	refuse  []error // answers to the next connections, before they succeed
	asked   int
	writers []exchange.ChannelID
}

func (p *fakePeer) Connect(_ context.Context, _ checkpoint.NodeRef, id exchange.ChannelID, _ func()) (exchange.FrameWriter, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if len(p.refuse) > 0 {
		err := p.refuse[0]
		p.refuse = p.refuse[1:]
		return nil, err
	}
	p.writers = append(p.writers, id)
	return fakeWriter{}, nil
}

type noStore struct{}

func (noStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, errors.New("not used")
}
func (noStore) Get(context.Context, checkpoint.ChunkRef) ([]byte, error) {
	return nil, errors.New("not used")
}

// fakeSweeper notes what it is asked for.
type fakeSweeper struct {
	mu   sync.Mutex
	asks []string
	err  error         // what Delete returns
	hold chan struct{} // when set, Delete waits for it or for its context
}

func (s *fakeSweeper) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks = append(s.asks, fmt.Sprintf(format, args...))
}

// asked returns what it was asked for since the last call.
func (s *fakeSweeper) asked() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	asks := s.asks
	s.asks = nil
	return asks
}

func (s *fakeSweeper) Mark(sweep uint64) { s.note("mark %d", sweep) }

func (s *fakeSweeper) Fence(ctx context.Context, sweep uint64, live, gone []checkpoint.NodeRef) error {
	s.note("fence %d: %d live, %d gone", sweep, len(live), len(gone))
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.err
}

func (s *fakeSweeper) Delete(ctx context.Context, sweep uint64, chunks []checkpoint.ChunkID) (deleted, refused int, err error) {
	s.note("delete %d of %d", len(chunks), sweep)
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		}
	}
	return len(chunks) - 1, 1, s.err
}

// fakeCustodian serves a leader with one piece of an empty list, and one for each request. It notes what it is asked for.
type fakeCustodian struct {
	fakeSweeper
	serving  atomic.Int64
	flushing chan struct{}
}

func (c *fakeCustodian) Serve(ctx context.Context, leader Leader) {
	if c.serving.Add(1) != 1 {
		panic("two leaders are served at a time")
	}
	defer c.serving.Add(-1)
	leader.Offer(checkpoint.Inventory{First: true, Last: true})
	for {
		select {
		case <-ctx.Done():
			return
		case request := <-leader.Lists():
			c.note("list %d", request)
			leader.Tell(checkpoint.Inventory{Request: request, First: true, Last: true})
		}
	}
}

// Copy copies all but the first.
func (c *fakeCustodian) Copy(ctx context.Context, copies []checkpoint.ChunkCopy) (copied []checkpoint.ChunkID, failed []checkpoint.ChunkFailure) {
	c.note("copy %d", len(copies))
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			c.note("copying ended: %v", ctx.Err())
		}
	}
	for i, one := range copies {
		if i == 0 {
			failed = append(failed, checkpoint.ChunkFailure{Chunk: one.Chunk.ID, Error: "disk on fire"})
			continue
		}
		copied = append(copied, one.Chunk.ID)
	}
	return copied, failed
}

// Flush waits for flushing, if that is there.
func (c *fakeCustodian) Flush(ctx context.Context) {
	if c.flushing != nil {
		select {
		case <-c.flushing:
		case <-ctx.Done():
		}
	}
}

func (c *fakeCustodian) Located(m checkpoint.ChunksLocated) { c.note("located %d", m.Request) }
