package executor

import (
	"reflect"
	"strings"
	"testing"

	"cairn/checkpoint"
)

func TestPlan(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		plan := func(program string) checkpoint.JobPlanned {
			t.Helper()
			c.Receive(leader, checkpoint.PlanJob{Term: 1, Request: 9, Program: program})
			got := leader.take()
			if len(got) != 1 {
				t.Fatalf("%s: answered with %+v", program, got)
			}
			return got[0].(checkpoint.JobPlanned)
		}
		if p := plan("pipe"); p.Request != 9 || p.Error != "" || !reflect.DeepEqual(p.Topology, pipeTopology()) {
			t.Errorf("planned %+v", p)
		}
		for program, want := range map[string]string{"nosuch": "nosuch", "panics": "no such luck"} {
			if p := plan(program); p.Request != 9 || !strings.Contains(p.Error, want) || len(p.Topology.Vertices) != 0 {
				t.Errorf("planned %+v, want an error with %q", p, want)
			}
		}
	})
}

// A request number means nothing to a leader who has not asked.
func TestPlanIsNotToldToAnotherLeader(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		old, _ := c.lead(1, "c1")
		c.Receive(old, checkpoint.PlanJob{Term: 1, Request: 9, Program: "slow"})
		leader, _ := c.lead(2, "c2")
		close(c.slow)
		if got := append(old.take(), leader.take()...); len(got) != 0 {
			t.Errorf("answered with %+v", got)
		}
		c.Receive(leader, checkpoint.PlanJob{Term: 2, Request: 9, Program: "slow"})
		if got := leader.take(); len(got) != 1 {
			t.Errorf("the leader who asked was answered with %+v", got)
		}
	})
}

// Building takes as long as it takes; the leader is obeyed meanwhile.
func TestBuildingHoldsUpNothing(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		m := deployment(1, 1)
		m.Job, m.Program = checkpoint.JobID{2}, "slow"
		c.Receive(leader, m)
		c.Receive(leader, checkpoint.PlanJob{Term: 1, Program: "slow"})
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0)
		close(c.slow)
	})
}

func TestCompareTopologies(t *testing.T) {
	if err := compareTopologies(pipeTopology(), pipeTopology()); err != nil {
		t.Errorf("equal: %v", err)
	}
	tests := map[string]func(*checkpoint.Topology){
		"vertices":          func(g *checkpoint.Topology) { g.Vertices = g.Vertices[:1] },
		"copy in its place": func(g *checkpoint.Topology) { g.Vertices[0].ID = "copy" },
		"chains":            func(g *checkpoint.Topology) { g.Vertices[1].Operators = append(g.Vertices[1].Operators, "sink") },
		"parallelism 2, ":   func(g *checkpoint.Topology) { g.Vertices[1].Parallelism = 3 },
		"max parallelism":   func(g *checkpoint.Topology) { g.Vertices[1].MaxParallelism = 256 },
		"edges":             func(g *checkpoint.Topology) { g.Edges[0].Partitioning = checkpoint.Broadcast },
	}
	for want, change := range tests {
		got := pipeTopology()
		change(&got)
		if err := compareTopologies(pipeTopology(), got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	empty := pipeTopology()
	empty.Vertices, empty.Edges = empty.Vertices[:1], nil
	decoded := empty
	decoded.Edges = []checkpoint.Edge{}
	if err := compareTopologies(empty, decoded); err != nil {
		t.Errorf("no edges and an empty list of them: %v", err)
	}
}
