package localcluster

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"cairn/api"
)

// LeaderKill is what was seen around the death of a leader.
type LeaderKill struct {
	Before, After api.Leader
	Paused        string         // the node that was held still to keep the checkpoint in flight
	Checkpoint    api.Checkpoint // that was in flight, with its outcome
	Job           api.JobDetail  // afterwards
	// Failover is the time from the kill to the completion of the checkpoint.
	Failover time.Duration
}

const (
	leaderLimit     = 30 * time.Second
	checkpointLimit = 30 * time.Second
	// oldEnough is the age in milliseconds at which a checkpoint has surely been triggered everywhere.
	oldEnough = 100
)

// KillLeader kills the leader with -9 while a checkpoint of the job is surely in flight: it holds one of the
// job's nodes still, so that a checkpoint that has begun cannot complete, until the leader is dead. It returns
// an error unless that very checkpoint completes under a new leader, in the same attempt.
func (c *Cluster) KillLeader(ctx context.Context, job string) (LeaderKill, error) {
	var k LeaderKill
	jobBefore, err := c.Job(ctx, job)
	if err != nil {
		return k, err
	}
	k.Paused = jobBefore.Subtasks[0].Node
	killed, err := c.killInFlight(ctx, job, &k)
	if err != nil {
		return k, err
	}
	after, err := Await(ctx, "a new leader", leaderLimit, c.Status, func(s api.Status) bool {
		return s.Leader.ID != "" && s.Leader.ID != k.Before.ID
	})
	if err != nil {
		return k, err
	}
	k.After = after.Leader
	if err := c.awaitOutcome(ctx, job, &k); err != nil {
		return k, err
	}
	k.Failover = time.UnixMilli(k.Checkpoint.TriggerTimestamp + k.Checkpoint.EndToEndDurationMillis).Sub(killed)
	if k.Job, err = c.Job(ctx, job); err != nil {
		return k, err
	}
	if k.Job.Attempt != jobBefore.Attempt || k.Job.Restarts != jobBefore.Restarts {
		return k, fmt.Errorf("the attempt was to stay %d, but it is %d after %d restarts: %s",
			jobBefore.Attempt, k.Job.Attempt, k.Job.Restarts, k.Job.Reason)
	}
	return k, nil
}

// killInFlight pauses the node, waits for a checkpoint that cannot complete without it, and kills the leader.
func (c *Cluster) killInFlight(ctx context.Context, job string, k *LeaderKill) (killed time.Time, err error) {
	paused := c.Find(k.Paused)
	if err := paused.Signal(syscall.SIGSTOP); err != nil {
		return killed, err
	}
	defer func() {
		if resumeErr := paused.Signal(syscall.SIGCONT); err == nil {
			err = resumeErr
		}
	}()
	ask := func(ctx context.Context) ([]api.Checkpoint, error) { return c.Checkpoints(ctx, job) }
	list, err := Await(ctx, "a checkpoint in flight", checkpointLimit, ask, func(list []api.Checkpoint) bool {
		return len(list) > 0 && list[0].Status == "in_progress" && list[0].EndToEndDurationMillis > oldEnough
	})
	if err != nil {
		return killed, err
	}
	k.Checkpoint = list[0]
	status, err := c.Status(ctx)
	if err != nil {
		return killed, err
	}
	if k.Before = status.Leader; k.Before.Term != k.Checkpoint.BeganTerm {
		return killed, fmt.Errorf("checkpoint %d began in term %d, but %s leads in term %d by now: the machine is too busy to keep a leader",
			k.Checkpoint.ID, k.Checkpoint.BeganTerm, k.Before.ID, k.Before.Term)
	}
	killed = time.Now()
	return killed, c.Find(k.Before.ID).Kill()
}

func (c *Cluster) awaitOutcome(ctx context.Context, job string, k *LeaderKill) error {
	ask := func(ctx context.Context) ([]api.Checkpoint, error) { return c.Checkpoints(ctx, job) }
	list, err := Await(ctx, "the outcome of the checkpoint in flight", checkpointLimit, ask, func(list []api.Checkpoint) bool {
		found, ok := CheckpointByID(list, k.Checkpoint.ID)
		return ok && found.Status != "in_progress"
	})
	if err != nil {
		return err
	}
	k.Checkpoint, _ = CheckpointByID(list, k.Checkpoint.ID)
	if ck := k.Checkpoint; ck.Status != "completed" || ck.BeganTerm != k.Before.Term || ck.EndedTerm <= k.Before.Term {
		return fmt.Errorf("checkpoint %d, begun in term %d, was to complete in a later term, but: %+v", ck.ID, k.Before.Term, ck)
	}
	return nil
}
