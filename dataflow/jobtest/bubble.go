// Package jobtest runs a job in the process of its test: on a few task nodes, with a leader that takes checkpoints, and
// with whatever faults the test thinks of. Time is virtual, so that what a test asserts depends on no speed.
//
// The simplest test runs a job to its end and compares what it has written:
//
//	jobtest.Run(t, Program(), map[string]string{"input": in, "output": out}, nil)
//	got := jobtest.Output(t, out)
package jobtest

import (
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// Run runs the program on three nodes, in a bubble in which time passes only when everything waits, until it has
// finished. A job lasts for many checkpoints of that time if its source has a rate. The test steps in once the job has
// been deployed; it is nil when it has nothing to do. No subtask may have failed at the end, but in attempts before the
// last. Files that the job uses come from outside of the bubble: test gets a t of its own.
func Run(t *testing.T, program dataflow.Program, params map[string]string, test func(*testing.T, *Cluster, *Leader)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := NewCluster(t, program, "n1", "n2", "n3")
		defer c.Close()
		l := NewLeader(t, c, params)
		l.Plan()
		l.Deploy()
		if test != nil {
			test(t, c, l)
		}
		l.Until("the job has finished", l.Finished)
		if len(l.Failures) != 0 {
			t.Errorf("subtasks failed: %q", l.Failures)
		}
		t.Logf("%d checkpoints, %d attempts, %d terms", l.LastID, l.Attempt, l.Term)
	})
}

// Build builds the program's graph with the given parameters, and returns what a node would report.
func Build(program dataflow.Program, params map[string]string) error {
	_, err := dataflow.NewRegistry(program).Build(program.Name, params, checkpoint.Overrides{})
	return err
}
