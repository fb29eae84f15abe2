package sim

import (
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The session to the leader breaks with a trigger, an ack or a notification on its way: the next one makes good for it.
func TestBrokenSessionLosesNoCheckpoint(t *testing.T) {
	for name, at := range map[string]func(Moment) bool{
		"trigger":      sends[checkpoint.Trigger],
		"ack":          func(m Moment) bool { return m.Kind == Acked },
		"notification": sends[checkpoint.NotifyComplete],
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, quiet())
			var id checkpoint.ID
			node := checkpoint.NodeID("")
			s.strikeAt(func(m Moment) bool { node = m.Node; return at(m) }, func() {
				id = s.inFlight()
				s.hostOf(node).proc.outbox.lose()
			})
			s.await("the completion in flight", func() bool { return s.check.outcomes[checkpointKey{s.job().ID, id}].completed })
			s.await("everybody to hear of it", func() bool { return s.unheard(s.latestCompleted()) == "" })
			if j := s.job(); j.Attempt != 1 || j.Counters.Failed != 0 {
				t.Errorf("attempt %d, %d failed checkpoints", j.Attempt, j.Counters.Failed)
			}
			s.restWell()
		})
	}
}

// The session breaks when a node has been told to cancel: that its tasks have ended is seen from the next report.
func TestBrokenSessionHoldsNoCancellationUp(t *testing.T) {
	cfg := quiet()
	cfg.Jobs[0].CancelAt = 3 * time.Second
	s := newScript(t, cfg)
	node := checkpoint.NodeID("")
	s.strikeAt(func(m Moment) bool {
		_, cancels := m.Message.(checkpoint.CancelAttempt)
		node = m.Node
		return cancels && m.Kind == Received
	}, func() { s.hostOf(node).proc.outbox.lose() })
	s.await("the end of the job", func() bool { return s.job().Status == fsm.JobCanceled })
	s.restWell()
}

// I6: a node that has not heard of the next attempt goes on with its tasks, and what they send is refused.
func TestI6_ZombiesAreRefused(t *testing.T) {
	const seeds = 20
	caught := 0
	for seed := range uint64(seeds) {
		if f := zombies(t, seed, Sound); f != nil {
			t.Fatal(f)
		}
		if f := zombies(t, seed, IgnoresAttempts); f != nil && f.Invariant == I6 {
			caught++
		}
	}
	if caught == 0 {
		t.Errorf("channels that take what zombies send are not caught by %d seeds", seeds)
	}
}

// zombies cuts the node of a source off from the coordinators, makes a task on another node fail, and lets the source
// send when that has begun anew.
func zombies(t *testing.T, seed uint64, m Mutation) *Failure {
	cfg := quiet()
	cfg.Seed, cfg.Mutation = seed, m
	cfg.Jobs[0].Config.Restart.InitialBackoff = 10 * time.Millisecond
	s := newScript(t, cfg)
	s.await("a checkpoint", func() bool { return s.job() != nil && s.job().Counters.Completed > 0 })
	zombie := s.hostOf(s.job().Assignment.Node(0).ID)
	other := s.hostOf(s.job().Assignment.Node(1).ID)
	s.watch = func(moment Moment) {
		if deploy, ok := moment.Message.(checkpoint.Deploy); !ok || deploy.Attempt != 2 || moment.Kind != Received {
			return
		}
		zombie.proc.eachAttempt(func(a *attempt) {
			a.eachTask(func(t *task) { t.broadcast(frame{kind: barrier, barrier: checkpoint.Barrier{ID: 100}}) })
		})
	}
	s.isolateNode(zombie)
	other.proc.eachAttempt(func(a *attempt) { a.tasks[0].fail("simulated failure", false) })
	s.runUntil(3*time.Second, func() bool { return false })
	return s.failed
}

// I11: a leader that keeps all nodes but loses the other coordinators completes nothing.
func TestI11_MinorityCompletesNothing(t *testing.T) {
	s := newScript(t, quiet())
	var old *coord
	s.strikeAt(sends[checkpoint.Trigger], func() {
		old = s.leader()
		s.net.split(func(endpoint int) bool { return endpoint == old.self || endpoint >= len(s.coordinators) })
	})
	before := s.job().Counters.Completed
	s.runUntil(10*time.Second, func() bool { return false })
	if got := s.job().Counters.Completed; got != before || old.loop != nil {
		t.Errorf("%d checkpoints completed in the minority; it still leads: %t", got-before, old.loop != nil)
	}
	s.restWell()
}
