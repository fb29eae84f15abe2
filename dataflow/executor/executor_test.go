package executor

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

func TestDeployRunsThisNodesShare(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, report := c.lead(1, "c1")
		if len(report.Attempts) != 0 || report.Term != 1 {
			t.Errorf("an idle node reports %+v", report)
		}
		m := deployment(1, 1)
		m.Restore, m.AfterTasksFinish = 7, true
		m.States = []checkpoint.SubtaskState{{Subtask: read0, EndOfData: true}, {Subtask: write0}}
		c.Receive(leader, m)
		statuses := leader.takeStatuses()
		if len(statuses) != 2 || statuses[read0].Status != checkpoint.SubtaskRunning || statuses[write0].Status != checkpoint.SubtaskRunning {
			t.Fatalf("the leader was told %+v", statuses)
		}
		spec := c.task(1, read0).spec
		if spec.Job != job1 || spec.Attempt != 1 || spec.Restore != 7 || !spec.State.EndOfData || !spec.AfterTasksFinish || spec.Mode != checkpoint.ExactlyOnce {
			t.Errorf("the task was made as %+v", spec)
		}
	})
}

func TestDeployAgainChangesNothing(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 2))
		c.Receive(leader, deployment(1, 2))
		c.Receive(leader, deployment(1, 1))
		c.task(2, read0)
		if len(c.tasks) != 2 {
			t.Errorf("%d tasks were made, want those of attempt 2, once", len(c.tasks))
		}
	})
}

// I6: a deposed leader can neither start nor stop anything.
func TestStaleTermChangesNothing(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		old, _ := c.lead(1, "c1")
		leader, _ := c.lead(2, "c2")
		c.Receive(leader, deployment(2, 1))
		running := c.task(1, read0)
		old.take()
		for _, m := range []checkpoint.ToNode{
			deployment(1, 2),
			checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 1},
			checkpoint.Trigger{Term: 1, Job: job1, Attempt: 1, Barrier: barrier(5, checkpoint.KindCheckpoint), Subtasks: []checkpoint.SubtaskID{read0}},
			checkpoint.NotifyComplete{Term: 1, Job: job1, Attempt: 1, Checkpoint: 5},
			checkpoint.NotifyAborted{Term: 1, Job: job1, Attempt: 1, Checkpoint: 5},
			checkpoint.Leading{Term: 1, Leader: "c1"},
			checkpoint.PlanJob{Term: 1, Program: "pipe"},
		} {
			c.Receive(old, m)
			if heard := running.takeHeard(); len(heard) != 0 || len(c.tasks) != 2 {
				t.Errorf("%s reached the tasks: %v", m, heard)
			}
		}
		if got := old.take(); len(got) != 0 {
			t.Errorf("the deposed leader was answered: %+v", got)
		}
		running.status(checkpoint.SubtaskFinishing)
		if got := leader.takeStatuses(); got[read0].Status != checkpoint.SubtaskFinishing {
			t.Errorf("the leader was told %+v", got)
		}
	})
}

func TestNewAttemptWaitsForTheOldOneToEnd(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.made = func(f *fakeTask) { f.ignores = f.spec.Attempt == 1 && f.spec.Subtask == read0 }
		c.Receive(leader, deployment(1, 1))
		old := c.task(1, read0)
		c.Receive(leader, deployment(1, 2))
		c.Receive(leader, deployment(1, 3))
		leader.take()
		if len(c.tasks) != 2 {
			t.Fatalf("%d tasks were made while one of the old attempt was still running", len(c.tasks))
		}
		old.release()
		c.task(3, read0)
		if len(c.tasks) != 4 {
			t.Errorf("%d tasks were made, want none for attempt 2, which was overtaken", len(c.tasks))
		}
		_, report := c.lead(2, "c2")
		if len(report.Attempts) != 1 || report.Attempts[0].Attempt != 3 {
			t.Errorf("the node reports %+v, want attempt 3 alone", report.Attempts)
		}
	})
}

// I6: a task that has been replaced may still speak, as long as it takes to end; nobody listens.
func TestReplacedTaskIsNotHeard(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.made = func(f *fakeTask) { f.ignores = true }
		c.Receive(leader, deployment(1, 1))
		old := c.task(1, read0)
		c.Receive(leader, deployment(1, 2))
		leader.take()
		old.ack(4)
		old.decline(5)
		old.enter(barrier(6, checkpoint.KindCheckpoint), checkpoint.PhaseSync)
		time.Sleep(time.Minute) // virtual: long enough for the leader to be told of checkpoint 6
		old.status(checkpoint.SubtaskFailed)
		if got := leader.take(); len(got) != 0 {
			t.Errorf("the leader was told %+v", got)
		}
		_, report := c.lead(2, "c2")
		if a := report.Attempts[0]; a.Attempt != 2 || len(a.Acks) != 0 || a.Subtasks[0].Status != checkpoint.SubtaskInitializing {
			t.Errorf("the node reports %+v", report)
		}
	})
}

func TestCancelStopsReportsAndForgets(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 2))
		c.task(2, read0)
		leader.take()
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 1})
		if got := leader.take(); len(got) != 0 {
			t.Fatalf("cancelling an older attempt had an effect: %+v", got)
		}
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 2})
		if got := leader.takeStatuses(); got[read0].Status != checkpoint.SubtaskCanceled || got[write0].Status != checkpoint.SubtaskCanceled {
			t.Errorf("the leader was told %+v", got)
		}
		c.Receive(leader, deployment(1, 2))
		if _, report := c.lead(2, "c2"); len(report.Attempts) != 0 || len(c.tasks) != 2 {
			t.Errorf("the cancelled attempt came back: %+v, %d tasks", report, len(c.tasks))
		}
	})
}

func TestCancelBeforeDeploy(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 3})
		c.Receive(leader, deployment(1, 3))
		synctest.Wait()
		if len(c.tasks) != 0 {
			t.Error("a deployment that was cancelled before it came was carried out")
		}
		c.Receive(leader, deployment(1, 4))
		c.task(4, read0)
	})
}

func TestEndedAttemptIsReportedUntilCancelled(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		final := checkpoint.SubtaskState{Subtask: read0, EndOfData: true}
		read := c.task(1, read0)
		read.deps.OnStatus(checkpoint.SubtaskReport{Subtask: read0, Status: checkpoint.SubtaskFinished, Final: final})
		read.end <- nil
		c.task(1, write0).end <- errors.New("disk full")
		if got := leader.takeStatuses()[write0]; got.Status != checkpoint.SubtaskFailed || got.Failure.Message != "disk full" {
			t.Errorf("the leader was told %+v", got)
		}
		leader, report := c.lead(2, "c2")
		subtasks := report.Attempts[0].Subtasks
		if len(subtasks) != 2 || subtasks[0].Status != checkpoint.SubtaskFinished || !subtasks[0].Final.EndOfData ||
			subtasks[1].Status != checkpoint.SubtaskFailed || subtasks[1].Failure.Message != "disk full" {
			t.Errorf("the next leader is told %+v", subtasks)
		}
		c.Receive(leader, checkpoint.CancelAttempt{Term: 2, Job: job1, Attempt: 1})
		if _, report := c.lead(3, "c3"); len(report.Attempts) != 0 {
			t.Errorf("the cancelled attempt is still reported: %+v", report)
		}
	})
}

// A task must not leave without a word: the leader would wait for it for ever.
func TestTaskThatEndsSilentlyCountsAsFailed(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0).end <- nil
		if got := leader.takeStatuses()[read0]; got.Status != checkpoint.SubtaskFailed || got.Failure.Message == "" {
			t.Errorf("the leader was told %+v", got)
		}
	})
}

func TestDeploymentThatCannotBeSetUpFails(t *testing.T) {
	tests := []struct {
		name, want string
		spoil      func(*checkpoint.Deploy)
	}{
		{"unknown program", "nosuch", func(m *checkpoint.Deploy) { m.Program = "nosuch" }},
		{"program panics", "no such luck", func(m *checkpoint.Deploy) { m.Program = "panics" }},
		{"other shape", "the job has 256", func(m *checkpoint.Deploy) { m.Topology.Vertices[0].MaxParallelism = 256 }},
		{"state is missing", "no state", func(m *checkpoint.Deploy) {
			m.Restore, m.States = 7, []checkpoint.SubtaskState{{Subtask: read0}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				leader, _ := c.lead(1, "c1")
				m := deployment(1, 1)
				test.spoil(&m)
				c.Receive(leader, m)
				statuses := leader.takeStatuses()
				for _, s := range []checkpoint.SubtaskID{read0, write0} {
					got := statuses[s]
					if got.Status != checkpoint.SubtaskFailed || !got.Failure.Permanent || !strings.Contains(got.Failure.Message, test.want) {
						t.Errorf("%s: the leader was told %+v", s, got)
					}
				}
				if len(c.tasks) != 0 && test.name != "state is missing" {
					t.Errorf("%d tasks were made", len(c.tasks))
				}
			})
		})
	}
}

func TestDeployForAnotherProcessIsIgnored(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		m := deployment(1, 1)
		m.Assignment.Nodes = slices.Clone(m.Assignment.Nodes)
		m.Assignment.Nodes[0].Incarnation-- // the process that ran here before
		c.Receive(leader, m)
		if got := leader.take(); len(got) != 0 || len(c.tasks) != 0 {
			t.Errorf("the leader was told %+v, %d tasks were made", got, len(c.tasks))
		}
	})
}

func TestMalformedDeploymentIsIgnored(t *testing.T) {
	for name, spoil := range map[string]func(*checkpoint.Deploy){
		"no vertices":       func(m *checkpoint.Deploy) { m.Topology = checkpoint.Topology{} },
		"too many subtasks": func(m *checkpoint.Deploy) { m.Assignment.NodeOf = []int{0, 1, 0, 1, 0} },
		"too few subtasks":  func(m *checkpoint.Deploy) { m.Assignment.NodeOf = []int{0} },
		"unknown node":      func(m *checkpoint.Deploy) { m.Assignment.NodeOf = []int{0, 1, 0, 2} },
		"negative node":     func(m *checkpoint.Deploy) { m.Assignment.NodeOf = []int{0, 1, 0, -1} },
	} {
		inCluster(t, func(t *testing.T, c *cluster) {
			leader, _ := c.lead(1, "c1")
			m := deployment(1, 1)
			spoil(&m)
			c.Receive(leader, m)
			if got := leader.take(); len(got) != 0 || len(c.tasks) != 0 {
				t.Errorf("%s: the leader was told %+v, %d tasks were made", name, got, len(c.tasks))
			}
		})
	}
}

func TestShutdownStopsAndWaits(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.made = func(f *fakeTask) { f.ignores = true }
		c.Receive(leader, deployment(1, 1))
		last := c.task(1, write0)
		c.task(1, read0).release()
		c.stop()
		synctest.Wait()
		select {
		case <-c.stopped:
			t.Error("Run returned before its tasks had ended")
		default:
		}
		last.release()
		<-c.stopped
		c.Receive(leader, deployment(1, 2))
		synctest.Wait()
		if len(c.tasks) != 2 {
			t.Error("a task was started after the end")
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := newCluster(t).cfg
	for name, spoil := range map[string]func(*Config){
		"Self":          func(c *Config) { c.Self.Incarnation = 0 },
		"Slots":         func(c *Config) { c.Slots = 0 },
		"Registry":      func(c *Config) { c.Registry = nil },
		"Store":         func(c *Config) { c.Store = nil },
		"Dialer":        func(c *Config) { c.Dialer = nil },
		"Logger":        func(c *Config) { c.Logger = nil },
		"OrphanTimeout": func(c *Config) { c.OrphanTimeout = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := New(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHello(t *testing.T) {
	hello := newCluster(t).Hello()
	if hello.Node != self || hello.Slots != 4 || hello.Version != "test" || !slices.Contains(hello.Programs, "pipe") {
		t.Errorf("the node introduces itself as %+v", hello)
	}
}
