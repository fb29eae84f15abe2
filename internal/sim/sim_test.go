package sim

import (
	"os"
	"strconv"
	"sync"
	"testing"
)

// firstSeed is where TestSeeds begins. How many it takes when SEEDS does not say is usualSeeds.
const firstSeed = 1

// TestSeeds lives through random worlds. SEEDS says how many; SEED runs that one alone.
func TestSeeds(t *testing.T) {
	first, seeds := uint64(firstSeed), numberFrom(t, "SEEDS", usualSeeds)
	if one := numberFrom(t, "SEED", 0); one != 0 {
		first, seeds = one, 1
	}
	const workers = 2
	var mu sync.Mutex // guards total
	var total Stats
	t.Run("run", func(t *testing.T) {
		for w := range uint64(workers) {
			t.Run(strconv.FormatUint(w, 10), func(t *testing.T) {
				t.Parallel()
				for seed := first + w; seed < first+seeds && !t.Failed(); seed += workers {
					stats, err := New(Random(seed)).Run()
					if err != nil {
						t.Fatalf("run it again with SEED=%d go test -run TestSeeds ./internal/sim\n%v", seed, err)
					}
					mu.Lock()
					total.add(stats)
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d seeds: %+v", seeds, total)
	if seeds >= usualSeeds && !t.Failed() {
		total.wantVariety(t, int(seeds))
	}
}

// wantVariety demands that the worlds are as bad, and get as far, as they are meant to.
func (s *Stats) wantVariety(t *testing.T, seeds int) {
	for what, c := range map[string]struct{ got, atLeast int }{
		"elections":               {s.Elections, 2 * seeds},
		"crashes of coordinators": {s.CoordinatorCrashes, seeds / 2},
		"crashes of nodes":        {s.NodeCrashes, seeds / 4},
		"unknown outcomes":        {s.UnknownOutcomes, seeds / 10},
		"attempts":                {s.Attempts, 2 * seeds},
		"ended jobs":              {s.Ended, seeds / 2},
		"completed checkpoints":   {s.Completed, 5 * seeds},
		"failed checkpoints":      {s.Aborted, seeds / 2},
		"adopted and completed":   {s.Adopted, seeds / 10},
		"savepoints":              {s.Savepoints, seeds / 2},
		"jobs stopped with one":   {s.Stopped, seeds / 20},
		"jobs submitted from one": {s.Resubmitted, seeds / 20},
		"hand-overs":              {s.HandOvers, seeds / 4},
		"subtasks that went on":   {s.Kept, seeds / 6},
		"restarts of regions":     {s.RegionRestarts, seeds / 12},
		"chunks deleted":          {s.ChunksDeleted, 10 * seeds},
	} {
		if c.got < c.atLeast {
			t.Errorf("%s: %d, want at least %d: the simulation does not reach what it is meant to", what, c.got, c.atLeast)
		}
	}
}

func (s *Stats) add(other Stats) {
	s.Elections += other.Elections
	s.CoordinatorCrashes += other.CoordinatorCrashes
	s.NodeCrashes += other.NodeCrashes
	s.UnknownOutcomes += other.UnknownOutcomes
	s.Attempts += other.Attempts
	s.Ended += other.Ended
	s.Completed += other.Completed
	s.Aborted += other.Aborted
	s.Adopted += other.Adopted
	s.ChunksDeleted += other.ChunksDeleted
	s.CopiesTrimmed += other.CopiesTrimmed
	s.Savepoints += other.Savepoints
	s.Stopped += other.Stopped
	s.Resubmitted += other.Resubmitted
	s.HandOvers += other.HandOvers
	s.Kept += other.Kept
	s.RegionRestarts += other.RegionRestarts
}

func numberFrom(t *testing.T, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%q: want a number", variable, text)
	}
	return n
}

// A seed is worth something only if it always gives the same run.
func TestSameSeedSameRun(t *testing.T) {
	for seed := range uint64(10) {
		var sums [2]uint64
		for i := range sums {
			w := New(Random(seed))
			w.trace.summed()
			if _, err := w.Run(); err != nil {
				t.Fatal(err)
			}
			sums[i] = w.trace.sum.Sum64()
		}
		if sums[0] != sums[1] {
			t.Errorf("seed %d gives two different runs", seed)
		}
	}
}

func TestFailureSaysHowToSeeItAgain(t *testing.T) {
	cfg := Random(7)
	cfg.Mutation = CommitsAlone
	w := New(cfg)
	_, err := w.Run()
	if err == nil || w.failed.Seed != 7 || len(w.failed.Trace) == 0 || w.failed.Invariant != I11 {
		t.Errorf("%v", err)
	}
}
