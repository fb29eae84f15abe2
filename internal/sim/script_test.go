package sim

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// quiet is a cluster in which nothing goes wrong by itself: three coordinators, and a job with a shuffle on two of
// three nodes. Its timeout is so long that a checkpoint in flight completes under the next leader or not at all.
func quiet() Config {
	c := checkpoint.DefaultConfig()
	c.Interval, c.Timeout = 300*time.Millisecond, 20*time.Second
	c.Restart.InitialBackoff = 100 * time.Millisecond
	return Config{
		Seed: 1, Coordinators: 3, Slots: []int{1, 1, 1}, Timing: timing(), OrphanTimeout: time.Minute,
		Jobs: []Job{{Topology: Topologies[2], Config: c}},
	}
}

// script is a quiet world in which one thing goes wrong at one moment.
type script struct {
	*World
	t *testing.T
}

func newScript(t *testing.T, cfg Config) *script {
	s := &script{World: New(cfg), t: t}
	s.begin()
	return s
}

// await lives until a condition holds.
func (s *script) await(what string, done func() bool) {
	s.t.Helper()
	if !s.runUntil(30*time.Second, done) {
		if s.failed != nil {
			s.t.Fatal(s.failed)
		}
		s.t.Fatalf("waited in vain for %s: %s\n%s", what, s.describe(), strings.Join(s.trace.last(), "\n"))
	}
}

func (s *script) job() *fsm.Job { return s.check.state.Jobs[s.clients[0].id] }

// strikeAt lets something happen at the first such moment of a leader or node, once two checkpoints are complete.
func (s *script) strikeAt(at func(Moment) bool, strike func()) {
	s.t.Helper()
	struck := false
	s.watch = func(m Moment) {
		if j := s.job(); !struck && j != nil && j.Counters.Completed >= 2 && at(m) {
			struck = true
			strike()
		}
	}
	s.await("the moment", func() bool { return struck })
}

func (s *script) leader() *coord {
	s.t.Helper()
	c := s.raftLeader()
	if c == nil || c.loop == nil {
		s.t.Fatal("nobody leads")
	}
	return c
}

// crashLeader ends the leader's process; alone, after everything it has just sent is lost as well.
func (s *script) crashLeader(alone bool) {
	c := s.leader()
	if alone {
		for _, other := range s.coordinators {
			if other != c {
				s.net.cut[c.self][other.self] = true
			}
		}
	}
	c.crash()
	s.after(time.Second, func() {
		s.net.heal()
		c.start()
	})
}

func proposes[C fsm.Command](m Moment) bool {
	_, ok := m.Command.(C)
	return ok && m.Kind == Proposed
}

func sends[M checkpoint.ToNode](m Moment) bool {
	_, ok := m.Message.(M)
	return ok && m.Kind == Sent
}

// appliesAtLeader is the moment at which the leader, and so far nobody else, knows that a command is committed.
func appliesAtLeader[C fsm.Command](s *script) func(Moment) bool {
	return func(m Moment) bool {
		_, ok := m.Command.(C)
		return ok && m.Kind == Applied && m.Coordinator == s.leader().id
	}
}

// counted is the n-th of some moments.
func counted(n int, of func(Moment) bool) func(Moment) bool {
	return func(m Moment) bool {
		if of(m) {
			n--
			return n <= 0
		}
		return false
	}
}

func moments(at func(Moment) bool) func(*script) func(Moment) bool {
	return func(*script) func(Moment) bool { return at }
}

// acked is the moment after n of the five subtasks have acknowledged.
func acked(n int) func(*script) func(Moment) bool {
	return func(*script) func(Moment) bool {
		return counted(n, func(m Moment) bool { return m.Kind == Acked })
	}
}

// inFlight returns the ID that is being worked on: the pending one, or the last one, or the next when the log has
// not handed it out.
func (s *script) inFlight() checkpoint.ID {
	j := s.leader().raft.state.Jobs[s.clients[0].id]
	last, _ := j.LatestCompleted()
	if len(j.Pending) == 0 && len(s.leader().raft.waiting) > 0 {
		return j.LastID + 1
	}
	if len(j.Pending) > 0 {
		return j.Pending[0].ID
	}
	return last.ID
}

// restWell ends the script as every run ends.
func (s *script) restWell() {
	s.t.Helper()
	s.rest()
	if s.failed != nil {
		s.t.Error(s.failed)
	}
}
