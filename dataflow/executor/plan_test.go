package executor

import (
	"reflect"
	"slices"
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
		if p := plan("pipe"); p.Request != 9 || p.Error != "" || !reflect.DeepEqual(p.Topology, pipeTopology()) ||
			p.Fingerprint == "" || len(p.Operators) != 2 {
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

// A deployment is the last to notice that a build differs: by then the leader should have asked.
func TestDeploymentOfAnotherGraphFails(t *testing.T) {
	tests := map[string]func(*checkpoint.Deploy){
		"has parallelism 2 for operator write, the job has 3": func(m *checkpoint.Deploy) {
			m.Topology.Vertices = slices.Clone(m.Topology.Vertices)
			m.Topology.Vertices[1].Parallelism = 3
		},
		"the job was submitted with 2-0123": func(m *checkpoint.Deploy) { m.Fingerprint = "2-0123" },
	}
	for want, change := range tests {
		m := deployment(1, 1)
		change(&m)
		graph, err := testRegistry(nil).Build("pipe", nil, checkpoint.Overrides{})
		if err != nil {
			t.Fatal(err)
		}
		if err := compareGraphs(m, graph); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
		m = deployment(1, 1)
		m.Fingerprint = graph.Fingerprint()
		if err := compareGraphs(m, graph); err != nil {
			t.Errorf("its own graph: %v", err)
		}
	}
}
