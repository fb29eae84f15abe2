package coordinator

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/checkpoint"
)

// unreadyLog is the log of a coordinator on which nothing gets applied for a while.
type unreadyLog struct {
	replicatedLog
	unready *atomic.Bool
}

func (l unreadyLog) barrier(ctx context.Context) error {
	if l.unready.Load() {
		return errors.New("the disk does not answer")
	}
	return l.replicatedLog.barrier(ctx)
}

// A leader that cannot start does not keep the others from leading: it hands over after a few attempts. When it is
// well again it can lead.
func TestU2_LeaderThatCannotStartHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := emptyCluster(t)
		unready := make(map[checkpoint.NodeID]*atomic.Bool)
		c.wrapLog = func(id checkpoint.NodeID, log replicatedLog) replicatedLog {
			unready[id] = new(atomic.Bool)
			return unreadyLog{log, unready[id]}
		}
		c.startThree("n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		before := c.awaitStatus("a checkpoint", completedAtLeast(1))
		sick := c.follower()
		unready[sick.cfg.ID].Store(true)
		if err := c.leader("").replica.transfer(t.Context(), sick.cfg.ID, time.Second); err != nil {
			t.Fatal(err)
		}
		c.within(5*time.Second, "another leader", func() bool { return c.leading(sick.cfg.ID) != nil })
		after := c.awaitStatus("checkpoints to go on", completedAtLeast(before.Jobs[0].Checkpoints.Completed+3))
		if j := after.Jobs[0]; j.Attempt != 1 || after.Leader.ID == string(sick.cfg.ID) {
			t.Errorf("after the failed start: leader %s, %+v", after.Leader.ID, j)
		}
		unready[sick.cfg.ID].Store(false)
		if err := c.leader("").replica.transfer(t.Context(), sick.cfg.ID, time.Second); err != nil {
			t.Fatal(err)
		}
		c.within(5*time.Second, "the healed one to lead", func() bool { return c.leading("") == sick })
	})
}

// With nobody to hand over to, a leader that cannot start tries again until it can.
func TestU2_OnlyCoordinatorTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := emptyCluster(t)
		c.configure = func(cfg *Config) { cfg.BootstrapExpect = 1 }
		unready := new(atomic.Bool)
		unready.Store(true)
		c.wrapLog = func(_ checkpoint.NodeID, log replicatedLog) replicatedLog { return unreadyLog{log, unready} }
		defer c.stop()
		only := c.start("c1", "c1", blankStores())
		c.gossip()
		c.within(5*time.Second, "raft's leadership", func() bool { return only.replica.raft.State() == raft.Leader })
		time.Sleep(5 * time.Second) // virtual time: many attempts
		if only.sessions.leading() != nil {
			t.Fatal("it leads without its state")
		}
		unready.Store(false)
		c.leader("")
	})
}

// A leader that was cut off steps down, follows when it is back, and can lead again: no role is for ever.
func TestU6_DeposedLeaderRecoversItsRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("a checkpoint", completedAtLeast(1))
		for round := range 3 {
			deposed := c.leader("")
			c.cut(deposed)
			c.leader(deposed.cfg.ID)
			c.within(5*time.Second, "the old leader to step down", func() bool { return deposed.sessions.leading() == nil })
			if current := deposed.current.Load(); current != nil && deposed.replica.raft.State() == raft.Follower {
				c.within(time.Second, "the old leader's tasks to end", func() bool { return deposed.current.Load() == nil })
			}
			c.connect(deposed)
			c.within(5*time.Second, "the old leader to follow", func() bool {
				leader, _ := deposed.replica.leader()
				now := c.leading("")
				return now != nil && now != deposed && leader == now.cfg.ID &&
					deposed.replica.machine.LastIndex() == now.replica.machine.LastIndex()
			})
			s, err := deposed.Service().Status(context.Background())
			if err != nil || s.Leader.ID == string(deposed.cfg.ID) || s.Stale || strings.Contains(strings.Join(s.Problems, " "), "coordinator") {
				t.Errorf("round %d: status through the old leader: %+v, %v", round, s, err)
			}
			if _, err := c.leader("").Service().TransferLeadership(context.Background(), string(deposed.cfg.ID)); err != nil {
				t.Errorf("round %d: back to the old leader: %v", round, err)
			}
			c.within(5*time.Second, "it to lead again", func() bool { return c.leading("") == deposed })
			done := deposed.replica.jobs()[0].Counters.Completed
			c.awaitStatus("checkpoints under it", completedAtLeast(done+1))
		}
		if j := c.leader("").replica.jobs()[0]; j.Attempt != 1 {
			t.Errorf("the job was restarted: attempt %d, %s", j.Attempt, j.Failure)
		}
	})
}

// An interlude runs while no leader loop does, and the next loop leads with what it left behind.
func TestInterludeRunsBetweenLeaderLoops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		leader := c.leader("")
		before := leader.sessions.leading()
		err := leader.current.Load().interlude(t.Context(), func() error {
			if leader.sessions.leading() != nil {
				t.Error("a leader loop is attached during the interlude")
			}
			return errNotRestored
		})
		if !errors.Is(err, errNotRestored) {
			t.Errorf("interlude: %v", err)
		}
		c.awaitStatus("two nodes again", twoAlive)
		if after := leader.sessions.leading(); after == nil || after == before || after.term != before.term {
			t.Error("no new loop of the same term leads")
		}
		ended := leader.current.Load()
		c.crash(leader.cfg.ID)
		<-ended.done
		if err := ended.interlude(t.Context(), func() error { return nil }); !errors.Is(err, errLeadershipOver) {
			t.Errorf("interlude after the end: %v", err)
		}
	})
}
