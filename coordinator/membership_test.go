package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// within waits, in virtual time, until done says so.
func (c *testCluster) within(limit time.Duration, what string, done func() bool) {
	c.t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) { // virtual time
		if time.Since(began) > limit {
			c.t.Fatalf("%s: not within %s of virtual time; members: %s", what, limit, c.members())
		}
	}
}

// members writes the configuration as the leader has it, ordered by ID: "c1@c1 c2@c2 c4@c4(no vote)".
func (c *testCluster) members() string {
	l := c.leading("")
	if l == nil {
		return "(no leader)"
	}
	return membersText(l.replica.servers())
}

// configurations returns all that the leader's log holds, in their order.
func (c *testCluster) configurations() []string {
	c.t.Helper()
	log := c.leader("").stores.Log
	first, err := log.FirstIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	last, err := log.LastIndex()
	if err != nil {
		c.t.Fatal(err)
	}
	var texts []string
	for ; first <= last; first++ {
		var entry raft.Log
		if err := log.GetLog(first, &entry); err != nil {
			c.t.Fatal(err)
		}
		if entry.Type == raft.LogConfiguration {
			texts = append(texts, membersText(raft.DecodeConfiguration(entry.Data).Servers))
		}
	}
	return texts
}

func membersText(servers []raft.Server) string {
	var texts []string
	for _, s := range servers {
		text := fmt.Sprintf("%s@%s", s.ID, s.Address)
		if s.Suffrage != raft.Voter {
			text += "(no vote)"
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// leading returns a coordinator other than not that leads and knows a majority behind it, nil when there is none.
func (c *testCluster) leading(not checkpoint.NodeID) *testCoordinator {
	for id, coord := range c.coordinators {
		if id != not && !coord.dead && coord.sessions.leading() != nil && coord.replica.raft.State() == raft.Leader {
			return coord
		}
	}
	return nil
}

// bury ends a coordinator, and gossip notices.
func (c *testCluster) bury(id checkpoint.NodeID) *testCoordinator {
	coord := c.crash(id)
	c.gossip()
	return coord
}

// follower returns a living coordinator that does not lead.
func (c *testCluster) follower() *testCoordinator {
	leader := c.leader("").cfg.ID
	for _, id := range []checkpoint.NodeID{"c1", "c2", "c3"} {
		if id != leader && !c.coordinators[id].dead {
			return c.coordinators[id]
		}
	}
	c.t.Fatal("no follower")
	return nil
}

// lag is how much longer than the stabilization time a change may take: a few rounds of the upkeep.
const lag = 5 * upkeepInterval

// A fourth and a fifth coordinator join a running cluster: first without a vote, with one as soon as they have kept
// up for the stabilization time. Then the cluster survives two failures.
func TestFourthAndFifthCoordinatorJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("a checkpoint", completedAtLeast(1))
		for _, id := range []checkpoint.NodeID{"c4", "c5"} {
			c.start(id, string(id), blankStores())
		}
		c.gossip()
		joined := time.Now()
		c.within(lag, "both to join without a vote", func() bool {
			return c.members() == "c1@c1 c2@c2 c3@c3 c4@c4(no vote) c5@c5(no vote)"
		})
		c.within(DefaultUpkeep().Stabilization+lag, "both to get a vote", func() bool {
			return c.members() == "c1@c1 c2@c2 c3@c3 c4@c4 c5@c5"
		})
		if after := time.Since(joined); after < DefaultUpkeep().Stabilization {
			t.Errorf("they got their votes after %s", after)
		}
		s := c.awaitStatus("a tolerance of two", func(s api.Status) bool { return s.FailureTolerance == 2 })
		done := s.Jobs[0].Checkpoints.Completed
		c.bury(c.follower().cfg.ID)
		c.bury(c.leader("").cfg.ID)
		after := c.awaitStatus("checkpoints to go on with three of five", completedAtLeast(done+3))
		if j := after.Jobs[0]; j.Attempt != 1 || j.Checkpoints.Failed != 0 {
			t.Errorf("after two failures: %+v", j)
		}
	})
}

// A dead voter leaves the configuration only when a replacement votes in its place: never fewer voters than the
// cluster was formed of.
func TestDeadCoordinatorIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		dead := c.bury(c.follower().cfg.ID).cfg.ID
		time.Sleep(10 * DefaultUpkeep().Stabilization) // virtual time
		if got := c.members(); got != "c1@c1 c2@c2 c3@c3" {
			t.Fatalf("without a replacement the members are %s", got)
		}
		c.start("c4", "c4", blankStores())
		c.gossip()
		want := strings.Replace("c1@c1 c2@c2 c3@c3 c4@c4", fmt.Sprintf("%s@%s ", dead, dead), "", 1)
		c.within(2*DefaultUpkeep().Stabilization+lag, "the replacement", func() bool {
			return c.members() == want
		})
		history := c.configurations()
		if n := len(history); n < 3 || history[n-2] != "c1@c1 c2@c2 c3@c3 c4@c4" || history[n-1] != want {
			t.Errorf("the dead one went before the replacement had a vote: %q", history)
		}
		// Back again, with its disk, it is one more member.
		c.start(dead, string(dead), c.coordinators[dead].stores)
		c.gossip()
		c.within(DefaultUpkeep().Stabilization+lag, "the dead one to come back", func() bool {
			return c.members() == "c1@c1 c2@c2 c3@c3 c4@c4"
		})
	})
}

// A coordinator that comes back under its name at another address, with its disk, keeps its vote.
func TestCoordinatorMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		old := c.bury(c.follower().cfg.ID)
		id := old.cfg.ID
		moved := c.start(id, "elsewhere", old.stores)
		c.gossip()
		c.within(lag, "the new address", func() bool {
			return strings.Contains(c.members(), string(id)+"@elsewhere") && !strings.Contains(c.members(), "no vote")
		})
		c.within(lag, "contact at the new address", func() bool {
			leader, _ := moved.replica.leader()
			return leader == c.leader("").cfg.ID
		})
	})
}

// A voter whose disk was wiped has forgotten its votes. It takes no part in Raft until it has been taken out of the
// configuration and has come back without a vote.
func TestWipedCoordinatorLosesItsVote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		id := c.bury(c.follower().cfg.ID).cfg.ID
		wiped := c.start(id, string(id), blankStores())
		c.gossip()
		c.within(lag, "it to come back without a vote", func() bool {
			members := c.members()
			if strings.Contains(members, fmt.Sprintf("%s@%s ", id, id)) && wiped.replica.raft.CurrentTerm() > 0 {
				t.Fatalf("it takes part while it is a voter: %s", members)
			}
			return strings.Contains(members, string(id)+"@"+string(id)+"(no vote)")
		})
		c.within(DefaultUpkeep().Stabilization+lag, "its vote", func() bool { return c.members() == "c1@c1 c2@c2 c3@c3" })
		name := fmt.Sprintf("%s@%s", id, id)
		history := c.configurations()
		if n := len(history); n != 4 || strings.Contains(history[1], name) || !strings.Contains(history[2], name+"(no vote)") {
			t.Errorf("the configurations were %q, want it removed, added without a vote, and given one", history)
		}
	})
}

// The sharp end of it: an entry is on the leader and on one follower; the follower's disk is wiped and the leader dies.
// The other follower does not have the entry, and must not be elected by the forgetful one.
func TestWipedCoordinatorElectsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		leader, wiped := c.leader(""), c.follower().cfg.ID
		var behind *testCoordinator
		for id, coord := range c.coordinators {
			if id != leader.cfg.ID && id != wiped {
				behind = coord
			}
		}
		c.cut(behind)
		if err := leader.replica.raft.Barrier(0).Error(); err != nil { // the entry
			t.Fatal(err)
		}
		if behind.replica.raft.LastIndex() >= leader.replica.raft.LastIndex() {
			t.Fatal("the follower is not behind")
		}
		c.crash(wiped)
		saved := c.crash(leader.cfg.ID).stores
		c.connect(behind)
		c.start(wiped, string(wiped), blankStores())
		c.gossip()
		time.Sleep(time.Minute) // virtual time, dozens of elections
		if c.leading("") != nil {
			t.Fatalf("%s was elected without the last entry", c.leading("").cfg.ID)
		}
		// With the old leader's disk back there is a majority that remembers.
		c.start(leader.cfg.ID, string(leader.cfg.ID), saved)
		c.gossip()
		c.within(DefaultUpkeep().Stabilization+2*lag, "all three", func() bool { return c.members() == "c1@c1 c2@c2 c3@c3" })
	})
}

// A coordinator that finds a cluster forms none of its own, also when it sees as many as it expects.
func TestNewcomerDoesNotBootstrapBesideACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		leader := c.leader("")
		hidden := c.follower().cfg.ID
		newcomer := c.start("c9", "c9", blankStores())
		peers := []Peer{{ID: "c9", Address: "c9", BootstrapExpect: 3}} // gossip has not found everybody yet
		for id := range c.coordinators {
			if id != hidden && id != "c9" {
				peers = append(peers, Peer{ID: id, Address: string(id), BootstrapExpect: 3})
			}
		}
		newcomer.SetPeers(peers)
		c.within(lag, "the newcomer to wait", func() bool {
			return strings.Contains(newcomer.bootstrap.waiting(), "to take this coordinator in")
		})
		if len(newcomer.replica.servers()) > 0 || newcomer.replica.gate.isOpen() {
			t.Error("it has formed a cluster of its own")
		}
		c.gossip()
		c.within(lag, "the newcomer to join", func() bool {
			return len(newcomer.replica.servers()) == 4 && newcomer.bootstrap.waiting() == ""
		})
		if c.leader("") != leader {
			t.Error("the newcomer has disturbed the leader")
		}
	})
}

func TestRemovePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t)
		defer c.stop()
		leader, other := c.leader(""), c.follower()
		remove := func(id checkpoint.NodeID) error {
			// Through a follower, so that it is forwarded.
			return c.follower().Service().RemovePeer(context.Background(), string(id))
		}
		for id, want := range map[checkpoint.NodeID]struct {
			code api.Code
			text string
		}{
			"c9":          {api.NotFound, "the members are c1, c2, c3"},
			leader.cfg.ID: {api.Conflict, "transfer the leadership"},
			other.cfg.ID:  {api.Conflict, "stop it first"},
		} {
			if err := remove(id); api.CodeOf(err) != want.code || !strings.Contains(err.Error(), want.text) {
				t.Errorf("removing %s: %v", id, err)
			}
		}
		if got := c.members(); got != "c1@c1 c2@c2 c3@c3" {
			t.Fatalf("after refusals the members are %s", got)
		}
		dead := other.cfg.ID
		c.bury(dead)
		if err := remove(dead); err != nil {
			t.Fatal(err)
		}
		if got := c.members(); strings.Contains(got, string(dead)) || strings.Count(got, "@") != 2 {
			t.Errorf("after the removal of %s the members are %s", dead, got)
		}
	})
}

func TestRemovePeerKeepsTheLastVoter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := emptyCluster(t)
		c.configure = func(cfg *Config) { cfg.BootstrapExpect = 1 }
		defer c.stop()
		c.start("c1", "c1", blankStores())
		c.gossip()
		err := c.leader("").Service().RemovePeer(context.Background(), "c1")
		if api.CodeOf(err) != api.Conflict || !strings.Contains(err.Error(), "last voter") {
			t.Errorf("removing the last voter: %v", err)
		}
	})
}

func TestMembershipChanges(t *testing.T) {
	servers := []raft.Server{
		{ID: "c1", Address: "a1", Suffrage: raft.Voter}, {ID: "c2", Address: "a2", Suffrage: raft.Voter},
		{ID: "c3", Address: "a3", Suffrage: raft.Nonvoter},
	}
	ours := []api.Voter{{ID: "c1", Address: "a1"}, {ID: "c8", Address: "a8"}}
	theirs := []api.Voter{{ID: "c1", Address: "b1"}, {ID: "d2", Address: "b2"}}
	for name, test := range map[string]struct {
		peer livingPeer
		want changeKind
	}{
		"a member where it was":            {livingPeer{id: "c2", address: "a2", voters: ours}, 0},
		"a member without vote":            {livingPeer{id: "c3", address: "a3"}, 0},
		"a blank member without vote":      {livingPeer{id: "c3", address: "a3", blank: true}, 0},
		"a newcomer":                       {livingPeer{id: "c4", address: "a4", blank: true}, addMember},
		"a former member":                  {livingPeer{id: "c4", address: "a4", voters: ours}, addMember},
		"one that was admitted and died":   {livingPeer{id: "c4", address: "a4"}, addMember},
		"a stranger":                       {livingPeer{id: "c4", address: "a4", voters: theirs}, refuseForeign},
		"a voter that has moved":           {livingPeer{id: "c2", address: "b2", voters: ours}, moveVoter},
		"a member without vote that moved": {livingPeer{id: "c3", address: "b3"}, moveMember},
		"a blank voter":                    {livingPeer{id: "c2", address: "a2", blank: true}, removeBlank},
		"a blank voter elsewhere":          {livingPeer{id: "c2", address: "b2", blank: true}, removeBlank},
	} {
		got := membershipChanges(servers, []livingPeer{test.peer})
		switch {
		case test.want == 0 && len(got) == 0:
		case len(got) == 1 && got[0] == membershipChange{test.want, test.peer.id, test.peer.address}:
		default:
			t.Errorf("%s: %+v, want kind %d", name, got, test.want)
		}
	}
}
