package coordinator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func only(operator string, n int) api.Parallelism {
	return api.Parallelism{Operators: map[string]int{operator: n}}
}

// A client changes the parallelism of a running job, through whichever coordinator; what cannot be is said.
func TestRescaleJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		ctx := context.Background()
		for name, tc := range map[string]struct {
			to   api.Parallelism
			code api.Code
			want string
		}{
			"nothing":          {api.Parallelism{}, api.Invalid, "no parallelism is given"},
			"negative":         {api.Parallelism{All: -1}, api.Invalid, "parallelism -1: must be 1 to 32768"},
			"none":             {only("count", 0), api.Invalid, "operator count: parallelism 0, must be 1 to 32768"},
			"unknown operator": {only("sort", 1), api.NotFound, `job wc has no operator "sort"; it has count, read, write`},
			"over the maximum": {only("count", 129), api.Invalid, "operator count: parallelism 129, must be 1 to its max parallelism 128, which never changes"},
			"too few slots":    {only("count", 3), api.Conflict, "job wc needs 3 slots, but the nodes have 2 for it; the job goes on as it was"},
		} {
			if _, err := s.RescaleJob(ctx, "wc", tc.to); api.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: code %d, %v; want code %d and %q", name, api.CodeOf(err), err, tc.code, tc.want)
			}
		}
		if _, err := s.RescaleJob(ctx, "other", only("count", 1)); api.CodeOf(err) != api.NotFound {
			t.Errorf("of a job that there is not: %v", err)
		}
		if j := c.job("wc"); j.Attempt != 1 || len(j.History) != 0 {
			t.Fatalf("attempt %d after %d checkpoints: what was refused has changed something", j.Attempt, len(j.History))
		}

		same, err := s.RescaleJob(ctx, "wc", only("count", 2))
		if err != nil || same.Checkpoint != 0 || same.Job.Attempt != 1 {
			t.Errorf("to the parallelism that it has: %+v, %v", same, err)
		}
		through := c.follower().Service()
		r, err := through.RescaleJob(ctx, "wc", only("count", 1))
		if err != nil || r.Checkpoint != 1 || r.Job.Vertices[1].Parallelism != 1 || r.Job.Parallelism["count"] != 1 {
			t.Fatalf("%+v, %v", r, err)
		}
		c.awaitRunning("wc")
		d, err := through.ShowJob(ctx, "wc")
		if err != nil || d.Attempt != 2 || d.RestoredFrom != 1 || d.Restarts != 0 || len(d.Subtasks) != 4 {
			t.Errorf("%+v, %v", d, err)
		}
		if detail, err := through.ShowCheckpoint(ctx, "wc", 1); err != nil || len(detail.Subtasks) != 5 {
			t.Errorf("the checkpoint of attempt 1, with its graph: %d subtasks, %v; %s", len(detail.Subtasks), err, detail.DetailMissing)
		}
	})
}

// The parallelism may be chosen at submission, too.
func TestSubmitWithAnotherParallelism(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		s := c.leader("").Service()
		submitManual(t, s, api.SubmitJobRequest{Name: "wc", Parallelism: api.Parallelism{All: 2, Operators: map[string]int{"read": 1}}})
		c.awaitRunning("wc")
		d, err := s.ShowJob(context.Background(), "wc")
		if err != nil || len(d.Subtasks) != 5 || d.Parallelism["read"] != 1 || d.Parallelism["count"] != 2 || d.Parallelism["write"] != 2 {
			t.Errorf("%+v, %v", d, err)
		}
		bad := api.SubmitJobRequest{Program: "test", Name: "other", Parallelism: only("count", -3)}
		if _, err := s.SubmitJob(context.Background(), bad); api.CodeOf(err) != api.Invalid {
			t.Errorf("a negative parallelism: %v", err)
		}
	})
}

// A client whose leader is lost hears whether anything can have been changed.
func TestRescalingWhoseLeaderIsLost(t *testing.T) {
	manual := testConfig()
	manual.Interval = 0
	for name, tc := range map[string]struct {
		prepare func(*oneNode)
		want    string
		changed bool
	}{
		"before its checkpoint": {func(o *oneNode) { o.log.lose = true }, "the job goes on as it was", false},
		"with the entry lost":   {func(o *oneNode) { o.log.loseRescale = true }, "whether it took effect is unknown", false},
		"with the entry there":  {func(o *oneNode) { o.log.loseRescale, o.log.apply = true, true }, "whether it took effect is unknown", true},
	} {
		t.Run(name, func(t *testing.T) {
			withOneNode(t, manual, func(t *testing.T, o *oneNode) {
				l, stop := o.leading(1)
				tc.prepare(o)
				_, err := rescaleHere(t.Context(), l, "job", only("count", 5))
				if api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("the client was told: %v", err)
				}
				stop()
				o.log.lose, o.log.loseRescale = false, false
				_, stop = o.leading(2)
				time.Sleep(3 * time.Second) // virtual time: until it has settled what the first one left
				stop()
				j := o.job()
				if count := j.Topology.Vertices[1].Parallelism; (count == 5) != tc.changed || j.Status != fsm.JobRunning || j.Next != nil {
					t.Errorf("the job is %s with %d counters", j.Status, count)
				}
			})
		})
	}
}

// A client that goes away takes its request with it.
func TestRescalingWhoseClientLeaves(t *testing.T) {
	manual := testConfig()
	manual.Interval = 0
	withOneNode(t, manual, func(t *testing.T, o *oneNode) {
		o.store.put = func(ctx context.Context, _ []byte) error { // the checkpoint takes its time
			select {
			case <-time.After(2 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l, stop := o.leading(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := rescaleHere(ctx, l, "job", only("count", 5)); api.CodeOf(err) != api.Unavailable {
			t.Errorf("told: %v", err)
		}
		time.Sleep(3 * time.Second) // virtual time: the checkpoint completes
		stop()
		if j := o.job(); j.Attempt != 1 || len(j.Completed) != 1 {
			t.Errorf("attempt %d with %d checkpoints", j.Attempt, len(j.Completed))
		}
	})
}

// Nodes are drained and put back by name. The set is replicated: every coordinator lists it, and another leader too.
func TestDrainNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		ctx := context.Background()
		if _, err := s.DrainNode(ctx, "n7"); api.CodeOf(err) != api.NotFound || !strings.Contains(err.Error(), "known are n1, n2") {
			t.Errorf("a node that there is not: %v", err)
		}
		n, err := s.DrainNode(ctx, "n2")
		if err != nil || n.Status != statusDraining || !n.Drained || n.Subtasks != 2 || len(n.Leaving) != 1 {
			t.Fatalf("%+v, %v", n, err)
		}
		follower := c.follower().Service()
		c.awaitStatus("a follower to know it", func(api.Status) bool {
			stale, err := follower.ListNodes(api.WithStale(ctx))
			return err == nil && len(stale) == 1 && stale[0].ID == "n2" && stale[0].Drained
		})
		if got := c.job("wc"); got.Attempt != 1 {
			t.Errorf("attempt %d: the job was stopped without a place to go", got.Attempt)
		}

		c.crash(c.leader("").cfg.ID)
		next := c.leader("").Service()
		c.fabric.nodes = append(c.fabric.nodes, c.startNode("n3"))
		c.awaitStatus("the job to have left", func(api.Status) bool {
			nodes, err := next.ListNodes(ctx)
			return err == nil && len(nodes) == 3 && nodes[1].Status == statusDrained && nodes[2].Subtasks > 0
		})
		if j := c.job("wc"); j.Attempt != 2 || j.RestoredFrom == 0 || j.Restart.Count != 0 {
			t.Errorf("attempt %d from checkpoint %d after %d failures", j.Attempt, j.RestoredFrom, j.Restart.Count)
		}
		n, err = next.UndrainNode(ctx, "n2")
		if err != nil || n.Status != statusReady || n.Drained {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

// A deployment names the overrides of the shape that it is for.
func TestOverridesTravelWithTheDeployment(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 9, 1)
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "job", Program: "test", Topology: scaledTopology(4), Config: testConfig(), At: w.at(),
		Parallelism: map[checkpoint.OperatorID]int{"count": 4},
	})
	w.run()
	for _, m := range sentTo[checkpoint.Deploy](w)["n1"] {
		if got := fmt.Sprint(m.Overrides); got != "{0 map[count:4] map[count:128 read:128 write:128]}" {
			t.Errorf("overrides %s", got)
		}
	}
	if asked := w.asked; len(asked) != 1 || asked[0].Overrides.Parallelism["count"] != 4 {
		t.Errorf("asked %+v", asked)
	}
}
