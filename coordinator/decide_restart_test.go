package coordinator

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// failing is a job whose attempts fail one after the other.
type failing struct {
	t *testing.T
	j *fsm.Job
}

func failingJob(t *testing.T, restart func(*checkpoint.RestartConfig)) *failing {
	c := testConfig()
	c.Restart.JitterFactor = 0
	restart(&c.Restart)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return &failing{t, &fsm.Job{ID: testJob, Config: c}}
}

// fail lets the attempt fail at the given time, and start again when the delay is over. It returns the delay.
func (f *failing) fail(at checkpoint.Timestamp) int64 {
	f.t.Helper()
	next, refusal := nextRestart(f.j, at)
	if refusal != "" {
		f.t.Fatalf("no restart after %d: %s", f.j.Restart.Count, refusal)
	}
	if next.Count != f.j.Restart.Count+1 || next.LastFailureAt != at || next.NextAt != at+checkpoint.Timestamp(next.Delay) {
		f.t.Fatalf("restart %+v at %d", next, at)
	}
	f.j.Restart, f.j.AttemptStartedAt = next, next.NextAt
	return next.Delay
}

func (f *failing) wantRefused(at checkpoint.Timestamp, parts ...string) {
	f.t.Helper()
	_, refusal := nextRestart(f.j, at)
	for _, part := range append(parts, f.j.Config.Restart.Strategy.String()) {
		if !strings.Contains(refusal, part) {
			f.t.Errorf("refusal %q does not name %q", refusal, part)
		}
	}
}

func TestExponentialDelayGrowsAndIsReset(t *testing.T) {
	f := failingJob(t, func(*checkpoint.RestartConfig) {})
	var delays []int64
	for range 12 {
		delays = append(delays, f.fail(f.j.AttemptStartedAt+1000))
	}
	if delays[0] != 1000 || delays[1] != 1500 || delays[2] != 2250 || delays[11] != 60_000 {
		t.Fatalf("delays %v", delays)
	}
	long := checkpoint.Timestamp(f.j.Config.Restart.ResetBackoffThreshold.Milliseconds())
	if delay := f.fail(f.j.AttemptStartedAt + long - 1); delay != 60_000 {
		t.Fatalf("delay %d before the threshold", delay)
	}
	if delay := f.fail(f.j.AttemptStartedAt + long); delay != 1000 || f.j.Restart.Count != 14 || f.j.Restart.SinceReset != 1 {
		t.Fatalf("after a long run: %+v", f.j.Restart)
	}
}

// Jobs that fail together do not come back together, and yet each delay follows from the log alone.
func TestExponentialDelayIsSpread(t *testing.T) {
	f := failingJob(t, func(c *checkpoint.RestartConfig) { c.JitterFactor, c.BackoffMultiplier = 0.1, 1 })
	seen := make(map[int64]bool)
	for job := range byte(100) {
		j := *f.j
		j.ID[0] = job
		next, _ := nextRestart(&j, 0)
		again, _ := nextRestart(&j, 0)
		if next.Delay < 900 || next.Delay > 1100 || next.Delay != again.Delay {
			t.Fatalf("delays %d and %d, want the same twice and within a tenth of 1000", next.Delay, again.Delay)
		}
		seen[next.Delay] = true
	}
	if len(seen) < 50 {
		t.Fatalf("100 jobs share %d delays", len(seen))
	}
	f.j.Config.Restart.MaxBackoff = time.Second
	for range 100 {
		if delay := f.fail(0); delay > 1000 {
			t.Fatalf("delay %d is above the maximum", delay)
		}
	}
}

func TestU5_ExponentialDelayIsBoundedBetweenResets(t *testing.T) {
	f := failingJob(t, func(c *checkpoint.RestartConfig) { c.MaxAttempts = 2 })
	f.fail(1000)
	f.fail(f.j.AttemptStartedAt + 1000)
	f.wantRefused(f.j.AttemptStartedAt+1000, "2 restarts", "10m0s")
	f.fail(f.j.AttemptStartedAt + checkpoint.Timestamp(f.j.Config.Restart.ResetBackoffThreshold.Milliseconds()))
	f.fail(f.j.AttemptStartedAt + 1000)
	f.wantRefused(f.j.AttemptStartedAt + 1000)
}

func TestU5_FixedDelayIsBounded(t *testing.T) {
	f := failingJob(t, func(c *checkpoint.RestartConfig) {
		c.Strategy, c.Attempts, c.Delay = checkpoint.FixedDelay, 3, 5*time.Second
	})
	for range 3 {
		if delay := f.fail(f.j.AttemptStartedAt + 3_600_000); delay != 5000 {
			t.Fatalf("delay %d", delay)
		}
	}
	f.wantRefused(f.j.AttemptStartedAt+3_600_000, "3 restarts")
}

func TestU5_FailureRateIsBounded(t *testing.T) {
	f := failingJob(t, func(c *checkpoint.RestartConfig) {
		c.Strategy, c.MaxFailures, c.FailureInterval, c.Delay = checkpoint.FailureRate, 2, time.Minute, time.Second
	})
	for at := checkpoint.Timestamp(0); at < 600_000; at += 30_000 { // two in each minute
		if delay := f.fail(at); delay != 1000 {
			t.Fatalf("delay %d", delay)
		}
		if n := len(f.j.Restart.Failures); n > 2 {
			t.Fatalf("%d failure times are kept", n)
		}
	}
	f.wantRefused(590_000, "2 failures within 1m0s") // a third one
}

func TestU5_NoRestart(t *testing.T) {
	f := failingJob(t, func(c *checkpoint.RestartConfig) { c.Strategy = checkpoint.NoRestart })
	f.wantRefused(0)
}

// The job ends with the cause of its last failure, the strategy, and what that allowed.
func TestU5_ExhaustedStrategyFailsTheJobAndSaysSo(t *testing.T) {
	c := testConfig()
	c.Restart.MaxAttempts = 1
	w := running(t, c)
	w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	w.advance(2 * time.Second)
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	j := w.job()
	if j.Status != fsm.JobFailed {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
	for _, part := range []string{"count[0] on node n1: boom", "attempt 2", "exponential_delay allows 1 restarts"} {
		if !strings.Contains(j.Failure, part) {
			t.Errorf("%q does not say %q", j.Failure, part)
		}
	}
}
