package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/fsm"
)

func manualConfig() checkpoint.Config {
	c := testConfig()
	c.Interval = 0
	return c
}

func (w *world) savepoint() uint64 {
	return w.request(checkpoint.KindSavepoint, checkpoint.StopNone)
}

func (w *world) manual() uint64 { return w.request(checkpoint.KindCheckpoint, checkpoint.StopNone) }

// fateOf returns what has become of a request; nil when nothing has yet.
func (w *world) fateOf(id uint64) *fate {
	for i := range w.view.fates {
		if w.view.fates[i].request == id {
			return &w.view.fates[i]
		}
	}
	return nil
}

func (w *world) wantRefused(id uint64, reason checkpoint.Reason, parts ...string) {
	w.t.Helper()
	f := w.fateOf(id)
	if f == nil || f.checkpoint != 0 || f.reason != reason {
		w.t.Fatalf("request %d: %+v, want it refused as %s", id, f, reason)
	}
	for _, part := range append(parts, reason.String()) {
		if !strings.Contains(f.String(), part) {
			w.t.Errorf("%q does not name %q", f, part)
		}
	}
}

func (w *world) wantBegun(id uint64, c checkpoint.ID) {
	w.t.Helper()
	if f := w.fateOf(id); f == nil || f.checkpoint != c {
		w.t.Fatalf("request %d: %+v, want checkpoint %d", id, f, c)
	}
}

// The order is Flink's, whatever the order of arrival.
func TestT7_RequestsAreOrderedByUrgency(t *testing.T) {
	sorted := []request{
		{id: 9, kind: checkpoint.KindSavepoint, forced: true, at: 1},
		{id: 1, kind: checkpoint.KindSavepoint, forced: true, at: 2},
		{id: 2, kind: checkpoint.KindSavepoint, forced: true, at: 2},
		{id: 3, kind: checkpoint.KindSavepoint, at: 1},
		{id: 8, kind: checkpoint.KindCheckpoint, forced: true, at: 1},
		{id: 4, kind: checkpoint.KindCheckpoint, forced: true, at: 5},
		{id: 5, kind: checkpoint.KindCheckpoint, at: 4},
		{id: 6, kind: checkpoint.KindCheckpoint, periodic: true, at: 3},
		{id: 7, kind: checkpoint.KindCheckpoint, periodic: true, at: 4},
	}
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		for _, r := range rapid.Permutation(sorted).Draw(t, "arrivals") {
			if _, full := q.add(r); full {
				t.Fatal("full")
			}
		}
		if !slices.Equal(q.waiting, sorted) {
			t.Fatalf("queue %+v", q.waiting)
		}
	})
}

func TestT7_SavepointGoesBeforeCheckpointAndUserBeforeInterval(t *testing.T) {
	w := running(t, testConfig())
	w.advance(2 * time.Second) // a periodic one is due
	w.view.cleaningHold(w, true)
	manual := w.manual()
	savepoint := w.savepoint()
	w.run()
	w.wantPending()
	w.view.cleaningHold(w, false)
	w.run()
	w.wantBegun(savepoint, 1)
	w.wantBegun(manual, 2)
	w.wantPending(1, 2) // and no periodic one beside them
	if p := w.job().Pending; p[0].Kind != checkpoint.KindSavepoint || !p[0].Manual || p[1].Kind != checkpoint.KindCheckpoint || !p[1].Manual {
		t.Fatalf("pending %+v", p)
	}
}

// cleaningHold makes the deletion of old checkpoints lag behind, or catch up.
func (v *View) cleaningHold(w *world, behind bool) {
	s := v.jobs[testJob]
	s.cleaning = 0
	if behind {
		s.cleaning = w.job().Config.MaxConcurrent + 1
	}
}

func TestQueueIsBounded(t *testing.T) {
	w := running(t, manualConfig())
	w.view.cleaningHold(w, true)
	first := w.manual()
	var last uint64
	for range maxRequests - 1 {
		last = w.manual()
	}
	refused := w.manual() // no more urgent than those that wait
	w.wantRefused(refused, checkpoint.ReasonTooManyRequests)
	urgent := w.savepoint() // drives out the least urgent one
	w.wantRefused(last, checkpoint.ReasonTooManyRequests)
	if w.fateOf(first) != nil || w.fateOf(urgent) != nil || len(w.view.jobs[testJob].queue.waiting) != maxRequests {
		t.Fatalf("%d wait, fates %+v", len(w.view.jobs[testJob].queue.waiting), w.view.fates)
	}
}

func TestT1_PeriodicTriggersFollowTheInterval(t *testing.T) {
	w := running(t, testConfig())
	for id := checkpoint.ID(1); id <= 5; id++ {
		w.advance(999 * time.Millisecond)
		w.run()
		w.wantPending()
		w.advance(time.Millisecond)
		w.run()
		w.wantPending(id)
		w.ack(id)
	}
}

// However the clock is set, timestamps do not go back, IDs increase, and the rhythm stays.
func TestT1_TimestampsNeverGoBack(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	first := w.job().Pending[0]
	w.now = w.now.Add(-time.Hour)
	w.ack(1)
	if o := w.lastOutcome(); o.EndedAt < o.TriggeredAt {
		t.Fatalf("checkpoint 1 ended at %d, before it was triggered at %d", o.EndedAt, o.TriggeredAt)
	}
	for id := checkpoint.ID(2); id <= 4; id++ { // a time that lies ahead holds nothing up
		w.run()
		w.wantPending(id)
		if p := w.job().Pending[0]; p.TriggeredAt < first.TriggeredAt {
			t.Fatalf("checkpoint %d was triggered at %d, its predecessor at %d", p.ID, p.TriggeredAt, first.TriggeredAt)
		}
		w.ack(id)
		w.advance(999 * time.Millisecond)
		w.run()
		w.wantPending() // nor is every moment the right one until the clock has caught up
		w.advance(time.Millisecond)
	}
}

// A restart does not go back to savepoints: however many a user takes, periodic checkpoints keep their rhythm, also under
// another leader.
func TestT1_SavepointsDoNotPutPeriodicCheckpointsOff(t *testing.T) {
	for name, elect := range map[string]bool{"same leader": false, "another leader": true} {
		t.Run(name, func(t *testing.T) {
			w := running(t, testConfig())
			w.advance(600 * time.Millisecond)
			w.savepoint()
			w.run()
			w.ack(1)
			w.wantSavepoints(1)
			if elect {
				w.elect()
				w.rejoin(1)
			}
			w.advance(399 * time.Millisecond)
			w.run()
			w.wantPending()
			w.advance(time.Millisecond)
			w.run()
			w.wantPending(2)
		})
	}
}

func TestT1_StopAndStartAgain(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.configure(func(c *checkpoint.Config) { c.Interval = 0 })
	for range 10 {
		w.tick()
	}
	w.wantPending()
	w.configure(func(c *checkpoint.Config) { c.Interval = time.Second })
	w.run()
	w.wantPending(2)
}

// configure changes the job's configuration as `job set` does.
func (w *world) configure(change func(*checkpoint.Config)) {
	w.t.Helper()
	c := w.job().Config
	change(&c)
	w.step(fsm.ConfigureJob{Job: testJob, Config: c, At: w.at()})
}

func TestT2_StoppedSchedulerRejectsPeriodicAndAcceptsManual(t *testing.T) {
	w := running(t, manualConfig())
	for range 100 {
		w.tick()
	}
	w.wantPending()
	id := w.manual()
	w.run()
	w.wantPending(1)
	w.wantBegun(id, 1)
}

// One request is decided at a time: what comes in while it is being committed is queued, and runs next.
func TestT3_TriggerDuringATrigger(t *testing.T) {
	w := running(t, manualConfig())
	first := w.manual()
	begin := w.onlyBegin()
	second := w.savepoint() // more urgent, and yet too late to go first
	w.execute(begin)
	w.run()
	w.wantBegun(first, 1)
	w.wantBegun(second, 2)
}

// onlyBegin decides and returns the one beginning that comes of it.
func (w *world) onlyBegin() Propose {
	w.t.Helper()
	w.view.SetJobs(w.state.SortedJobs())
	var begins []Propose
	for _, a := range Decide(w.view, w.now) {
		if p, ok := a.(Propose); ok {
			begins = append(begins, p)
		}
	}
	if len(begins) != 1 {
		w.t.Fatalf("proposals %v, want one", begins)
	}
	return begins[0]
}

func TestT4_FailedProposalFailsItsRequestOnly(t *testing.T) {
	w := running(t, manualConfig())
	first, second := w.manual(), w.manual()
	begin := w.onlyBegin()
	w.view.OnRejected(begin.Command, errors.New("the log refused it"))
	w.run()
	w.wantRefused(first, checkpoint.ReasonTriggerFailure, "the log refused it")
	w.wantBegun(second, 1)
	w.wantPending(1)
}

// U12: a beginning that fails does not stand in the way of what comes behind it, a stop of the job included.
func TestU12_FailedBeginningBlocksNothing(t *testing.T) {
	w := running(t, manualConfig())
	w.manual()
	stop := w.request(checkpoint.KindSavepoint, checkpoint.StopSuspend)
	w.view.OnRejected(w.onlyBegin().Command, errors.New("refused"))
	w.wantRefused(stop, checkpoint.ReasonTriggerFailure)
	again := w.request(checkpoint.KindSavepoint, checkpoint.StopSuspend)
	w.run()
	w.wantBegun(again, 1)
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	w.allStatus(checkpoint.SubtaskCanceled)
	w.run()
	if got := w.job().Status; got != fsm.JobCanceled {
		t.Fatalf("the job is %s", got)
	}
}

func TestT5_ForcedRequestsRunAlthoughPendingIsFull(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.tick() // the periodic one waits
	w.wantPending(1)
	manual := w.manual()
	w.run()
	w.wantBegun(manual, 2)
	savepoint := w.savepoint()
	w.run()
	w.wantBegun(savepoint, 3)
	w.tick()
	w.wantPending(1, 2, 3)
}

func TestT6_NothingBeginsWhileCleaningLagsBehind(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	s := w.view.jobs[testJob]
	s.cleaning = 3
	manual, savepoint := w.manual(), w.savepoint()
	w.tick()
	w.wantPending()
	s.cleaning = 2 // it has caught up
	w.run()
	w.wantBegun(savepoint, 1)
	w.wantBegun(manual, 2)
}

func TestT8_MinPauseHoldsBackPeriodicOnesOnly(t *testing.T) {
	c := testConfig()
	c.MinPause = c.Interval
	w := running(t, c)
	w.tick()
	w.advance(900 * time.Millisecond)
	w.ack(1)
	w.advance(500 * time.Millisecond)
	w.run()
	w.wantPending() // the interval is over, the pause since the completion is not
	w.manual()
	w.run()
	w.wantPending(2)
	w.savepoint()
	w.run()
	w.wantPending(2, 3)
}

// The pause runs from the last completion, of a savepoint too, and also under another leader.
func TestT8_MinPauseRunsFromTheLastCompletion(t *testing.T) {
	c := testConfig()
	c.MinPause = c.Interval
	for name, elect := range map[string]bool{"same leader": false, "another leader": true} {
		t.Run(name, func(t *testing.T) {
			w := running(t, c)
			w.savepoint()
			w.run()
			w.advance(900 * time.Millisecond)
			w.ack(1)
			if elect {
				w.elect()
				w.rejoin(1)
			}
			w.advance(999 * time.Millisecond)
			w.run()
			w.wantPending()
			w.advance(time.Millisecond)
			w.run()
			w.wantPending(2)
		})
	}
}

func TestC1_TriggerFailsAtOnceWhileATaskIsNotRunning(t *testing.T) {
	w := running(t, manualConfig())
	w.view.jobs[testJob].setStatus(1, checkpoint.SubtaskInitializing)
	manual, stop := w.manual(), w.request(checkpoint.KindSavepoint, checkpoint.StopDrain)
	w.run()
	w.wantPending()
	for _, id := range []uint64{manual, stop} {
		w.wantRefused(id, checkpoint.ReasonNotAllTasksRunning, "read[1] on node n2 is INITIALIZING")
	}
	w.status(sub("read", 1), checkpoint.SubtaskRunning)
	w.run()
	w.wantPending() // what was refused does not come back
}

func TestC1_PeriodicWaitsUntilAllTasksRun(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 2, 1)
	w.submit(testConfig())
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.view.jobs[testJob].setStatus(1, checkpoint.SubtaskInitializing)
	w.tick()
	w.wantPending()
	w.status(sub("read", 1), checkpoint.SubtaskRunning)
	w.run()
	w.wantPending(1)
}

// A request that reaches a new leader before the nodes have reported is not refused for that.
func TestRequestWaitsForTheReports(t *testing.T) {
	w := running(t, manualConfig())
	w.elect()
	id := w.manual()
	w.run()
	w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
	w.run()
	if f := w.fateOf(id); f != nil {
		t.Fatalf("answered with %s before n2 has reported", f)
	}
	w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
	w.run()
	w.wantBegun(id, 1)
}

func TestC23_NothingBeginsWhileLeadershipIsHandedOver(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.view.Draining = true
	id := w.manual()
	w.tick()
	w.wantPending(1)
	if f := w.fateOf(id); f != nil {
		t.Fatalf("the request was answered with %s", f)
	}
	w.ack(1) // what is pending goes on
	w.wantCompleted(1)
	w.tick()
	w.wantPending()
}

// C23: the end of an attempt, or of the job, is the end of the requests that wait.
func TestC23_RequestsEndWithTheAttempt(t *testing.T) {
	for name, end := range map[string]func(w *world){
		"attempt": func(w *world) { w.fail(sub("read", 0), checkpoint.Failure{Message: "boom"}) },
		"job":     func(w *world) { w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, manualConfig())
			w.view.cleaningHold(w, true)
			id := w.manual()
			end(w)
			w.run()
			w.wantRefused(id, checkpoint.ReasonCoordinatorShutdown, "job")
			w.wantPending()
		})
	}
}

func TestWithdrawnRequestDoesNotBegin(t *testing.T) {
	w := running(t, manualConfig())
	w.view.cleaningHold(w, true)
	gone, stays := w.manual(), w.savepoint()
	w.view.OnWithdrawn(testJob, gone)
	w.view.cleaningHold(w, false)
	w.run()
	w.wantBegun(stays, 1)
	w.wantPending(1)
}

func TestC16_MaxConcurrent(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := testConfig()
			c.MaxConcurrent = n
			w := running(t, c)
			for range 2 * n {
				w.tick()
			}
			if got := len(w.pendingIDs()); got != n {
				t.Fatalf("%d in flight, want %d", got, n)
			}
			w.ack(1)
			if got := len(w.pendingIDs()); got != n {
				t.Fatalf("after a completion %d in flight, want %d: one more begins", got, n)
			}
		})
	}
}

func TestC17_SecondCompletesFirstAndTwoMoreBegin(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.tick()
	w.tick()
	w.tick()
	w.wantPending(1, 2)
	w.ack(2)
	w.tick()
	w.tick()
	w.wantPending(3, 4)
	w.wantCompleted(2)
	if o := w.job().History[0]; o.ID != 1 || o.Reason != checkpoint.ReasonSubsumed {
		t.Fatalf("outcome of the first: %+v", o)
	}
}

// However many clients ask, the replicated state stays bounded.
func TestPendingIsBounded(t *testing.T) {
	w := running(t, manualConfig())
	for range 2 {
		for range maxRequests {
			w.manual()
		}
		for range maxPending {
			w.view.SetJobs(w.state.SortedJobs())
			for _, a := range Decide(w.view, w.now) {
				w.execute(a)
			}
		}
	}
	if n := len(w.pendingIDs()); n != maxPending {
		t.Fatalf("%d are pending", n)
	}
}
