package sim

import (
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// I5, I8: a leader that was deposed and does not know it has collected chunks of a failed checkpoint. The next leader's
// checkpoint names them again, and a node that still obeys the old one has a copy. Nothing but the entry of the log
// that the old leader cannot commit stands between that copy and its deletion.
func TestI5_DeposedLeaderDeletesNothing(t *testing.T) {
	const seeds = 20
	caught, obeyed := 0, 0
	for seed := range uint64(seeds) {
		f, reached := sweepOfADeposedLeader(t, seed, Sound)
		if f != nil {
			t.Fatal(f)
		}
		if reached {
			obeyed++
		}
		if f, _ := sweepOfADeposedLeader(t, seed, SweepsUnconfirmed); f != nil && f.Invariant == I5 {
			caught++
		}
	}
	if caught == 0 || obeyed < seeds/2 {
		t.Errorf("of %d seeds, a node obeys a deposed leader in %d, and its deleting is caught in %d", seeds, obeyed, caught)
	}
}

// sweepOfADeposedLeader reports whether the deposed leader still has a node that obeys it when the next one has
// completed a checkpoint. In some worlds it has noticed by then: a task of its node fails, and it cannot commit that.
func sweepOfADeposedLeader(t *testing.T, seed uint64, m Mutation) (f *Failure, obeyed bool) {
	cfg := quiet()
	cfg.Seed, cfg.Mutation = seed, m
	cfg.Timing.SweepPause = 3 * time.Second
	cfg.Jobs[0].Config.Interval, cfg.Jobs[0].Config.Retain = 0, 1
	s := newScript(t, cfg)
	s.linger = func() time.Duration { return 20 * time.Second }
	running := func() bool { return s.job() != nil && s.job().Status == fsm.JobRunning }
	s.await("the job to run", running)
	s.complete(1)
	for _, h := range s.hosts { // the next state has nothing in common with the last
		h.proc.eachAttempt(func(a *attempt) {
			a.eachTask(func(t *task) { t.shared = checkpoint.ChunkID{} })
		})
	}
	left := 5
	s.gate = func(t *task, b checkpoint.Barrier, answer func()) {
		if b.ID == 2 {
			left--
		}
		if b.ID == 2 && left == 0 {
			t.decline(b, checkpoint.ReasonAsyncException)
			return
		}
		answer()
	}
	s.clients[0].request(checkpoint.KindCheckpoint, checkpoint.StopNone, clientWait)
	s.await("a failed checkpoint", func() bool { return s.job().Counters.Failed == 1 })
	old, n3 := s.leader(), s.hosts[2]
	other := s.coordinators[(old.self+1)%3]
	for _, c := range s.coordinators {
		if c != old {
			s.net.cut[c.self][old.self], s.net.cut[old.self][c.self] = true, true
			s.net.cut[c.self][n3.self], s.net.cut[n3.self][c.self] = true, true
		}
	}
	other.raft.campaign()
	s.await("another leader", func() bool {
		c := s.raftLeader()
		return c != nil && c != old && c.loop != nil
	})
	s.complete(3)
	obeyed = old.loop != nil && n3.proc.fence.leader == old.id
	s.runUntil(10*time.Second, func() bool { return false })
	return s.failed, obeyed
}

// complete asks for a checkpoint, again where nobody has heard it, until one from id on has completed.
func (s *script) complete(id checkpoint.ID) {
	s.t.Helper()
	asked := time.Duration(0)
	s.await("a completion", func() bool {
		if asked == 0 || s.now-asked > time.Second {
			asked = s.now
			s.clients[0].request(checkpoint.KindCheckpoint, checkpoint.StopNone, clientWait)
		}
		latest, _ := s.job().LatestCompleted()
		return latest.ID >= id
	})
}

// I5: what nothing names is deleted. In a cluster without faults, when all jobs have been cancelled, nothing is left on
// the disks but what users keep, and what tasks were storing when they were told to stop: of that nobody has heard.
func TestI5_NothingElseRemains(t *testing.T) {
	kept := 0
	for seed := range uint64(40) {
		cfg := Random(seed)
		cfg.FaultEvery, cfg.Sharp, cfg.Loss, cfg.Duplicate, cfg.StoreErrors, cfg.Skew = 0, 0, 0, 0, 0, 0
		cfg.Declines, cfg.Timing.SweepAnswer = 0.05, time.Minute
		for i := range cfg.Jobs {
			cfg.Jobs[i].CancelAt, cfg.Jobs[i].StopAt = cfg.Faulty, 0
			cfg.Jobs[i].SubmitAt = min(cfg.Jobs[i].SubmitAt, cfg.Faulty/2)
		}
		w := New(cfg)
		w.linger = func() time.Duration { return 0 }
		w.begin()
		w.runUntil(cfg.Faulty+time.Second, func() bool { return false })
		clean := w.runUntil(20*time.Second, func() bool { return w.leftovers() == 0 })
		if w.failed != nil {
			t.Fatal(w.failed)
		}
		if !clean {
			t.Errorf("seed %d: %d chunks are left that nothing names", seed, w.leftovers())
		}
		kept += len(w.check.chunksInUse())
	}
	if kept == 0 {
		t.Error("nothing was kept in any world: the test shows little")
	}
}

// leftovers counts the chunks on disks that nothing in use names, although somebody has been told of them.
func (w *World) leftovers() int {
	left := 0
	for _, h := range w.hosts {
		for id, manifest := range h.disk {
			if _, inUse := w.check.chunksInUse()[id]; !inUse && (manifest != nil || w.check.chunks.heardOf[id]) {
				left++
			}
		}
	}
	return left
}

// leaked counts the copies on disks that nothing in use names, or that are more than there should be.
func (w *World) leaked() int {
	left := 0
	found := make(map[checkpoint.ChunkID]int)
	for _, h := range w.hosts {
		for id := range h.disk {
			found[id]++
			if _, inUse := w.check.chunksInUse()[id]; !inUse || found[id] > copies {
				left++
			}
		}
	}
	return left
}

// U8: whatever went wrong before, when all jobs have ended and a full sweep has come, nothing is left on the disks but
// what users keep, in as many copies as there should be.
func TestU8_NothingLeaksUnderFaults(t *testing.T) {
	kept, leaked := 0, 0
	for seed := range uint64(20) {
		w := New(ended(seed))
		w.linger = func() time.Duration { return 0 }
		w.begin()
		w.runUntil(w.cfg.Faulty+time.Second, func() bool { return false })
		w.calmDown()
		w.runUntil(restLimit, w.allEnded)
		leaked += w.leaked()
		clean := w.runUntil(20*time.Second, func() bool { return w.leaked() == 0 })
		if w.failed != nil {
			t.Fatal(w.failed)
		}
		if !clean {
			t.Errorf("seed %d: %d copies are left that nothing names, or that are too many", seed, w.leaked())
		}
		kept += len(w.check.chunksInUse())
	}
	if kept == 0 || leaked == 0 {
		t.Errorf("%d chunks were kept, and there were %d copies to be found: the test shows little", kept, leaked)
	}
}

// ended is a random world in which users cancel all jobs when the faults end.
func ended(seed uint64) Config {
	cfg := Random(seed)
	for i := range cfg.Jobs {
		cfg.Jobs[i].CancelAt, cfg.Jobs[i].StopAt = cfg.Faulty, 0
		cfg.Jobs[i].SubmitAt = min(cfg.Jobs[i].SubmitAt, cfg.Faulty/2)
	}
	return cfg
}

func (w *World) allEnded() bool {
	for _, j := range w.check.state.Jobs {
		if !j.Status.Terminal() {
			return false
		}
	}
	return true
}
