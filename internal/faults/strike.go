package faults

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"cairn/checkpoint"
)

// striker makes faults happen, one after the other, from one goroutine. What a fault has broken comes back by itself,
// so that several may overlap.
type striker struct {
	c        *cluster
	random   *rand.Rand
	saboteur *saboteur
	timeline *timeline
	job      string
	// victims are the operators that may panic.
	victims []checkpoint.OperatorID
}

const (
	// patience is how long a fault waits for what it needs: a checkpoint that expires, say, or a leader to kill. An
	// operator that is to panic gets less time, as there are others.
	patience      = 2 * time.Second
	panicPatience = 400 * time.Millisecond
	poll          = 20 * time.Millisecond
)

// strike makes a fault happen. It reports false when it has not happened, because there was nothing that it could hit.
func (s *striker) strike(f Fault) bool {
	switch f {
	case TaskPanic:
		return s.panicTask()
	case NodeKill:
		return s.killNode()
	case ChannelCut:
		return s.cutChannel()
	case LeaderKill:
		return s.killLeader()
	case CheckpointTimeout:
		return s.expireCheckpoint()
	case NodeCutOff:
		return s.cutOffNode()
	default:
		return s.cutOffLeader()
	}
}

// between returns a random time.
func (s *striker) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.random.Int64N(int64(most-least)))
}

// later does something in a while.
func (s *striker) later(after time.Duration, do func()) {
	s.c.repairs.Go(func() {
		time.Sleep(after) // virtual time
		do()
	})
}

// await returns when done says so, or false when the patience is over.
func (s *striker) await(done func() bool) bool {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(poll) { // virtual time
		if done() {
			return true
		}
	}
	return false
}

// panicTask makes an operator panic, one that gets records these days.
func (s *striker) panicTask() bool {
	for _, i := range s.random.Perm(len(s.victims)) {
		victim := s.victims[i]
		panicked := s.saboteur.arm(victim, s.random.IntN(10))
		time.Sleep(s.between(0, panicPatience)) // virtual time
		if s.saboteur.disarm() {
			continue // it has got no records
		}
		s.timeline.note("%s: operator %s of %s", TaskPanic, victim, <-panicked)
		return true
	}
	return false
}

// hosts returns the nodes that have tasks of the job and a process, in order.
func (s *striker) hosts() []checkpoint.NodeID {
	d, err := s.c.job(context.Background(), s.job)
	if err != nil {
		return nil
	}
	var ids []checkpoint.NodeID
	for _, t := range d.Subtasks {
		if id := checkpoint.NodeID(t.Node); s.c.nodeOf(id) != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (s *striker) killNode() bool {
	back := s.between(50*time.Millisecond, 1500*time.Millisecond)
	victim, found := pick(s.random, s.hosts())
	if !found || !s.c.killNode(victim) {
		return false
	}
	s.timeline.note("%s: %s, back in %s", NodeKill, victim, back.Round(time.Millisecond))
	s.later(back, func() {
		if err := s.c.startNode(victim); err != nil {
			panic(err) // a mistake in this package
		}
		s.timeline.note("node %s is back", victim)
	})
	return true
}

func (s *striker) cutChannel() bool {
	var victim *link
	found := s.await(func() bool {
		open := s.c.links.matching(func(l *link) bool { return l.intact() })
		slices.SortFunc(open, func(a, b *link) int { return a.compare(b) })
		var any bool
		victim, any = pick(s.random, open)
		return any
	})
	if !found {
		return false
	}
	victim.fail(errCut)
	s.timeline.note("%s: %s from %s to %s", ChannelCut, victim.id, victim.from, victim.to)
	return true
}

// awaitLeader waits for a leader to be there.
func (s *striker) awaitLeader() (leader checkpoint.NodeID, found bool) {
	found = s.await(func() bool {
		status, err := s.c.status(context.Background())
		leader = checkpoint.NodeID(status.Leader.ID)
		return err == nil
	})
	return leader, found
}

func (s *striker) killLeader() bool {
	back := s.between(200*time.Millisecond, 2*time.Second)
	leader, found := s.awaitLeader()
	if !found {
		return false
	}
	killed := s.c.coordinatorOf(leader)
	if killed == nil {
		return false
	}
	s.timeline.note("%s: %s, back in %s at the earliest", LeaderKill, leader, back.Round(time.Millisecond))
	s.c.killCoordinator(killed)
	s.later(back, func() {
		<-killed.stopped
		if err := s.c.startCoordinator(leader, killed.stores); err != nil {
			panic(err) // a mistake in this package
		}
		s.timeline.note("coordinator %s is back", leader)
	})
	return true
}

// expired returns the checkpoints of the job whose time was over, among those that are remembered.
func (s *striker) expired() (ids []uint64) {
	list, err := s.c.checkpoints(context.Background(), s.job)
	if err != nil {
		return nil
	}
	for _, c := range list {
		if c.FailureReason == checkpoint.ReasonExpired.String() {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (s *striker) expireCheckpoint() bool {
	before := s.expired()
	release := s.c.hold.set()
	defer release()
	var id uint64
	found := s.await(func() bool {
		for _, e := range s.expired() {
			if !slices.Contains(before, e) {
				id = e
				return true
			}
		}
		return false
	})
	if found {
		s.timeline.note("%s: checkpoint %d", CheckpointTimeout, id)
	}
	return found
}

func (s *striker) cutOffNode() bool {
	lasts, silent := s.between(100*time.Millisecond, 3500*time.Millisecond), s.random.IntN(2) == 0
	victim, found := pick(s.random, s.hosts())
	if !found {
		return false
	}
	heal, done := s.c.network.cutOff(victim, silent)
	if !done {
		return false
	}
	how := "loudly"
	if silent {
		how = "silently"
	} else {
		s.c.links.breakOf(victim, errCutOff)
		s.c.breakSessionsOf(victim)
	}
	s.timeline.note("%s: %s, %s, for %s", NodeCutOff, victim, how, lasts.Round(time.Millisecond))
	s.later(lasts, func() {
		heal()
		s.timeline.note("node %s is connected again", victim)
	})
	return true
}

func (s *striker) cutOffLeader() bool {
	lasts := s.between(50*time.Millisecond, 2*time.Second)
	leader, found := s.awaitLeader()
	if !found {
		return false
	}
	r := s.c.coordinatorOf(leader)
	if r == nil {
		return false
	}
	s.c.partRaft(r)
	s.timeline.note("%s: %s for %s", LeaderCutOff, leader, lasts.Round(time.Millisecond))
	s.later(lasts, func() {
		s.c.mendRaft(r)
		s.timeline.note("coordinator %s is connected again", leader)
	})
	return true
}
