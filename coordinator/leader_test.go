package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// scriptedLog is a log whose next completion has an unknown outcome.
type scriptedLog struct {
	mu    sync.Mutex
	state *fsm.State
	index uint64
	lose  bool // the outcome of the next CompleteCheckpoint is unknown
	apply bool // whether it took effect all the same
	// loseRescale makes the outcome of the next RescaleJob unknown.
	loseRescale bool
	// reject is how many beginnings are still to be rejected; finished counts the discards that were finished.
	reject, finished int
}

func (l *scriptedLog) barrier(context.Context) error { return nil }

func (l *scriptedLog) readIndex(context.Context, checkpoint.Term) error { return nil }

func (l *scriptedLog) jobs() []*fsm.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.SortedJobs()
}

func (l *scriptedLog) imports() []fsm.Import {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Imports
}

func (l *scriptedLog) drained() map[checkpoint.NodeID]checkpoint.Timestamp {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Drained
}

func (l *scriptedLog) propose(commands []fsm.Command, during func()) ([]fsm.Response, error) {
	during()
	l.mu.Lock()
	defer l.mu.Unlock()
	var responses []fsm.Response
	for _, c := range commands {
		if _, begin := c.(fsm.BeginCheckpoint); begin && l.reject > 0 {
			l.reject--
			responses = append(responses, fsm.Response{Err: fsm.ErrNotRunning})
			continue
		}
		if _, finish := c.(fsm.FinishDiscards); finish {
			l.finished++
		}
		if _, rescale := c.(fsm.RescaleJob); rescale && l.loseRescale {
			if l.apply {
				l.index++
				l.state.Step(l.index, c)
			}
			return nil, raft.ErrLeadershipLost
		}
		_, complete := c.(fsm.CompleteCheckpoint)
		if complete && l.lose && !l.apply {
			return nil, raft.ErrLeadershipLost
		}
		l.index++
		r, err := l.state.Step(l.index, c)
		responses = append(responses, fsm.Response{Result: r, Err: err})
		if complete && l.lose {
			return nil, raft.ErrLeadershipLost
		}
	}
	return responses, nil
}

// oneNode is a leader's surroundings: a log that can be made to fail, a store, and one node with room for testJob.
type oneNode struct {
	t        *testing.T
	log      *scriptedLog
	store    *scriptedStore
	node     *fakeNode
	sessions *sessions
}

// scriptedStore is a store in which some writes fail or take their time.
type scriptedStore struct {
	memoryStore
	put func(ctx context.Context, data []byte) error // before data is stored; nil for none
}

func (s *scriptedStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	if s.put != nil {
		if err := s.put(ctx, data); err != nil {
			return checkpoint.ChunkRef{}, err
		}
	}
	return s.memoryStore.Put(ctx, data)
}

// withOneNode runs a test in synctest's time, with testJob submitted.
func withOneNode(t *testing.T, c checkpoint.Config, test func(t *testing.T, o *oneNode)) {
	synctest.Test(t, func(t *testing.T) {
		o := &oneNode{
			t: t, log: &scriptedLog{state: fsm.NewState()}, node: newFakeNode("n1", &fabric{}),
			store:    &scriptedStore{memoryStore: memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)}},
			sessions: newSessions(slog.New(slog.DiscardHandler)),
		}
		o.node.fabric.nodes = []*fakeNode{o.node}
		o.node.slots = 1000
		keep, release := context.WithCancel(t.Context())
		var node sync.WaitGroup
		node.Go(func() { o.node.keepSession(keep, o.sessions.serve) })
		if _, err := o.log.propose([]fsm.Command{fsm.SubmitJob{
			Job: testJob, Name: "job", Program: "test", Topology: testTopology(), Config: c, At: 1,
		}}, func() {}); err != nil {
			t.Fatal(err)
		}
		test(t, o)
		release()
		node.Wait()
	})
}

// lead leads for five seconds, or until the log fails.
func (o *oneNode) lead(term checkpoint.Term) error {
	ctx, cancel := context.WithTimeout(o.t.Context(), 5*time.Second)
	defer cancel()
	return o.newLeader(term).run(ctx, o.sessions)
}

func (o *oneNode) newLeader(term checkpoint.Term) *leader {
	return newLeader("c1", term, o.log, o.store, DefaultTiming(), slog.New(slog.DiscardHandler))
}

// leading runs a leader until the returned function is called.
func (o *oneNode) leading(term checkpoint.Term) (*leader, func()) {
	ctx, cancel := context.WithCancel(o.t.Context())
	l := o.newLeader(term)
	var running sync.WaitGroup
	running.Go(func() { l.run(ctx, o.sessions) })
	time.Sleep(500 * time.Millisecond) // virtual time: until the job runs
	return l, func() { cancel(); running.Wait() }
}

func (o *oneNode) job() *fsm.Job { return o.log.jobs()[0] }

// I8, C22: the leader does not know whether its completion was committed. It must stop without telling anybody
// anything or deleting anything, whichever it was; the next leader reads the log and says what is true. U6: that may be
// the same coordinator.
func TestC22_UnknownOutcomeNotifiesAndDeletesNothing(t *testing.T) {
	for name, committed := range map[string]bool{"committed": true, "not committed": false} {
		t.Run(name, func(t *testing.T) {
			withOneNode(t, testConfig(), func(t *testing.T, o *oneNode) {
				o.log.lose, o.log.apply = true, committed
				n := o.node
				if err := o.lead(1); !errors.Is(err, raft.ErrLeadershipLost) {
					t.Fatalf("the first leader ended with %v", err)
				}
				if len(n.notified) != 0 || o.log.finished != 0 {
					t.Fatalf("without knowing the outcome the first leader notified %v and finished %d discards", n.notified, o.log.finished)
				}
				o.log.lose = false
				if err := o.lead(2); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("the second leader ended with %v", err)
				}
				if len(n.notified) == 0 || n.notified[0] != 1 || n.deploys != 1 {
					t.Fatalf("the second leader notified %v, the node was deployed to %d times", n.notified, n.deploys)
				}
				if h := o.job().History; h[0].ID != 1 || h[0].Status != fsm.OutcomeCompleted {
					t.Fatalf("outcomes %+v", h)
				}
			})
		})
	}
}

// C22: what was acknowledged for a checkpoint with an unknown outcome is nobody's garbage.
func TestC22_UnknownOutcomeLeavesNoGarbage(t *testing.T) {
	for name, committed := range map[string]bool{"committed": true, "not committed": false} {
		t.Run(name, func(t *testing.T) {
			w := unswept(t, testConfig())
			w.tick()
			w.holdWrite = true
			w.ack(1)
			ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{1, 0xcc}, Size: 1}
			w.view.OnManifestWritten(testJob, 1, ref, fsm.Detail{}, nil)
			complete := w.onlyBegin() // the one proposal
			if committed {
				w.step(complete.Command)
			}
			old := w.view
			w.holdWrite = false
			w.elect()
			w.view.cleaning.nextAt = w.now.Add(time.Hour)
			w.rejoin(1, "n1", "n2")
			w.wantCompleted(1)
			w.wantGarbage()
			if len(old.jobs[testJob].garbage) != 0 {
				t.Fatalf("the old leader gave up %v", old.jobs[testJob].garbage)
			}
		})
	}
}

// asked triggers as a client does and returns the answer's channel.
func asked(ctx context.Context, l *leader, kind checkpoint.Kind) chan triggered {
	reply := make(chan triggered, 1)
	l.inbox.post(func() { l.trigger(ctx, l.view.Jobs[0], kind, checkpoint.StopNone, reply) })
	return reply
}

func TestTriggerAnswersWhenThereIsAnOutcome(t *testing.T) {
	withOneNode(t, manualConfig(), func(t *testing.T, o *oneNode) {
		l, stop := o.leading(1)
		defer stop()
		savepoint := asked(t.Context(), l, checkpoint.KindSavepoint)
		manual := asked(t.Context(), l, checkpoint.KindCheckpoint)
		if r := <-savepoint; r.id != 1 || r.err != nil {
			t.Fatalf("savepoint: %+v", r)
		}
		if r := <-manual; r.id != 2 || r.err != nil {
			t.Fatalf("checkpoint: %+v", r)
		}
		if len(l.requests.triggers) != 0 {
			t.Fatalf("%d requests are left", len(l.requests.triggers))
		}
	})
}

func TestC1_TriggerIsAnsweredWithTheReason(t *testing.T) {
	withOneNode(t, manualConfig(), func(t *testing.T, o *oneNode) {
		l, stop := o.leading(1)
		defer stop()
		l.inbox.post(func() { l.view.jobs[testJob].setStatus(0, checkpoint.SubtaskInitializing) })
		r := <-asked(t.Context(), l, checkpoint.KindCheckpoint)
		want := "read[0] on node n1 is INITIALIZING, and a checkpoint needs every subtask running; try again when it is (not_all_required_tasks_running)"
		if api.CodeOf(r.err) != api.Conflict || r.err.Error() != want {
			t.Fatalf("answer %v, want %s", r.err, want)
		}
	})
}

func TestT4_RejectedProposalIsAnswered(t *testing.T) {
	withOneNode(t, manualConfig(), func(t *testing.T, o *oneNode) {
		l, stop := o.leading(1)
		defer stop()
		o.log.mu.Lock()
		o.log.reject = 1
		o.log.mu.Unlock()
		first := asked(t.Context(), l, checkpoint.KindCheckpoint)
		second := asked(t.Context(), l, checkpoint.KindCheckpoint)
		if r := <-first; api.CodeOf(r.err) != api.Conflict || !strings.HasSuffix(r.err.Error(), " (trigger_checkpoint_failure)") {
			t.Fatalf("first: %+v", r)
		}
		if r := <-second; r.id != 1 || r.err != nil {
			t.Fatalf("second: %+v", r)
		}
	})
}

// A client that has gone away does not get a checkpoint that nobody waits for.
func TestClientThatGivesUpWithdrawsItsRequest(t *testing.T) {
	withOneNode(t, manualConfig(), func(t *testing.T, o *oneNode) {
		l, stop := o.leading(1)
		defer stop()
		l.inbox.post(func() { l.view.Draining = true }) // so that the request waits
		ctx, cancel := context.WithCancel(t.Context())
		reply := asked(ctx, l, checkpoint.KindCheckpoint)
		time.Sleep(time.Second) // virtual time: many rounds of the loop, in which it waits
		cancel()
		synctest.Wait()
		l.inbox.post(func() { l.view.Draining = false })
		time.Sleep(time.Second) // virtual time: many rounds, in which nothing may begin
		if j := o.job(); j.LastID != 0 {
			t.Fatalf("checkpoint %d was taken", j.LastID)
		}
		if len(reply) != 0 {
			t.Fatalf("answered %+v", <-reply)
		}
	})
}

// The breakdown is stored while the manifest is: an outcome does not wait twice. One that cannot be stored is left out.
func TestBreakdownIsStoredBesideTheManifest(t *testing.T) {
	wide := topologyOf(1000)
	for name, fail := range map[string]bool{"stored": false, "not stored": true} {
		t.Run(name, func(t *testing.T) {
			withOneNode(t, manualConfig(), func(t *testing.T, o *oneNode) {
				o.log.state = fsm.NewState()
				o.log.propose([]fsm.Command{fsm.SubmitJob{
					Job: testJob, Name: "job", Program: "test", Topology: wide, Config: manualConfig(), At: 1,
					Params: map[string]string{"wide": "1000"},
				}}, func() {})
				details, manifests := make(chan struct{}), make(chan struct{})
				o.store.put = func(_ context.Context, data []byte) error {
					if _, err := checkpoint.DecodeDetail(data); err == nil {
						close(details)
						<-manifests // each waits for the other: one after the other would be a deadlock
						if fail {
							return errors.New("no space")
						}
						return nil
					}
					close(manifests)
					<-details
					return nil
				}
				l, stop := o.leading(1)
				defer stop()
				if r := <-asked(t.Context(), l, checkpoint.KindCheckpoint); r.err != nil || r.id != 1 {
					t.Fatalf("answer %+v", r)
				}
				j := o.job()
				if got := j.History[0]; got.Status != fsm.OutcomeCompleted || got.Detail.Chunk.ID.IsZero() != fail || len(got.Detail.Inline) != 0 {
					t.Fatalf("outcome %+v", got)
				}
			})
		})
	}
}
