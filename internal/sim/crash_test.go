package sim

import (
	"maps"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The rows of the crash table: whatever a leader is doing when it dies, the checkpoint that it was doing completes
// under the next one, with its ID, in the same attempt, and everybody hears of it.
func TestCrashTable(t *testing.T) {
	for name, row := range map[string]struct {
		at    func(s *script) func(Moment) bool
		alone bool
		term  bool // the checkpoint began in the old leader's term
	}{
		"before commit 1, the entry is lost": {at: moments(proposes[fsm.BeginCheckpoint]), alone: true},
		"before commit 1, the entry lives":   {at: moments(proposes[fsm.BeginCheckpoint]), term: true},
		"after commit 1, before any trigger": {at: appliesAtLeader[fsm.BeginCheckpoint], term: true},
		"after some triggers":                {at: moments(sends[checkpoint.Trigger]), term: true},
		"after some acks":                    {at: acked(3), term: true},
		"after the last ack":                 {at: acked(5), term: true},
		"with the manifest written":          {at: moments(func(m Moment) bool { return m.Kind == ManifestWritten }), term: true},
		"commit 2 in flight, lost":           {at: moments(proposes[fsm.CompleteCheckpoint]), alone: true, term: true},
		"commit 2 in flight, lives":          {at: moments(proposes[fsm.CompleteCheckpoint]), term: true},
		"after commit 2, before any notify":  {at: appliesAtLeader[fsm.CompleteCheckpoint], term: true},
		"during notify":                      {at: moments(sends[checkpoint.NotifyComplete]), term: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, quiet())
			var id checkpoint.ID
			var term checkpoint.Term
			s.strikeAt(row.at(s), func() {
				term = s.leader().loop.term
				id = s.inFlight()
				s.crashLeader(row.alone)
			})
			s.await("the completion in flight", func() bool { return s.check.outcomes[checkpointKey{s.job().ID, id}].completed })
			s.await("a newer completion", func() bool { return s.job().LastID > id && len(s.job().Pending) == 0 })
			j := s.job()
			if j.Attempt != 1 || j.Restart.Count != 0 || j.Counters.Failed != 0 {
				t.Errorf("attempt %d, %d restarts, %d failed checkpoints; want 1, 0, 0", j.Attempt, j.Restart.Count, j.Counters.Failed)
			}
			i := slices.IndexFunc(j.History, func(o fsm.Outcome) bool { return o.ID == id })
			if got := j.History[i].BeganTerm == term; got != row.term {
				t.Errorf("checkpoint %d began in term %d, the crash was in term %d", id, j.History[i].BeganTerm, term)
			}
			s.restWell()
		})
	}
}

func TestCrashWithTheManifestWritten(t *testing.T) {
	s := newScript(t, quiet())
	var before []checkpoint.ChunkID
	var id checkpoint.ID
	s.strikeAt(func(m Moment) bool { return m.Kind == ManifestWritten }, func() {
		id = s.inFlight()
		for _, h := range s.hosts {
			before = slices.AppendSeq(before, maps.Keys(h.disk))
		}
		s.crashLeader(false)
	})
	s.await("the completion in flight", func() bool { return s.check.outcomes[checkpointKey{s.job().ID, id}].completed })
	c, _ := s.job().LatestCompleted()
	if c.ID != id || !slices.Contains(before, c.Manifest.ID) {
		t.Errorf("checkpoint %d completes with manifest %s, want %d with the same bytes as before the crash", c.ID, c.Manifest.ID, id)
	}
}

// The leader dies while it shortens the discard list of a job that has ended.
func TestCrashWhileDiscarding(t *testing.T) {
	for name, alone := range map[string]bool{"the entry is lost": true, "the entry lives": false} {
		t.Run(name, func(t *testing.T) {
			cfg := quiet()
			cfg.Jobs[0].Limit = 2 * time.Second
			s := newScript(t, cfg)
			s.strikeAt(proposes[fsm.FinishDiscards], func() { s.crashLeader(alone) })
			s.await("the end of the discards", func() bool {
				return s.job().Status == fsm.JobFinished && len(s.job().Discards) == 0
			})
			s.restWell()
		})
	}
}

func TestCrashOfLeaderAndNodeTogether(t *testing.T) {
	s := newScript(t, quiet())
	var id, last checkpoint.ID
	s.strikeAt(sends[checkpoint.Trigger], func() {
		latest, _ := s.job().LatestCompleted()
		id, last = s.inFlight(), latest.ID
		h := s.hostOf(s.job().Assignment.Nodes[0].ID)
		h.kill()
		s.crashLeader(false)
	})
	s.await("the next attempt", func() bool { return s.job().Attempt == 2 })
	if j := s.job(); j.RestoredFrom != last || j.LastID != id {
		t.Errorf("restored from %d, last ID %d; want %d, %d", j.RestoredFrom, j.LastID, last, id)
	}
	s.await("a new checkpoint", func() bool { c, _ := s.job().LatestCompleted(); return c.ID > id })
	if o, found := s.check.outcomes[checkpointKey{s.job().ID, id}]; !found || o.completed {
		t.Errorf("checkpoint %d, which was in flight, has the outcome %+v; want failed", id, o)
	}
	s.restWell()
}

func TestCrashOfAllCoordinators(t *testing.T) {
	s := newScript(t, quiet())
	var id checkpoint.ID
	s.strikeAt(acked(2)(s), func() {
		id = s.inFlight()
		for _, c := range s.coordinators {
			c.crash()
			s.after(s.between(500*time.Millisecond, time.Second), c.start)
		}
	})
	s.await("the completion in flight", func() bool { return s.check.outcomes[checkpointKey{s.job().ID, id}].completed })
	if j := s.job(); j.Attempt != 1 || j.Counters.Failed != 0 {
		t.Errorf("attempt %d, %d failed checkpoints; want the tasks adopted", j.Attempt, j.Counters.Failed)
	}
	s.restWell()
}

func TestHandOverLosesNoCheckpoint(t *testing.T) {
	s := newScript(t, quiet())
	var id checkpoint.ID
	var term checkpoint.Term
	s.strikeAt(sends[checkpoint.Trigger], func() {
		id, term = s.inFlight(), s.leader().loop.term
		s.leader().raft.transfer((s.leader().self + 1) % 3)
	})
	s.await("the completion in flight", func() bool { return s.check.outcomes[checkpointKey{s.job().ID, id}].completed })
	if j := s.job(); j.Attempt != 1 || j.Counters.Failed != 0 {
		t.Errorf("attempt %d, %d failed checkpoints", j.Attempt, j.Counters.Failed)
	}
	s.await("another leader", func() bool { c := s.raftLeader(); return c != nil && c.loop != nil && c.loop.term > term })
	s.restWell()
}

// A leader that dies with all acks in hand, or with the completion committed, leaves the rest to the next one. What
// that needs of nodes and leaders is seen by taking it away: a later checkpoint would make good for it, so there is
// none here for five seconds.
func TestCrashTableCatches(t *testing.T) {
	for name, row := range map[string]struct {
		mutation Mutation
		at       func(*script) func(Moment) bool
	}{
		"acks":          {ForgetsAcks, acked(5)},
		"notifications": {NotifiesOwnOnly, appliesAtLeader[fsm.CompleteCheckpoint]},
	} {
		t.Run(name, func(t *testing.T) {
			if !heardOfAfterCrash(t, Sound, row.at) {
				t.Error("a sound cluster does not complete the checkpoint in flight within 4 s")
			}
			if heardOfAfterCrash(t, row.mutation, row.at) {
				t.Errorf("the checkpoint in flight completes and is heard of although the cluster %s", row.mutation)
			}
		})
	}
}

// heardOfAfterCrash reports whether the checkpoint in flight at a leader's crash completes, and all tasks hear of it,
// within 4 s.
func heardOfAfterCrash(t *testing.T, m Mutation, at func(*script) func(Moment) bool) bool {
	cfg := quiet()
	cfg.Mutation = m
	cfg.Jobs[0].Config.Interval = 5 * time.Second
	s := newScript(t, cfg)
	var id checkpoint.ID
	s.strikeAt(at(s), func() {
		id = s.inFlight()
		s.crashLeader(false)
	})
	return s.runUntil(4*time.Second, func() bool {
		return s.check.outcomes[checkpointKey{s.job().ID, id}].completed && s.unheard(s.latestCompleted()) == ""
	})
}
