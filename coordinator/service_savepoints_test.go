package coordinator

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func TestSavepointsThroughAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, leader := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		for id, coord := range c.coordinators {
			if id == c.leader("").cfg.ID {
				continue
			}
			s := coord.Service()
			taken := c.savepoint(s, "wc", api.StopNone)
			list, err := s.ListSavepoints(ctx, "wc")
			if err != nil || len(list) != 1 || list[0].ID != taken.ID || list[0].Manifest == "" || list[0].Manifest != taken.Manifest || list[0].NumSubtasks != 5 {
				t.Errorf("taken %+v, listed %+v, %v", taken, list, err)
			}
			// It is none of the checkpoints that newer ones subsume, and the log does not hold it.
			for range 4 {
				if _, err := s.TriggerCheckpoint(ctx, "wc"); err != nil {
					t.Fatal(err)
				}
			}
			if d, err := s.ShowCheckpoint(ctx, "wc", taken.ID); err != nil || !d.Retained || d.Kind != "savepoint" {
				t.Errorf("%+v, %v", d.Checkpoint, err)
			}
			if err := s.DisposeSavepoint(ctx, "wc", taken.ID); err != nil {
				t.Error(err)
			}
			if list, err := leader.ListSavepoints(ctx, ""); err != nil || len(list) != 0 {
				t.Errorf("disposed of, and still there: %+v, %v", list, err)
			}
		}
	})
}

func TestStopWithASavepoint(t *testing.T) {
	for _, stop := range []api.Stop{api.StopSuspend, api.StopDrain} {
		synctest.Test(t, func(t *testing.T) {
			c, s := idleCluster(t)
			defer c.stop()
			taken := c.savepoint(s, "wc", stop)
			// The answer comes when the job has ended, not before.
			if job, err := s.ShowJob(context.Background(), "wc"); err != nil || job.State != "FINISHED" || taken.Stop != string(stop) {
				t.Errorf("the job is %s, the savepoint %+v, %v", job.State, taken, err)
			}
			_, err := s.TriggerSavepoint(context.Background(), "wc", stop)
			if api.CodeOf(err) != api.Conflict || !strings.Contains(err.Error(), "job wc is FINISHED") {
				t.Errorf("stopped twice: %v", err)
			}
			if _, err := s.SetJob(context.Background(), "wc", map[string]string{"checkpointing.retain": "2"}); api.CodeOf(err) != api.Conflict ||
				!strings.Contains(err.Error(), "job wc is FINISHED: its configuration does not change any more") {
				t.Errorf("configured after its end: %v", err)
			}
		})
	}
}

// A job that is cancelled behind the savepoint that it was to end with has not stopped as it was told.
func TestStopThatEndsOtherwise(t *testing.T) {
	for _, tc := range []struct {
		job  fsm.Job
		want string
	}{
		{fsm.Job{Status: fsm.JobFinished}, ""},
		{fsm.Job{Name: "wc", Status: fsm.JobCanceled}, "savepoint 7 completed, but job wc is CANCELED"},
		{fsm.Job{Name: "wc", Status: fsm.JobFailed, Failure: "disk full"}, "savepoint 7 completed, but job wc is FAILED: disk full"},
	} {
		err := endedWith(&tc.job, 7)
		if (err == nil) != (tc.want == "") || err != nil && (err.Error() != tc.want || api.CodeOf(err) != api.Conflict) {
			t.Errorf("%s: %v, want %q", tc.job.Status, err, tc.want)
		}
	}
}

// C19 as the client sees it: the savepoint with which the job was to stop fails, and the answer says why.
func TestC19_StopWithASavepointThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		c.fabric.setHold("n2", true)
		answer := make(chan error, 1)
		go func() {
			_, err := s.TriggerSavepoint(context.Background(), "wc", api.StopSuspend)
			answer <- err
		}()
		c.awaitStatus("the savepoint to begin", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 1 })
		n2 := c.fabric.nodes[1]
		n2.mu.Lock()
		n2.leader.out <- checkpoint.Decline{
			Job: n2.deployed.Job, Attempt: 1, Checkpoint: 1, Subtask: n2.statusLocked()[0].Subtask, Reason: checkpoint.ReasonAsyncException,
			Phase: checkpoint.PhaseUpload, Message: "disk full",
		}
		n2.mu.Unlock()
		err := <-answer
		if api.CodeOf(err) != api.Conflict || !strings.HasPrefix(err.Error(), "job wc was not stopped: savepoint 1 failed: checkpoint_async_exception: ") {
			t.Fatalf("got %v", err)
		}
		for _, part := range []string{n2.statusLocked()[0].Subtask.String(), "node n2", "upload", "disk full"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is missing in: %v", part, err)
			}
		}
	})
}

// C19's neighbour: a task fails behind the savepoint. The job goes on from there, and whoever wanted it stopped is told at
// once.
func TestC19_TaskThatFailsBehindTheSavepoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		n2 := c.fabric.nodes[1]
		n2.mu.Lock()
		n2.failStop = true
		n2.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := s.TriggerSavepoint(ctx, "wc", api.StopSuspend)
		if api.CodeOf(err) != api.Conflict || !strings.HasPrefix(err.Error(), "savepoint 1 completed, but job wc failed while it was stopping, and goes on from it: ") ||
			!strings.Contains(err.Error(), "commit refused") {
			t.Fatalf("got %v", err)
		}
		c.awaitRunning("wc")
		if d, err := s.ShowJob(ctx, "wc"); err != nil || d.Attempt != 2 || d.RestoredFrom != 1 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestSavepointIsWaitedForNoLongerThanTheClientDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		c.fabric.setHold("n2", true)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.TriggerSavepoint(ctx, "wc", api.StopNone)
		if api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), "the savepoint had no outcome in time") || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// A savepoint that has begun is finished by the next leader, and whoever asked the old one for it hears of it.
func TestSavepointOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.awaitRunning("wc")
		c.fabric.setHold("n2", true)
		old := c.leader("")
		type answer struct {
			savepoint api.Savepoint
			err       error
		}
		answers := make(chan answer, 1)
		go func() {
			savepoint, err := s.TriggerSavepoint(context.Background(), "wc", api.StopNone)
			answers <- answer{savepoint, err}
		}()
		c.awaitStatus("the savepoint to begin", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 1 })
		if _, err := s.TransferLeadership(context.Background(), ""); err != nil {
			t.Fatal(err)
		}
		c.leader(old.cfg.ID)
		if a := <-answers; a.err != nil || a.savepoint.ID != 1 || a.savepoint.Manifest == "" {
			t.Errorf("%+v, %v", a.savepoint, a.err)
		}
	})
}

// With --stale a coordinator answers from its own copy: also when it is alone, and then also says what it cannot know.
func TestStaleReadsOfAJobNeedNoLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		c.savepoint(s, "wc", api.StopNone)
		c.fabric.setHold("n2", true)
		go s.TriggerCheckpoint(context.Background(), "wc")
		c.awaitStatus("a pending checkpoint", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 1 })
		first := c.leader("")
		led, err := c.follower().Service().Status(api.WithStale(context.Background()))
		if err != nil || !led.Stale || led.Leader.ID != string(first.cfg.ID) || led.Leader.Term == 0 {
			t.Errorf("a follower knows of the leader %+v, %v", led.Leader, err)
		}
		c.crash(first.cfg.ID)
		second := c.leader(first.cfg.ID)
		c.crash(second.cfg.ID)
		var last api.Service
		for _, coord := range c.coordinators {
			if !coord.dead {
				last = coord.Service()
			}
		}
		if _, err := last.ShowJob(context.Background(), "wc"); api.CodeOf(err) != api.Unavailable {
			t.Errorf("without a leader: %v", err)
		}
		ctx := api.WithStale(context.Background())
		status, err := last.Status(ctx)
		if err != nil || !status.Stale || status.Leader.ID != "" || len(status.Jobs) != 1 || status.Jobs[0].Checkpoints.Completed != 1 {
			t.Errorf("status %+v, %v", status, err)
		}
		job, err := last.ShowJob(ctx, "wc")
		if err != nil || job.State != "RUNNING" || job.Reason != "" || len(job.Subtasks) != 5 || job.Subtasks[0].Status != "UNKNOWN" {
			t.Errorf("job %+v, %v", job, err)
		}
		if jobs, err := last.ListJobs(ctx); err != nil || len(jobs) != 1 {
			t.Errorf("jobs %+v, %v", jobs, err)
		}
		list, err := last.ListCheckpoints(ctx, "wc")
		if err != nil || len(list) != 2 || list[0].Status != "in_progress" || list[1].Status != "completed" {
			t.Errorf("checkpoints %+v, %v", list, err)
		}
		if d, err := last.ShowCheckpoint(ctx, "wc", 1); err != nil || len(d.Subtasks) != 5 || d.Slowest == nil {
			t.Errorf("ended checkpoint %+v, %v", d, err)
		}
		if d, err := last.ShowCheckpoint(ctx, "wc", 2); err != nil || len(d.Subtasks) != 0 || !strings.Contains(d.DetailMissing, "the leader alone") {
			t.Errorf("pending checkpoint %+v, %v", d, err)
		}
		if savepoints, err := last.ListSavepoints(ctx, ""); err != nil || len(savepoints) != 1 {
			t.Errorf("savepoints %+v, %v", savepoints, err)
		}
		if statistics, err := last.CheckpointStatistics(ctx, "wc"); err != nil || statistics.Counts.Total != 2 {
			t.Errorf("statistics %+v, %v", statistics, err)
		}
	})
}

func TestSetJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		c.awaitRunning("wc")
		d, err := s.SetJob(ctx, "wc", map[string]string{"checkpointing.interval": "100ms", "checkpointing.retain": "1"})
		if err != nil || d.Config["checkpointing.interval"] != "100ms" || d.Config["checkpointing.retain"] != "1" || d.Config["checkpointing.mode"] != "exactly_once" {
			t.Fatalf("%+v, %v", d.Config, err)
		}
		// At once, without a restart.
		status := c.awaitStatus("checkpoints by themselves", completedAtLeast(3))
		if status.Jobs[0].Attempt != 1 {
			t.Errorf("the job is in attempt %d", status.Jobs[0].Attempt)
		}
		// What changes nothing is no entry of the log.
		if _, err := s.SetJob(ctx, "wc", map[string]string{"checkpointing.interval": "0"}); err != nil {
			t.Fatal(err)
		}
		c.awaitStatus("rest", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 0 })
		before := c.leader("").replica.machine.LastIndex()
		if _, err := s.SetJob(ctx, "wc", map[string]string{"checkpointing.interval": "0s"}); err != nil || c.leader("").replica.machine.LastIndex() != before {
			t.Errorf("%v; the log went from entry %d to %d", err, before, c.leader("").replica.machine.LastIndex())
		}
	})
}

// ShowJob answers as the client of a coordinator does that nobody answers for.
func (unreachable) ShowJob(context.Context, string) (api.JobDetail, error) {
	return api.JobDetail{}, api.Errorf(api.NotLeader, "connection refused")
}
