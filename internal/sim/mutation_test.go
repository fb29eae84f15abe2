package sim

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// The checker is worth something only if it notices. Each mutation breaks one thing; random worlds have to find
// it, and the checker has to call it by its name.
func TestCheckerCatches(t *testing.T) {
	for m, want := range map[Mutation][]Invariant{
		AllocatesOutsideTheLog: {I1},
		AbortsOutsideTheLog:    {I2},
		NotifiesBeforeCommit:   {I3},
		NotifiesSomeNodes:      {I4, Liveness},
		NotifiesOwnOnly:        {I4, Liveness},
		TrustsUnknownOutcomes:  {I8},
		LeadsWithoutBarrier:    {I2, I6, I8},
		CountsAcksOfAnyAttempt: {I6},
		CountsAcksTwice:        {I6},
		BelievesAnyAttempt:     {I6, I7},
		CommitsAlone:           {I11},
		ForgetsItsLog:          {I1, I2, I10, I11, Liveness},
		StampsWhenApplying:     {I10},
		NodeIgnoresTerms:       {I6},
		KeepsItsIncarnation:    {I7},
		DeletesWhatWasKept:     {I5},
		TrimsTooMuch:           {I5},
		SweepsWithoutWaiting:   {I5},
		SweepsWhatIsShared:     {I5},
		SharesWithTheSource:    {I5},
		ReusesIDs:              {I1},
		TakesOverAnyExecution:  {I6, I7},
		AcceptsAcksOfAborted:   {I6},
		KeepsEverything:        {Liveness, I7},
		CancelsWhatGoesOn:      {I7},

		TakesSavepointsForCheckpoints: {Savepoints},
		SubsumesSavepoints:            {Savepoints},
	} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			const seeds = 500
			for seed := range uint64(seeds) {
				_, err := New(spoiled(seed, m)).Run()
				var f *Failure
				if !errors.As(err, &f) {
					continue
				}
				if !slices.Contains(want, f.Invariant) {
					t.Fatalf("called a violation of %s, want one of %v: %v", f.Invariant, want, f)
				}
				t.Logf("caught by seed %d: %s: %s", seed, f.Invariant, f.Text)
				return
			}
			t.Fatalf("not caught by %d seeds", seeds)
		})
	}
}

// spoiled is a random world with a mutation in it, and with more of what brings it to light where that is rare.
func spoiled(seed uint64, m Mutation) Config {
	cfg := Random(seed)
	cfg.Mutation = m
	if m == NotifiesOwnOnly { // no later checkpoint may make good for it
		cfg.Sharp = 0.01
		for i := range cfg.Jobs {
			cfg.Jobs[i].Config.Interval, cfg.Jobs[i].Limit = 20*time.Second, 0
		}
	}
	if m == SweepsWithoutWaiting || m == DeletesWhatWasKept { // failed checkpoints leave chunks behind that the next one names, which is under way
		cfg.Declines = 0.2
		for i := range cfg.Jobs {
			c := &cfg.Jobs[i].Config
			c.Interval, c.MinPause, c.MaxConcurrent, c.TolerableFailures = 50*time.Millisecond, 0, 3, 1000
			cfg.Jobs[i].ConfigureEvery, cfg.Jobs[i].Limit, cfg.Jobs[i].StopAt, cfg.Jobs[i].CancelAt = 0, 0, 0, 0
		}
	}
	if m == AcceptsAcksOfAborted { // what goes on is still storing when the others run again, and another checkpoint begins
		for i := range cfg.Jobs {
			cfg.Jobs[i].Topology, cfg.Jobs[i].Limit, cfg.Jobs[i].StopAt, cfg.Jobs[i].CancelAt = Topologies[1], 0, 0, 0
			c := &cfg.Jobs[i].Config
			c.AfterTasksFinish, c.Interval, c.MinPause, c.MaxConcurrent, c.TolerableFailures = true, 20*time.Millisecond, 0, 3, 1000
			c.Restart.Strategy, c.Restart.Attempts, c.Restart.Delay = checkpoint.FixedDelay, 1000, 0
		}
	}
	return cfg
}
