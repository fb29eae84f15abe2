package coordinator

import (
	"context"
	"testing"
	"testing/synctest"

	"cairn/api"
	"cairn/checkpoint"
)

// U6: a leader that was deposed is a follower like any other. It can lead again, and again: nothing of an earlier
// leadership stands in the way of a later one.
func TestU6_DeposedLeaderLeadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		status := c.awaitStatus("a checkpoint", completedAtLeast(1))
		first := status.Leader.ID
		for round := range 3 {
			for _, target := range []string{"", first} {
				leader, err := c.coordinators[checkpoint.NodeID(status.Leader.ID)].Service().TransferLeadership(context.Background(), target)
				if err != nil || target == first && leader.ID != first {
					t.Fatalf("round %d: new leader %+v, %v", round, leader, err)
				}
				status = c.awaitStatus("checkpoints under the new leader", func(s api.Status) bool {
					return s.Leader.ID == leader.ID && completedAtLeast(status.Jobs[0].Checkpoints.Completed+2)(s)
				})
				if job := status.Jobs[0]; job.Attempt != 1 || job.Checkpoints.Failed != 0 {
					t.Fatalf("round %d: %+v", round, job)
				}
			}
		}
	})
}
