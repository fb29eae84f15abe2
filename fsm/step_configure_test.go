package fsm

import (
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

func (s *script) configure(n byte, change func(*checkpoint.Config)) ConfigureJob {
	c := s.job(n).Config
	change(&c)
	return ConfigureJob{Job: jobID(n), Config: c, At: s.at}
}

func TestConfigureJob(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(5))
	s.completed(1, 4)
	s.savepoint(1)
	c := s.configure(1, func(c *checkpoint.Config) {
		c.Interval, c.MinPause, c.Timeout, c.TolerableFailures, c.Retain = time.Minute, time.Second, time.Hour, 9, 2
	})
	if result := s.must(c); !slices.Equal(result.Subsumed, []checkpoint.ID{1, 2}) {
		t.Errorf("subsumed %v", result.Subsumed)
	}
	j := s.job(1)
	if j.Config != c.Config || !slices.Equal(completedIDs(j), []checkpoint.ID{3, 4}) || !slices.Equal(discardIDs(j), []checkpoint.ID{1, 2}) || len(j.Savepoints) != 1 {
		t.Errorf("log %v, discards %v, savepoints %v, configuration %+v", completedIDs(j), discardIDs(j), savepointIDs(j), j.Config)
	}
	if result := s.must(c); len(result.Subsumed) != 0 { // it is proposed again when its outcome was unknown
		t.Errorf("the second time subsumed %v", result.Subsumed)
	}
	s.must(s.configure(1, retain(4)))
	s.completed(1, 3)
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{4, 6, 7, 8}) {
		t.Errorf("log %v", got)
	}
}

func TestConfigureJobRejections(t *testing.T) {
	for name, change := range map[string]func(*checkpoint.Config){
		"invalid":               retain(0),
		"interval below pause":  func(c *checkpoint.Config) { c.MinPause = c.Interval + 1 },
		"fixed: concurrency":    func(c *checkpoint.Config) { c.MaxConcurrent = 2 },
		"fixed: mode":           func(c *checkpoint.Config) { c.Mode = checkpoint.AtLeastOnce },
		"fixed: alignment":      func(c *checkpoint.Config) { c.Alignment = checkpoint.AlignmentAligned },
		"fixed: on_cancel":      func(c *checkpoint.Config) { c.RetainOnCancel = true },
		"fixed: strategy":       func(c *checkpoint.Config) { c.Restart.Strategy = checkpoint.NoRestart },
		"fixed: the last field": func(c *checkpoint.Config) { c.Restart.FailureInterval++ },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			s.rejects(ErrInvalid, s.configure(1, change))
		})
	}
}

// TestAJobIsConfiguredUntilItsEnd, whatever it is doing.
func TestAJobIsConfiguredUntilItsEnd(t *testing.T) {
	s := newScript(t)
	s.must(s.submit(1))
	s.must(s.configure(1, retain(7)))
	s.must(s.start(1, 0))
	s.must(s.configure(1, retain(8)))
	s.must(s.fail(1, "lost"))
	s.must(s.configure(1, retain(9)))
	s.must(s.cancel(1))
	s.must(s.configure(1, retain(10)))
	s.must(s.end(1, JobCanceled))
	s.rejects(ErrJobEnded, s.configure(1, retain(11)))
}
