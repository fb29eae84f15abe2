package executor

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// progressOf renders the progress among messages, and fails on anything else.
func progressOf(t *testing.T, messages []checkpoint.FromNode) string {
	t.Helper()
	var told []string
	for _, m := range messages {
		p, ok := m.(checkpoint.Progress)
		if !ok {
			t.Fatalf("told %+v", m)
		}
		if p.Job != job1 || p.Attempt != 1 {
			t.Errorf("progress of job %s, attempt %d", p.Job, p.Attempt)
		}
		for _, s := range p.Subtasks {
			told = append(told, fmt.Sprintf("%d %s %s", p.Checkpoint, s.Subtask, s.Phase))
		}
	}
	return strings.Join(told, ", ")
}

func TestProgressOfSlowCheckpoints(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		leader.take()
		told := func(want string) {
			t.Helper()
			if got := progressOf(t, leader.take()); got != want {
				t.Errorf("told %q, want %q", got, want)
			}
		}
		b := barrier(5, checkpoint.KindCheckpoint)
		c.Receive(leader, trigger(1, 1, 5, read0))
		read.enter(b, checkpoint.PhaseAlignment)
		read.enter(b, checkpoint.PhaseSync)
		time.Sleep(progressAfter - time.Millisecond)
		told("") // most checkpoints are over by now
		time.Sleep(time.Millisecond)
		told("5 read[0] sync")
		time.Sleep(time.Hour)
		told("") // nothing has changed

		read.enter(b, checkpoint.PhaseAsync)
		told("5 read[0] async")
		read.enter(b, checkpoint.PhaseUpload)
		write.enter(b, checkpoint.PhaseAlignment)
		time.Sleep(progressPause - time.Millisecond)
		told("")
		time.Sleep(time.Millisecond)
		told("5 read[0] upload, 5 write[0] alignment")

		read.ack(5)
		leader.take()
		c.Receive(leader, trigger(1, 1, 5, read0)) // crossed with the ack
		time.Sleep(time.Minute)
		told("")
		c.SessionClosed(leader)
		write.enter(b, checkpoint.PhaseSync) // nobody leads
		leader, _ = c.lead(2, "c2")
		told("5 write[0] sync")

		c.Receive(leader, checkpoint.NotifyAborted{Term: 2, Job: job1, Attempt: 1, Checkpoint: 5})
		write.enter(b, checkpoint.PhaseAsync)
		time.Sleep(time.Minute)
		told("")
		leader, _ = c.lead(3, "c3")
		told("")
	})
}

// What a new leader hears after its report is all of it, once, and not before the checkpoint is old.
func TestProgressIsToldAgainInFull(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		read.enter(barrier(5, checkpoint.KindSavepoint), checkpoint.PhaseUpload)
		time.Sleep(time.Minute)
		write.enter(barrier(6, checkpoint.KindCheckpoint), checkpoint.PhaseAlignment)
		leader, _ = c.lead(2, "c2")
		if got := progressOf(t, leader.take()); got != "5 read[0] upload" {
			t.Errorf("told %q at once", got)
		}
		time.Sleep(progressAfter)
		if got := progressOf(t, leader.take()); got != "6 write[0] alignment" {
			t.Errorf("told %q later", got)
		}
		// The completion of the checkpoint does not end the savepoint.
		c.Receive(leader, checkpoint.NotifyComplete{Term: 2, Job: job1, Attempt: 1, Checkpoint: 6, Kind: checkpoint.KindCheckpoint})
		leader, _ = c.lead(3, "c3")
		if got := progressOf(t, leader.take()); got != "5 read[0] upload" {
			t.Errorf("told %q after the completion", got)
		}
		c.Receive(leader, deployment(3, 2))
		synctest.Wait()
		leader, _ = c.lead(4, "c4")
		if got := leader.take(); len(got) != 0 {
			t.Errorf("told %+v of an attempt that is over", got)
		}
	})
}
