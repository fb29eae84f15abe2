package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

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
}

func (l *scriptedLog) barrier(context.Context) error { return nil }

func (l *scriptedLog) readIndex(context.Context, checkpoint.Term) error { return nil }

func (l *scriptedLog) jobs() []*fsm.Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.SortedJobs()
}

func (l *scriptedLog) propose(commands []fsm.Command, during func()) ([]fsm.Response, error) {
	during()
	l.mu.Lock()
	defer l.mu.Unlock()
	var responses []fsm.Response
	for _, c := range commands {
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

// I8: the leader does not know whether its completion was committed. It must stop without telling anybody
// anything, whichever it was; the next leader reads the log and says what is true.
func TestI8_UnknownOutcomeNotifiesNobody(t *testing.T) {
	for name, committed := range map[string]bool{"committed": true, "not committed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := &scriptedLog{state: fsm.NewState(), lose: true, apply: committed}
				n := newFakeNode("n1", &fabric{})
				n.fabric.nodes = []*fakeNode{n}
				n.slots = 2
				sessions := newSessions(slog.New(slog.DiscardHandler))
				keep, release := context.WithCancel(t.Context())
				var node sync.WaitGroup
				node.Go(func() { n.keepSession(keep, sessions.serve) })
				c := testConfig()
				if _, err := log.propose([]fsm.Command{fsm.SubmitJob{
					Job: testJob, Name: "job", Program: "test", Topology: testTopology(), Config: c, At: 1,
				}}, func() {}); err != nil {
					t.Fatal(err)
				}
				lead := func(term checkpoint.Term) error {
					l := newLeader("c1", term, log, &memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)}, DefaultTiming(), slog.New(slog.DiscardHandler))
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					defer cancel()
					return l.run(ctx, sessions)
				}
				if err := lead(1); !errors.Is(err, raft.ErrLeadershipLost) {
					t.Fatalf("the first leader ended with %v", err)
				}
				if len(n.notified) != 0 {
					t.Fatalf("the first leader notified %v without knowing the outcome", n.notified)
				}
				log.lose = false
				if err := lead(2); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("the second leader ended with %v", err)
				}
				if len(n.notified) == 0 || n.notified[0] != 1 || n.deploys != 1 {
					t.Fatalf("the second leader notified %v, the node was deployed to %d times", n.notified, n.deploys)
				}
				release()
				node.Wait()
			})
		})
	}
}
