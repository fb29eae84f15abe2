package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// flush sends the acks that a held node has kept.
func (f *fabric) flush(id checkpoint.NodeID) {
	f.setHold(id, false)
	for _, n := range f.nodes {
		n.mu.Lock()
		if n.id == id && n.leader != nil {
			n.leader.out <- checkpoint.AckBatch{Acks: n.acks}
		}
		n.mu.Unlock()
	}
}

// heldCluster runs a job that would begin a checkpoint every 200 ms, two at a time, and has one pending that n2 does
// not acknowledge. It returns the leader and that checkpoint.
func heldCluster(t *testing.T) (*testCluster, *testCoordinator, uint64) {
	t.Helper()
	c := newTestCluster(t, "n1", "n2")
	c.awaitStatus("two nodes", twoAlive)
	_, err := c.leader("").Service().SubmitJob(context.Background(), api.SubmitJobRequest{
		Program: "test", Config: map[string]string{"checkpointing.interval": "200ms", "checkpointing.max_concurrent": "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.awaitStatus("two checkpoints", completedAtLeast(2))
	c.fabric.setHold("n2", true)
	s := c.awaitStatus("one that is pending", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 1 })
	return c, c.leader(""), s.Jobs[0].Checkpoints.LastCompletedID + 1
}

func (c *testCluster) checkpoint(id uint64) api.Checkpoint {
	c.t.Helper()
	detail, err := c.leader("").Service().ShowCheckpoint(context.Background(), "test", id)
	if err != nil {
		c.t.Fatalf("checkpoint %d: %v", id, err)
	}
	return detail.Checkpoint
}

// A hand-over, whether an operator asks for it or the process is told to stop, lets the pending checkpoint finish
// under the old leader and begins none meanwhile; the next one completes soon.
func TestHandOverWaitsForThePendingCheckpoint(t *testing.T) {
	for name, begin := range map[string]func(*testCluster, *testCoordinator){
		"transfer": func(c *testCluster, leader *testCoordinator) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if _, err := leader.Service().TransferLeadership(ctx, ""); err != nil {
				c.t.Errorf("transfer: %v", err)
			}
		},
		"SIGTERM": func(_ *testCluster, leader *testCoordinator) { leader.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, leader, pending := heldCluster(t)
				defer c.stop()
				term := uint64(leader.sessions.leading().term)
				var handing sync.WaitGroup
				handing.Go(func() { begin(c, leader) })
				defer handing.Wait()
				time.Sleep(drainLimit / 2) // virtual time: five intervals
				if c.leader("") != leader {
					t.Fatal("it did not wait")
				}
				if got := leader.replica.jobs()[0].LastID; uint64(got) != pending {
					t.Errorf("checkpoint %d began while the leadership was being handed over", got)
				}
				c.fabric.flush("n2")
				flushed := time.Now()
				next := c.leader(leader.cfg.ID)
				c.within(time.Second, "the next checkpoint", func() bool {
					return uint64(next.replica.jobs()[0].LastSuccess) > pending
				})
				if took := time.Since(flushed); took > 300*time.Millisecond {
					t.Errorf("the next checkpoint completed %s after the last ack", took)
				}
				if d := c.checkpoint(pending); d.Status != "completed" || d.EndedTerm != term {
					t.Errorf("checkpoint %d: %+v, want it completed in term %d", pending, d, term)
				}
				j := next.replica.jobs()[0]
				if j.Attempt != 1 || j.Counters.Failed != 0 {
					t.Errorf("attempt %d, %d checkpoints failed", j.Attempt, j.Counters.Failed)
				}
			})
		})
	}
}

// A checkpoint that takes longer than the hand-over waits is left to the next leader, which completes it.
func TestHandOverLeavesASlowCheckpointToTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader, pending := heldCluster(t)
		defer c.stop()
		began := time.Now()
		if _, err := leader.Service().TransferLeadership(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < drainLimit || took > drainLimit+time.Second {
			t.Errorf("the hand-over took %s, want a little more than %s", took, drainLimit)
		}
		c.within(time.Second, "the slow checkpoint", func() bool {
			return uint64(leader.replica.jobs()[0].LastSuccess) >= pending
		})
		if d := c.checkpoint(pending); d.Status != "completed" || d.EndedTerm <= d.BeganTerm {
			t.Errorf("checkpoint %d: %+v, want it completed by the next leader", pending, d)
		}
	})
}

// A hand-over that fails leaves a leader that works: it begins checkpoints again. While it is under way a proposal
// surely has no effect, and is known to have none.
func TestFailedHandOverChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("a checkpoint", completedAtLeast(1))
		leader, target := c.leader(""), c.follower()
		c.cut(target)
		// The target must lag behind: Raft would give up at once on one that has everything and does not answer.
		if _, err := leader.replica.propose([]fsm.Command{fsm.CancelJob{}}, func() {}); err != nil {
			t.Fatal(err)
		}
		c.running.Go(func() {
			_, err := leader.Service().TransferLeadership(context.Background(), string(target.cfg.ID))
			if api.CodeOf(err) != api.Unavailable {
				t.Errorf("transfer to a coordinator out of reach: %v", err)
			}
		})
		c.within(drainLimit+time.Second, "a proposal that is not taken", func() bool {
			responses, err := leader.replica.propose([]fsm.Command{fsm.CancelJob{}, fsm.CancelJob{}}, func() {})
			if err == nil {
				return false
			}
			if !errors.Is(err, errBusy) || len(responses) != 2 || !errors.Is(responses[0].Err, errBusy) {
				t.Fatalf("proposal during the hand-over: %+v, %v", responses, err)
			}
			return true
		})
		_, err := leader.Service().TransferLeadership(context.Background(), "")
		if api.CodeOf(err) != api.Conflict {
			t.Errorf("second transfer at the same time: %v", err)
		}
		done := leader.replica.jobs()[0].Counters.Completed
		c.within(5*time.Second, "checkpoints to go on", func() bool {
			return leader.replica.jobs()[0].Counters.Completed > done+2
		})
		if c.leader("") != leader {
			t.Error("the leader has changed")
		}
	})
}

// busyLog takes the first command of a round and no other.
type busyLog struct{ *scriptedLog }

func (l busyLog) propose(commands []fsm.Command, during func()) ([]fsm.Response, error) {
	responses, err := l.scriptedLog.propose(commands[:1], during)
	for range commands[1:] {
		responses = append(responses, fsm.Response{Err: errBusy})
	}
	if err == nil && len(commands) > 1 {
		err = errBusy
	}
	return responses, err
}

// What did commit in a round of which something was not taken is taken in all the same.
func TestCommittedResultsOfABusyRoundCount(t *testing.T) {
	log := busyLog{&scriptedLog{state: fsm.NewState()}}
	jobs := []checkpoint.JobID{{1}, {2}}
	assignment := checkpoint.Assignment{
		Nodes: []checkpoint.NodeRef{{ID: "n1", Incarnation: 1}}, NodeOf: make([]int, testTopology().NumSubtasks()),
	}
	for _, id := range jobs {
		for _, c := range []fsm.Command{
			fsm.SubmitJob{Job: id, Name: id.String(), Program: "test", Topology: testTopology(), Config: testConfig(), At: 1},
			fsm.StartAttempt{Job: id, Attempt: 1, Assignment: assignment, At: 2},
		} {
			if r, err := log.propose([]fsm.Command{c}, func() {}); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
		}
	}
	var said bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l := newLeader("c1", 1, log, nil, DefaultTiming(), logger)
	l.view = NewView(1, time.Now(), DefaultTiming())
	l.view.SetJobs(log.jobs())
	var round []Action
	for _, id := range jobs {
		round = append(round, Propose{fsm.BeginCheckpoint{Job: id, Attempt: 1, Kind: checkpoint.KindCheckpoint, Term: 1, At: 5}})
	}
	if err := l.execute(t.Context(), round); !errors.Is(err, errBusy) {
		t.Fatalf("the round ended with %v", err)
	}
	for i, id := range jobs {
		taken := strings.Contains(said.String(), fmt.Sprintf("msg=\"checkpoint begun\" term=1 job=%s checkpoint=1", id))
		if committed := i == 0; taken != committed {
			t.Errorf("the checkpoint of job %s: committed %t, taken in %t", id, committed, taken)
		}
	}
}
