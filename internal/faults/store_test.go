package faults

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/dataflow/jobtest"
)

// storeRun is a run of a ledger on a whole cluster that keeps state in real files, of which the test does the rest.
type storeRun struct {
	*run
	t      *testing.T // of the bubble
	ledger ledger
	strike *striker
}

// quickKeeping is how state is looked after where little time is to pass.
func quickKeeping(dir string) Keeping {
	timing := leaderTiming()
	timing.SweepPause, timing.SweepRetry = 300*time.Millisecond, 500*time.Millisecond
	timing.FullSweepPause, timing.FullSweepSoon = 4*time.Second, 500*time.Millisecond
	timing.FallbackGrace = 2 * time.Second
	return Keeping{Dir: dir, Timing: timing, Repair: coordinator.Repair{Delay: time.Second, Rate: 64 << 20}}
}

// storeDir returns a directory for state. That what was synced survives a power failure is proven elsewhere; a disk in
// memory will do, where there is one, since a test would spend its time on syncs.
func storeDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "faults-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// inStore runs the job on three nodes, lets the test do something to them, and closes the cluster. It returns the
// directory of the job's output.
func inStore(t *testing.T, seed uint64, l ledger, config map[string]string, change func(*Scenario), test func(*storeRun)) string {
	t.Helper()
	book, output := &logBook{}, filepath.Join(t.TempDir(), "out")
	all := map[string]string{"checkpointing.tolerable_failures": "1000"}
	maps.Copy(all, config)
	s := Scenario{
		Params: map[string]string{"output": output}, Config: all, Nodes: 3, Slots: l.parallelism, WorkDir: storeDir(t),
		Keeping: quickKeeping(storeDir(t)),
	}
	if change != nil {
		change(&s)
	}
	began := time.Now()
	var lines []string
	t.Cleanup(func() {
		if t.Failed() {
			tell(t, Result{Timeline: lines, Log: book.content()})
		}
	})
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewTextHandler(book, nil))
		random := rand.New(rand.NewPCG(seed, 0))
		saboteur := newSaboteur(random)
		s.Program = saboteur.sabotaged(l.program())
		r := &storeRun{t: t, ledger: l, run: &run{
			scenario: s, random: random, saboteur: saboteur, timeline: &timeline{start: time.Now(), log: log},
			result: Result{Happened: make(map[Fault]int)},
		}}
		var err error
		if r.cluster, err = startCluster(log, random, s, s.Program); err == nil {
			err = r.submit(t.Context())
		}
		r.strike = &striker{
			c: r.cluster, random: random, saboteur: saboteur, timeline: r.timeline, job: jobName, victims: ledgerVictims,
		}
		defer func() {
			r.cluster.close()
			lines = r.timeline.all()
		}()
		if err != nil {
			t.Fatal(err)
		}
		test(r)
	})
	t.Logf("in %s, with this:\n%s", time.Since(began).Round(time.Millisecond), strings.Join(lines, "\n"))
	return output
}

// until waits for something to be as it should be, for so long at most, and fails with what is not as it should be.
func (r *storeRun) until(what string, most time.Duration, problem func() error) {
	r.t.Helper()
	var err error
	for until := time.Now().Add(most); time.Now().Before(until); time.Sleep(5 * poll) { // virtual time
		if err = problem(); err == nil {
			return
		}
	}
	r.timeline.note("%s: not so: %v", what, err)
	r.t.Fatalf("%s, within %s: %v", what, most, err)
}

// asked makes a call to the leader that must succeed.
func asked[T any](r *storeRun, call func(context.Context, api.Service) (T, error)) T {
	r.t.Helper()
	v, err := ask(r.t.Context(), r.cluster, call)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// savepoint takes a savepoint, which is kept to the end.
func (r *storeRun) savepoint() checkpoint.ID {
	r.t.Helper()
	s := asked(r, func(ctx context.Context, s api.Service) (api.Savepoint, error) {
		return s.TriggerSavepoint(ctx, jobName, api.StopNone)
	})
	return checkpoint.ID(s.ID)
}

func (r *storeRun) counts() api.CheckpointCounts {
	r.t.Helper()
	s, err := r.cluster.statistics(r.t.Context(), jobName)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Counts
}

// finish waits for the end of the job.
func (r *storeRun) finish() {
	r.t.Helper()
	if err := r.awaitEnd(context.WithoutCancel(r.t.Context())); err != nil {
		r.t.Fatal(err)
	}
}

// wantOutput compares what the job has written with what it should have.
func (l ledger) wantOutput(t *testing.T, dir string) {
	t.Helper()
	if !t.Failed() {
		jobtest.SameLines(t, jobtest.Output(t, dir), l.lines())
	}
}
