package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/dataflow/executor"
	"cairn/transport"
)

// Ten minutes' worth of input against a sink that takes nothing is a matter of seconds here, as the source has as much
// as anybody takes: over real connections, too, what is emitted and what is held stays within bounds, and flows again
// when the sink does.
func TestMemoryIsBoundedUnderASlowSinkOverTheNetwork(t *testing.T) {
	emitted, taken, open := new(atomic.Int64), new(atomic.Int64), make(chan struct{})
	program := Job("flood", "", func(g *dataflow.Graph, _ *dataflow.Params) error {
		read := dataflow.From(g, "read", flood{emitted}, codec.String, dataflow.Parallelism(2))
		counted := dataflow.Process(dataflow.KeyBy(read, codec.String, func(v string) string { return v }), "count", codec.String,
			func() dataflow.KeyedProcessor[string, string, string] { return pass{} }, dataflow.Parallelism(3))
		dataflow.To(dataflow.Rebalance(counted), "write", dam{open, taken}, dataflow.Parallelism(2))
		return nil
	})
	nodes := startPair(t, program)
	opening := sync.OnceFunc(func() { close(open) })
	t.Cleanup(opening) // a sink that does not return could not be stopped
	nodes.deploy(t, program)

	const channels, maxPerChannel = 2*3 + 3*2, 1 << 20 // bytes, those of the connection included
	nodes.await(t, "all to be backpressured", func(m checkpoint.SubtaskMetrics) bool {
		return m.Subtask.Vertex == "write" || m.Load != nil && m.Load.BackpressuredMillis > 990
	})
	first := emitted.Load()
	if bytes := first * floodRecord; bytes > channels*maxPerChannel {
		t.Errorf("%d bytes were emitted, more than %d for each of %d channels", bytes, maxPerChannel, channels)
	}
	nodes.await(t, "nothing to move any more", func(m checkpoint.SubtaskMetrics) bool {
		return m.Load != nil && m.Load.RecordsIn == 0 && m.Load.RecordsOut == 0
	})
	if last := emitted.Load(); last != first {
		t.Errorf("%d records were emitted first, %d after that", first, last-first)
	}
	var held int64
	for _, m := range nodes.metrics() {
		held += m.Load.InFlightBytes
	}
	if held == 0 || held > channels*maxPerChannel {
		t.Errorf("%d bytes are in flight, more than %d for each of %d channels", held, maxPerChannel, channels)
	}
	opening()
	eventually(t, "the records to flow again", func() bool { return taken.Load() > first+100_000 })
}

// flood is a source that never ends.
type flood struct{ emitted *atomic.Int64 }

const floodRecord = 100 // bytes

func (s flood) Open(dataflow.SourceContext) (dataflow.SourceReader[string], error) { return s, nil }

func (s flood) Next(emit func(string)) (dataflow.ReadStatus, error) {
	for range 100 {
		emit(fmt.Sprintf("%010d", s.emitted.Add(1)) + strings.Repeat("x", floodRecord-10))
	}
	return dataflow.Ready(), nil
}

func (flood) Snapshot() ([][]byte, error) { return nil, nil }
func (flood) Position() string            { return "" }
func (flood) Close() error                { return nil }

type pass struct{}

func (pass) Open(*dataflow.ProcessContext[string]) error { return nil }
func (pass) Process(_ string, in string, emit func(string)) error {
	emit(in)
	return nil
}
func (pass) Finish(func(string)) error { return nil }

// dam is a sink that takes nothing until it is opened.
type dam struct {
	open  chan struct{}
	taken *atomic.Int64
}

func (d dam) Open(dataflow.SinkContext) (dataflow.SinkWriter[string], error) { return d, nil }
func (dam) Recover(context.Context, [][]byte) error                          { return nil }
func (d dam) Write(string) error {
	<-d.open
	d.taken.Add(1)
	return nil
}
func (dam) PreCommit(context.Context, checkpoint.ID) ([]byte, error) { return nil, nil }
func (dam) Commit(context.Context, []byte) error                     { return nil }
func (dam) Close() error                                             { return nil }

// pair is two nodes that reach each other over the network, and what they tell the leader that the test plays.
type pair struct {
	executors []*executor.Executor
	refs      []checkpoint.NodeRef

	mu     sync.Mutex
	latest map[checkpoint.SubtaskID]checkpoint.SubtaskMetrics
}

func startPair(t *testing.T, program dataflow.Program) *pair {
	p := &pair{latest: make(map[checkpoint.SubtaskID]checkpoint.SubtaskMetrics)}
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		dialing := transport.NewDialer(transport.DialerOptions{})
		self := checkpoint.NodeRef{ID: id, Incarnation: 1, Address: mux.Addr().String()}
		e, err := executor.New(executor.Config{
			Self: self, Slots: 8, Registry: dataflow.NewRegistry(program), Store: noStore{}, Sweeper: noSweeps{},
			Dialer: dialer{dialing}, Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		server := transport.NewServer(transport.ServerOptions{Channels: channels{e}})
		ctx, stop := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { _ = server.Serve(mux.GRPC()) })
		running.Go(func() { _ = e.Run(ctx) })
		t.Cleanup(func() {
			stop()
			err := errors.Join(dialing.Close(), server.Close(ctx), mux.Close())
			running.Wait()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		p.executors, p.refs = append(p.executors, e), append(p.refs, self)
	}
	return p
}

// deploy spreads the subtasks so that most channels lead to the other node.
func (p *pair) deploy(t *testing.T, program dataflow.Program) {
	g, err := dataflow.NewRegistry(program).Build(program.Name, nil, checkpoint.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range p.executors {
		session := &leaderSession{pair: p}
		e.Receive(session, checkpoint.Leading{Term: 1, Leader: "c1"})
		e.Receive(session, checkpoint.Deploy{
			Term: 1, Job: checkpoint.JobID{1}, Attempt: 1, Program: program.Name, Topology: g.Topology(),
			Assignment: checkpoint.Assignment{Nodes: p.refs, NodeOf: []int{0, 1, 0, 1, 1, 1, 0}}, Mode: checkpoint.ExactlyOnce,
		})
	}
}

// metrics returns what is known of each subtask.
func (p *pair) metrics() map[checkpoint.SubtaskID]checkpoint.SubtaskMetrics {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[checkpoint.SubtaskID]checkpoint.SubtaskMetrics)
	for s, m := range p.latest {
		all[s] = m
	}
	return all
}

// await waits until all subtasks have measured what the condition wants.
func (p *pair) await(t *testing.T, what string, condition func(checkpoint.SubtaskMetrics) bool) {
	t.Helper()
	eventually(t, what, func() bool {
		all := p.metrics()
		for _, m := range all {
			if !condition(m) {
				return false
			}
		}
		return len(all) == 7
	})
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// leaderSession is the session of a node with the leader.
type leaderSession struct{ pair *pair }

func (s *leaderSession) Send(checkpoint.FromNode) error { return nil }
func (s *leaderSession) Close() error                   { return nil }

func (s *leaderSession) Offer(messages ...checkpoint.FromNode) bool {
	s.pair.mu.Lock()
	defer s.pair.mu.Unlock()
	for _, m := range messages {
		for _, measured := range m.(checkpoint.TaskMetrics).Subtasks {
			s.pair.latest[measured.Subtask] = measured
		}
	}
	return true
}

type noStore struct{}

func (noStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, errors.New("not used")
}

func (noStore) Get(context.Context, checkpoint.ChunkRef) ([]byte, error) {
	return nil, errors.New("not used")
}

type noSweeps struct{}

func (noSweeps) Mark(uint64) {}
func (noSweeps) Fence(context.Context, uint64, []checkpoint.NodeRef, []checkpoint.NodeRef) error {
	return errors.New("no store is shared here")
}
func (noSweeps) Delete(context.Context, uint64, []checkpoint.ChunkID) (deleted, refused int, err error) {
	return 0, 0, nil
}
