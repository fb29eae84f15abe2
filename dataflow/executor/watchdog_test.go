package executor

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// A task whose code does not return when it is cancelled is complained of, with its stack, and in the end ends the
// process: the next attempt cannot begin beside it.
func TestWatchdogEndsTheProcessOfAStuckTask(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.made = func(f *fakeTask) { f.ignores = f.spec.Attempt == 1 && f.spec.Subtask == read0 }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0)
		time.Sleep(time.Hour) // nobody has cancelled it
		if got := c.fatals(); len(got) != 0 {
			t.Fatalf("a task that runs ended the process: %v", got)
		}
		c.Receive(leader, deployment(1, 2))
		const complaint = "a cancelled task does not return"
		time.Sleep(DefaultCancellationInterval - time.Second)
		if got := c.logged(complaint); len(got) != 0 {
			t.Errorf("complaints before the interval: %q", got)
		}
		time.Sleep(2 * time.Second)
		lines := c.logged(complaint)
		if len(lines) != 1 || !strings.Contains(lines[0], "task=read[0]") || !strings.Contains(lines[0], "attempt=1") ||
			!strings.Contains(lines[0], "(*fakeTask).Run") {
			t.Fatalf("after the interval: %q", lines)
		}
		if strings.Contains(lines[0], "inCluster") {
			t.Errorf("the complaint shows another goroutine: %s", lines[0])
		}
		time.Sleep(3*time.Minute - DefaultCancellationInterval - 2*time.Second)
		if got := c.fatals(); len(got) != 0 {
			t.Errorf("the process ended too soon: %v", got)
		}
		time.Sleep(2 * time.Second)
		fatal := c.fatals()
		if len(fatal) != 1 || !strings.Contains(fatal[0].Error(), "attempt 1 on node n1: read[0] did not return within 3m0s") {
			t.Errorf("the process ended because of %v", fatal)
		}
		if n := len(c.logged(complaint)); n != 6 && n != 7 { // the last interval ends with the timeout
			t.Errorf("%d complaints, want one every 30 s and one at the end", n)
		}
	})
}

// A task that returns late, but in time, ends nothing; neither does one that is waiting for the attempt before it.
func TestWatchdogLetsALateTaskReturn(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.made = func(f *fakeTask) { f.ignores = f.spec.Attempt == 1 }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		stuck := []*fakeTask{c.task(1, read0), c.task(1, write0)}
		c.Receive(leader, deployment(1, 2))
		time.Sleep(2 * time.Minute)
		c.Receive(leader, deployment(1, 3)) // cancels attempt 2, which waits for attempt 1
		time.Sleep(time.Minute - time.Second)
		for _, f := range stuck {
			f.release()
		}
		time.Sleep(time.Hour)
		if got := c.fatals(); len(got) != 0 {
			t.Errorf("the process ended: %v", got)
		}
		if c.task(3, read0) == nil {
			t.Error("attempt 3 does not run")
		}
	})
}

// Without a timeout a stuck task is complained of for ever.
func TestWatchdogThatNeverEndsTheProcess(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.cfg.CancellationTimeout = 0
		c.made = func(f *fakeTask) { f.ignores = true }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0)
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 1})
		time.Sleep(10*DefaultCancellationInterval + time.Second)
		if got := c.logged("a cancelled task does not return"); len(got) != 20 || len(c.fatals()) != 0 {
			t.Errorf("%d complaints of two tasks, fatal: %v", len(got), c.fatals())
		}
	})
}

// A program whose graph is never built holds up the next attempt as well.
func TestWatchdogOfAGraphThatIsNeverBuilt(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		m := deployment(1, 1)
		m.Program = "slow"
		c.Receive(leader, m)
		synctest.Wait() // it is being built
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 1})
		time.Sleep(3*time.Minute + time.Second)
		if got := c.fatals(); len(got) != 1 || !strings.Contains(got[0].Error(), "setting up did not return") {
			t.Errorf("the process ended because of %v", got)
		}
		close(c.slow)
	})
}

// A task whose code ends its own goroutine has failed; nobody waits for it in vain.
func TestTaskThatEndsItsGoroutineHasFailed(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.made = func(f *fakeTask) { f.vanishes = f.spec.Subtask == read0 }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		if got := leader.takeStatuses()[read0]; got.Status != checkpoint.SubtaskFailed || !strings.Contains(got.Failure.Message, errVanished.Error()) {
			t.Errorf("told %+v", got)
		}
	})
}
