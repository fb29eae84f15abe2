package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// TestU8_ThousandCheckpointsWithCrashesLeakNothingOnDisk: nodes, leaders and sessions go and come back while a thousand
// checkpoints complete, some of them between storing and saying so. When that is over, the nodes have on their disks
// what the retained checkpoints, the savepoint and the breakdowns name, each twice, and nothing else.
func TestU8_ThousandCheckpointsWithCrashesLeakNothingOnDisk(t *testing.T) {
	for seed := range seeds(t) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			random := randomOf(t, seed)
			l := ledger{rate: 60, keys: 12, payload: 200, parallelism: 2, turn: 40 * time.Millisecond}
			config := map[string]string{"checkpointing.interval": "40ms", "checkpointing.on_cancel": "retain"}
			inStore(t, random.Uint64(), l, config, func(s *Scenario) { s.Slots = 202 }, thousandCheckpoints)
		})
	}
}

// wantCheckpoints are fewer under the race detector.
const wantCheckpoints = 1000 / everyNth

func thousandCheckpoints(r *storeRun) {
	r.widen()
	r.until("all has its copies", lossPatience, r.whole)
	r.savepoint()
	rounds := 0
	for ; r.counts().Completed < wantCheckpoints; rounds++ {
		for _, i := range r.random.Perm(len(crashes)) {
			crashes[i].strike(r)
			for until := time.Now().Add(r.strike.between(0, 2*time.Second)); time.Now().Before(until); {
				r.event(Deleting)
				time.Sleep(50 * time.Millisecond) // virtual time
				r.wantAllOfThree()
			}
		}
	}
	r.cluster.repairs.Wait()
	r.timeline.note("no more crashes; each has come %d times", rounds)
	for _, name := range []string{jobName, wideName} {
		asked(r, func(ctx context.Context, s api.Service) (api.Job, error) { return s.CancelJob(ctx, name) })
		r.until(name+" is canceled", lossPatience, func() error {
			d, err := r.cluster.job(r.t.Context(), name)
			if err == nil && d.State != "CANCELED" {
				err = fmt.Errorf("job %s is %s", name, d.State)
			}
			return err
		})
	}
	r.timeline.note("canceled")
	r.until("what is on the disks is what is named", 2*time.Minute, func() error {
		if alive := r.cluster.aliveNodes(); len(alive) < 3 {
			return fmt.Errorf("only %v live", alive)
		}
		if err := r.cluster.accounts(r.t.Context()); err != nil {
			return err
		}
		return r.cluster.diskAccounts(0)
	})
	r.wantKept()
}

// wantAllOfThree demands that all that is promised can be read, when no node is away.
func (r *storeRun) wantAllOfThree() {
	r.t.Helper()
	_, err := r.cluster.named(r.t.Context())
	if err == nil {
		return
	}
	if alive := r.cluster.aliveNodes(); len(alive) == 3 {
		if _, err = r.cluster.named(r.t.Context()); err != nil && len(r.cluster.aliveNodes()) == 3 {
			r.t.Fatalf("although %v are there: %v", alive, err)
		}
	}
}

// wantKept demands that there is something to be kept: all kinds of it, in a number that is small.
func (r *storeRun) wantKept() {
	r.t.Helper()
	p, err := r.cluster.promises(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	savepoints := asked(r, func(ctx context.Context, s api.Service) ([]api.Savepoint, error) { return s.ListSavepoints(ctx, "") })
	counts := r.counts()
	r.timeline.note("%d checkpoints completed, %d failed, %d restored; %d are kept, of them %d savepoints; %d breakdowns", counts.Completed,
		counts.Failed, counts.Restored, len(p.kept), len(savepoints), len(p.details))
	if len(p.kept) != 4 || len(savepoints) != 1 || len(p.details) == 0 || counts.Failed == 0 || counts.Restored == 0 {
		r.t.Errorf("kept are %v, %d of them savepoints, and %d breakdowns; checkpoints: %+v", p.kept, len(savepoints), len(p.details), counts)
	}
}

// wideName is a second job. When it is cancelled, the breakdowns of its checkpoints are kept, and nothing else.
const wideName = "wide"

func (r *storeRun) widen() {
	r.t.Helper()
	asked(r, func(ctx context.Context, s api.Service) (api.Job, error) {
		return s.SubmitJob(ctx, api.SubmitJobRequest{
			Program: "ledger", Name: wideName, Params: map[string]string{"shape": "wide"},
			Config: config(map[string]string{"checkpointing.interval": "2s", "checkpointing.tolerable_failures": "1000"}),
		})
	})
}

// crash is a way to stop something amid the taking of checkpoints.
type crash struct {
	name   string
	strike func(*storeRun)
}

var crashes = []crash{
	{"a node stops", func(r *storeRun) { r.stop(r.any(Event{})) }},
	{"a node stops that is about to store a copy", func(r *storeRun) { r.stop(r.event(Storing).Node) }},
	{"a node stops while another one stores what it has sent", func(r *storeRun) {
		e := r.event(Storing)
		others := r.cluster.aliveNodes()
		for _, i := range r.random.Perm(len(others)) {
			if others[i] != e.Node {
				r.stop(others[i])
				return
			}
		}
	}},
	{"a node stops when it has acknowledged", func(r *storeRun) { r.stop(r.event(Acknowledged).Node) }},
	{"a node stops before it deletes", func(r *storeRun) { r.stop(r.event(Deleting).Node) }},
	{"the leader stops", func(r *storeRun) { r.strike.killLeader() }},
	{"the leader stops during a sweep", func(r *storeRun) { r.event(Deleting); r.strike.killLeader() }},
	{"the leader stops between acknowledgement and completion", func(r *storeRun) { r.event(Acknowledged); r.strike.killLeader() }},
	{"sessions break", func(r *storeRun) { r.cluster.breakSessionsOf(r.any(Event{})) }},
	{"a checkpoint expires", func(r *storeRun) { r.strike.expireCheckpoint() }},
}

// stop ends a node's process, and starts another one on its disk in a while.
func (r *storeRun) stop(id checkpoint.NodeID) {
	r.t.Helper()
	back := r.strike.between(50*time.Millisecond, 2500*time.Millisecond)
	if !r.cluster.killNode(id) {
		return // it has stopped already
	}
	r.timeline.note("%s: %s, back in %s", NodeKill, id, back)
	r.strike.later(back, func() {
		if err := r.cluster.startNode(id); err != nil {
			panic(err) // a mistake in this package
		}
	})
}
