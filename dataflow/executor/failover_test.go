package executor

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

func trigger(term checkpoint.Term, attempt checkpoint.Attempt, id checkpoint.ID, subtasks ...checkpoint.SubtaskID) checkpoint.Trigger {
	return checkpoint.Trigger{Term: term, Job: job1, Attempt: attempt, Barrier: barrier(id, checkpoint.KindCheckpoint), Subtasks: subtasks}
}

func barrier(id checkpoint.ID, kind checkpoint.Kind) checkpoint.Barrier {
	return checkpoint.Barrier{ID: id, Kind: kind, Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned}
}

func acksIn(messages []checkpoint.FromNode) (acks []checkpoint.Ack) {
	for _, m := range messages {
		if batch, ok := m.(checkpoint.AckBatch); ok {
			acks = append(acks, batch.Acks...)
		}
	}
	return acks
}

func TestTriggersAndOutcomesReachTheTasks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 2))
		read, write := c.task(2, read0), c.task(2, write0)
		c.Receive(leader, trigger(1, 2, 5, read0))
		c.Receive(leader, checkpoint.NotifyComplete{Term: 1, Job: job1, Attempt: 2, Checkpoint: 5, Kind: checkpoint.KindCheckpoint})
		c.Receive(leader, checkpoint.NotifyAborted{Term: 1, Job: job1, Attempt: 2, Checkpoint: 6, LatestCompleted: 5})
		if got := read.takeHeard(); !reflect.DeepEqual(got, []string{"trigger 5", "complete 5", "aborted 6"}) {
			t.Errorf("read[0] heard %v", got)
		}
		if got := write.takeHeard(); !reflect.DeepEqual(got, []string{"complete 5", "aborted 6"}) {
			t.Errorf("write[0] heard %v", got)
		}
		for _, attempt := range []checkpoint.Attempt{1, 3} { // I6
			c.Receive(leader, trigger(1, attempt, 7, read0))
			c.Receive(leader, checkpoint.NotifyComplete{Term: 1, Job: job1, Attempt: attempt, Checkpoint: 7, Kind: checkpoint.KindCheckpoint})
			c.Receive(leader, checkpoint.NotifyAborted{Term: 1, Job: job1, Attempt: attempt, Checkpoint: 7})
		}
		if got := append(read.takeHeard(), write.takeHeard()...); len(got) != 0 {
			t.Errorf("messages of other attempts reached the tasks: %v", got)
		}
	})
}

// A savepoint settles its own answers and nobody else's. Tasks hear of it only when the job ends with it: else sinks
// would publish what a restart, which goes back to the log, publishes again.
func TestC18_CompletedSavepoints(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		read.ack(4)
		for id := checkpoint.ID(5); id <= 7; id++ {
			read.deps.OnAck(read.ackFor(id), checkpoint.KindSavepoint)
		}
		complete := func(id checkpoint.ID, kind checkpoint.Kind, stop checkpoint.Stop, wantHeard []string, want ...checkpoint.ID) {
			t.Helper()
			c.Receive(leader, checkpoint.NotifyComplete{Term: leader.term, Job: job1, Attempt: 1, Checkpoint: id, Kind: kind, Stop: stop})
			if heard := read.takeHeard(); !slices.Equal(heard, wantHeard) {
				t.Errorf("%s %d: read[0] heard %v, want %v", kind, id, heard, wantHeard)
			}
			var report checkpoint.Report
			leader, report = c.lead(leader.term+1, "c2")
			if got := ackIDs(report.Attempts[0].Acks); !slices.Equal(got, want) {
				t.Errorf("%s %d: the next leader is told the acks of %v, want %v", kind, id, got, want)
			}
		}
		complete(6, checkpoint.KindSavepoint, checkpoint.StopNone, nil, 4, 5, 7)
		complete(8, checkpoint.KindCheckpoint, checkpoint.StopNone, []string{"complete 8"}, 5, 7)
		complete(7, checkpoint.KindSavepoint, checkpoint.StopSuspend, []string{"complete 7"}, 5)
	})
}

func TestTriggerBeforeTheTaskIsThere(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		slow := deployment(1, 1)
		slow.Program = "slow"
		c.Receive(leader, slow)
		c.Receive(leader, trigger(1, 1, 5, read0))
		got := leader.take()
		if len(got) != 1 {
			t.Fatalf("told %+v, want a decline", got)
		}
		if d := got[0].(checkpoint.Decline); d.Reason != checkpoint.ReasonTaskNotReady || d.Phase != 0 {
			t.Errorf("declined with %+v", d)
		}
		close(c.slow)
	})
}

func TestTriggerThatCannotBeObeyedIsDeclined(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0).status(checkpoint.SubtaskFinished)
		elsewhere := checkpoint.SubtaskID{Vertex: "read", Index: 1}
		leader.take()
		c.Receive(leader, trigger(1, 1, 5, read0, elsewhere))
		c.Receive(leader, trigger(1, 1, 5, read0, elsewhere)) // re-sent
		reasons := make(map[checkpoint.SubtaskID]checkpoint.Reason)
		got := leader.take()
		for _, m := range got {
			d := m.(checkpoint.Decline)
			if d.Job != job1 || d.Attempt != 1 || d.Checkpoint != 5 || d.Message == "" {
				t.Errorf("declined with %+v", d)
			}
			reasons[d.Subtask] = d.Reason
		}
		if len(got) != 2 || reasons[read0] != checkpoint.ReasonTaskClosing || reasons[elsewhere] != checkpoint.ReasonDeclined {
			t.Errorf("declined %d times, %v", len(got), reasons)
		}
	})
}

// Nobody tells the executor that the session has ended but the failed sending itself.
func TestBrokenSessionCountsAsClosed(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		leader.take()
		leader.broken = true
		read.ack(4)
		synctest.Wait()
		time.Sleep(c.cfg.OrphanTimeout)
		synctest.Wait()
		_, report := c.lead(2, "c2")
		if got := report.Attempts[0].Subtasks[0].Status; got != checkpoint.SubtaskFailed {
			t.Errorf("read[0] is %s, want it stopped for want of a leader", got)
		}
	})
}

// The heart of adoption: what one leader was told of checkpoints in flight, the next is told too.
func TestAnswersAreToldAgainToTheNextLeader(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		leader.take()
		for _, id := range []checkpoint.ID{4, 5, 6} {
			read.ack(id)
		}
		read.ack(6) // I6
		write.decline(6)
		if acks := acksIn(leader.take()); len(acks) != 3 {
			t.Errorf("the leader was told %d acks, want 3", len(acks))
		}
		c.Receive(leader, checkpoint.NotifyComplete{Term: 1, Job: job1, Attempt: 1, Checkpoint: 4, Kind: checkpoint.KindCheckpoint})
		c.SessionClosed(leader)
		write.ack(5) // nobody leads

		leader, report := c.lead(2, "c2")
		if acks := report.Attempts[0].Acks; len(acks) != 3 || acks[0].Checkpoint != 5 || acks[1].Checkpoint != 5 || acks[2].Checkpoint != 6 {
			t.Errorf("the next leader's report has the acks %+v, want 5 of both and 6 of read[0]", acks)
		}
		got := leader.take()
		if len(got) != 1 {
			t.Fatalf("after the report the next leader was told %+v, want the decline", got)
		}
		if d, ok := got[0].(checkpoint.Decline); !ok || d.Checkpoint != 6 {
			t.Errorf("the next leader was told %+v, want the decline of 6", got[0])
		}

		c.Receive(leader, checkpoint.NotifyAborted{Term: 2, Job: job1, Attempt: 1, Checkpoint: 6, LatestCompleted: 5})
		leader, report = c.lead(2, "c2")
		if acks := report.Attempts[0].Acks; len(acks)+len(leader.take()) != 2 {
			t.Errorf("the abort of 6 left the acks %+v, want the two of 5", acks)
		}
		c.Receive(leader, checkpoint.NotifyComplete{Term: 2, Job: job1, Attempt: 1, Checkpoint: 5, Kind: checkpoint.KindCheckpoint})
		leader, report = c.lead(3, "c3")
		if got := leader.take(); len(report.Attempts[0].Acks)+len(got) != 0 {
			t.Errorf("settled answers are still told: %+v, %+v", report.Attempts[0].Acks, got)
		}
	})
}

// A Leading on a session that is open already is answered again: the leader has forgotten what it knew.
func TestLeadingAgainIsAnsweredAgain(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, checkpoint.Leading{Term: 1, Leader: "c1"})
		if got := leader.take(); len(got) != 1 {
			t.Errorf("answered with %+v, want one report", got)
		}
	})
}

func TestNothingIsLostWithABrokenSession(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		leader.take()
		leader.broken = true
		read.ack(4)
		read.status(checkpoint.SubtaskFinishing)
		if got := leader.take(); len(got) != 0 {
			t.Fatalf("a broken session delivered %+v", got)
		}
		_, report := c.lead(1, "c1")
		if a := report.Attempts[0]; len(a.Acks) != 1 || a.Subtasks[0].Status != checkpoint.SubtaskFinishing {
			t.Errorf("the next report is %+v", a)
		}
	})
}

func TestOrphanedTasksAreStopped(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, write0).status(checkpoint.SubtaskFinished)
		c.SessionClosed(leader)
		time.Sleep(c.cfg.OrphanTimeout - time.Nanosecond)
		synctest.Wait()
		if err := c.Executor.mu.jobs[job1].current.ctx.Err(); err != nil {
			t.Fatal("tasks were stopped before the orphan timeout")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		_, report := c.lead(2, "c2")
		subtasks := report.Attempts[0].Subtasks
		if subtasks[0].Status != checkpoint.SubtaskFailed || !strings.Contains(subtasks[0].Failure.Message, "no leader") {
			t.Errorf("the next leader is told %+v", subtasks[0])
		}
		if subtasks[1].Status != checkpoint.SubtaskFinished {
			t.Errorf("a finished subtask is reported as %+v", subtasks[1])
		}
	})
}

func TestAnyLeaderInTimeKeepsTheTasks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0)
		for term := checkpoint.Term(2); term < 5; term++ {
			c.SessionClosed(leader)
			time.Sleep(c.cfg.OrphanTimeout - time.Second)
			leader, _ = c.lead(term, "c2")
			c.SessionClosed(&fakeSession{}) // another coordinator's
			time.Sleep(2 * c.cfg.OrphanTimeout)
		}
		_, report := c.lead(9, "c3")
		if got := report.Attempts[0].Subtasks[0].Status; got != checkpoint.SubtaskRunning {
			t.Errorf("read[0] is %s although there was a leader", got)
		}
	})
}

// A deposed leader's open session is no leader's.
func TestDeposedLeaderDoesNotKeepTheTasks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		old, _ := c.lead(1, "c1")
		leader, _ := c.lead(2, "c2")
		c.Receive(leader, deployment(2, 1))
		c.task(1, read0)
		c.SessionClosed(leader)
		time.Sleep(c.cfg.OrphanTimeout / 2)
		c.Receive(old, checkpoint.Leading{Term: 1, Leader: "c1"})
		time.Sleep(c.cfg.OrphanTimeout / 2)
		synctest.Wait()
		_, report := c.lead(3, "c3")
		if got := report.Attempts[0].Subtasks[0].Status; got != checkpoint.SubtaskFailed {
			t.Errorf("read[0] is %s, want it stopped", got)
		}
	})
}
