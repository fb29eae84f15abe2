package coordinator

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// Reads that come while a confirmation is under way do not share it, but the next one, all together.
func TestReadsShareAConfirmation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rounds := make(chan chan error)
		r := &readIndexer{confirm: func(checkpoint.Term) error {
			answer := make(chan error)
			rounds <- answer
			return <-answer
		}}
		var reading sync.WaitGroup
		read := func(count int, want error) {
			for range count {
				reading.Go(func() {
					if err := r.read(t.Context(), 7); err != want {
						t.Errorf("read: %v, want %v", err, want)
					}
				})
			}
			synctest.Wait()
		}
		read(1, nil)
		first := <-rounds
		read(1000, errLeadershipOver) // the first round's success is not theirs
		first <- nil
		second := <-rounds
		second <- errLeadershipOver
		reading.Wait()
		r.running.Wait() // no third round: nobody asked for one
	})
}

// A read of one leadership is not answered by a confirmation of another.
func TestReadOfAnEarlierTermFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := &readIndexer{confirm: func(checkpoint.Term) error { <-release; return nil }}
		var reading sync.WaitGroup
		read := func(term checkpoint.Term, ok bool) {
			reading.Go(func() {
				if err := r.read(t.Context(), term); (err == nil) != ok {
					t.Errorf("term %d: %v", term, err)
				}
			})
			synctest.Wait()
		}
		read(1, true)  // under way
		read(2, false) // waits, and is overtaken
		read(3, true)
		close(release)
		reading.Wait()
		r.running.Wait()
	})
}

// Reads cost no log entry, and a follower's answer comes from the leader.
func TestReadsAppendNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		leader := c.leader("")
		before := leader.replica.raft.LastIndex()
		for range 50 {
			s, err := c.follower().Service().Status(context.Background())
			if err != nil || s.Leader.ID != string(leader.cfg.ID) || s.Stale {
				t.Fatalf("status: %+v, %v", s, err)
			}
			if err := leader.sessions.leading().readIndex(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if after := leader.replica.raft.LastIndex(); after != before {
			t.Errorf("reads appended entries %d to %d", before+1, after)
		}
	})
}

// A leader that is cut off with a member that has no vote serves no read, at no moment: not even while its lease, by
// which Raft would let it lead on for a moment, lasts.
func TestCutOffLeaderServesNoRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		leader := c.leader("")
		c.start("c4", "c4", blankStores())
		c.gossip()
		c.within(lag, "a member without a vote", func() bool { return strings.Contains(c.members(), "c4@c4(no vote)") })
		l := leader.sessions.leading()
		c.cut(leader)
		c4 := c.coordinators["c4"]
		leader.transport.Connect(c4.transport.LocalAddr(), c4.transport)
		if err := l.readIndex(context.Background()); api.CodeOf(err) != api.NotLeader {
			t.Errorf("read on the leader that is cut off: %v", err)
		}
		other := c.leader(leader.cfg.ID)
		if err := other.sessions.leading().readIndex(context.Background()); err != nil {
			t.Errorf("read on the new leader: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		s, err := leader.Service().Status(ctx)
		if err != nil || !s.Stale || s.Leader.ID != "" {
			t.Errorf("status of the leader that is cut off: %+v, %v", s, err)
		}
	})
}

// With WithStale every coordinator answers from what it has, also without any other.
func TestStaleStatusNeedsNoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("a checkpoint", completedAtLeast(1))
		alone := c.follower()
		c.within(time.Second, "the follower to know", func() bool { return alone.replica.jobs()[0].Counters.Completed > 0 })
		for id := range c.coordinators {
			if id != alone.cfg.ID {
				c.crash(id)
			}
		}
		stale := api.WithStale(context.Background())
		s, err := alone.Service().Status(stale)
		if err != nil || !s.Stale || len(s.Voters) != 3 || len(s.Jobs) != 1 || s.Jobs[0].Checkpoints.Completed == 0 {
			t.Errorf("stale status: %+v, %v", s, err)
		}
		peers, err := alone.Service().RaftPeers(stale)
		if err != nil || len(peers) != 3 {
			t.Errorf("stale peers: %+v, %v", peers, err)
		}
	})
}
