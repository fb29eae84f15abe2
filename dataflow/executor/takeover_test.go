package executor

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// keeping is a deployment in which subtasks of this node go on; the others are restored from checkpoint 5.
func keeping(term checkpoint.Term, attempt checkpoint.Attempt, kept ...checkpoint.KeptSubtask) checkpoint.Deploy {
	m := deployment(term, attempt)
	m.Kept, m.Restore, m.Settled, m.Aborted = kept, 5, 8, []checkpoint.ID{3, 7}
	for _, s := range []checkpoint.SubtaskID{read0, write0} {
		if !slices.ContainsFunc(kept, func(k checkpoint.KeptSubtask) bool { return k.Subtask == s }) {
			m.States = append(m.States, checkpoint.SubtaskState{Subtask: s})
		}
	}
	return m
}

func since(s checkpoint.SubtaskID, attempt checkpoint.Attempt) checkpoint.KeptSubtask {
	return checkpoint.KeptSubtask{Subtask: s, Since: attempt}
}

// count counts the tasks of a subtask that have been made.
func (c *cluster) count(s checkpoint.SubtaskID) int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, f := range c.tasks {
		if f.spec.Subtask == s {
			n++
		}
	}
	return n
}

// statusesOf returns what was told of subtasks since the last call, all of one attempt.
func statusesOf(t *testing.T, s *fakeSession, attempt checkpoint.Attempt) map[checkpoint.SubtaskID]checkpoint.SubtaskReport {
	t.Helper()
	all := make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport)
	for _, m := range s.take() {
		if change, ok := m.(checkpoint.StatusChange); ok {
			if change.Attempt != attempt {
				t.Errorf("told of attempt %d: %+v", change.Attempt, change.Report)
			}
			all[change.Report.Subtask] = change.Report
		}
	}
	return all
}

// What is kept goes on untouched, and speaks for the new attempt from then on; the others are restarted.
func TestTakeOver(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		c.Receive(leader, checkpoint.NotifyComplete{Term: 1, Job: job1, Attempt: 1, Checkpoint: 2, Kind: checkpoint.KindCheckpoint})
		c.Receive(leader, checkpoint.NotifyAborted{Term: 1, Job: job1, Attempt: 1, Checkpoint: 3})
		read.ack(4)                                                                 // subsumed by 5
		read.ack(6)                                                                 // not named by the leader: its history has forgotten it
		read.enter(barrier(8, checkpoint.KindSavepoint), checkpoint.PhaseAlignment) // waits for other barriers
		leader.take()
		read.takeHeard()

		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		told := statusesOf(t, leader, 2)
		if told[read0].Status != checkpoint.SubtaskRunning || told[write0].Status != checkpoint.SubtaskRunning {
			t.Errorf("told %+v", told)
		}
		if n := c.count(read0); n != 1 {
			t.Errorf("%d tasks of read[0] were made", n)
		}
		if restarted := c.task(2, write0); restarted == write || restarted.spec.Restore != 5 {
			t.Errorf("write[0] was made with %+v", restarted.spec)
		}
		if got := read.takeHeard(); !slices.Equal(got, []string{"complete 5", "aborted 4", "aborted 6", "aborted 7", "aborted 8"}) {
			t.Errorf("read[0] heard %v", got)
		}
		if got := c.task(2, write0).takeHeard(); len(got) != 0 {
			t.Errorf("write[0], which was restored from 5, heard %v", got)
		}

		read.ack(7) // I6: of a checkpoint that failed with the attempt
		read.decline(8)
		read.enter(barrier(8, checkpoint.KindSavepoint), checkpoint.PhaseUpload)
		if got := leader.take(); len(got) != 0 {
			t.Errorf("of checkpoints of the earlier attempt the leader was told %+v", got)
		}
		c.Receive(leader, trigger(1, 2, 9, read0))
		if got := read.takeHeard(); !slices.Equal(got, []string{"trigger 9"}) {
			t.Errorf("read[0] heard %v", got)
		}
		read.ack(9)
		read.decline(10)
		read.status(checkpoint.SubtaskFinishing)
		time.Sleep(time.Second) // for progress, of which there must be none
		var acks, declines, statuses int
		for _, m := range leader.take() {
			switch m := m.(type) {
			case checkpoint.AckBatch:
				acks += len(m.Acks)
				if m.Acks[0].Attempt != 2 || m.Acks[0].Checkpoint != 9 {
					t.Errorf("told the ack %+v", m.Acks[0])
				}
			case checkpoint.Decline:
				declines++
				if m.Attempt != 2 || m.Checkpoint != 10 {
					t.Errorf("told the decline %+v", m)
				}
			case checkpoint.StatusChange:
				statuses++
				if m.Attempt != 2 || m.Report.Status != checkpoint.SubtaskFinishing {
					t.Errorf("told the status %+v", m)
				}
			default:
				t.Errorf("told %+v", m)
			}
		}
		if acks != 1 || declines != 1 || statuses != 1 {
			t.Errorf("told %d acks, %d declines, %d statuses", acks, declines, statuses)
		}
		_, report := c.lead(2, "c2")
		if len(report.Attempts) != 1 || report.Attempts[0].Attempt != 2 || len(report.Attempts[0].Subtasks) != 2 || len(report.Attempts[0].Acks) != 1 {
			t.Errorf("the next leader is told %+v", report)
		}
	})
}

// The barriers of the new attempt's first checkpoint may come to a task that goes on before its node hears of the attempt.
// What it answers to them is said again for that attempt; the leader counts nothing else.
func TestTakeOverBehindABarrierOfTheNewAttempt(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		read.ack(7) // failed with the earlier attempt
		read.ack(9) // pending in the new one, and so are the others
		read.decline(10)
		read.enter(barrier(11, checkpoint.KindCheckpoint), checkpoint.PhaseAlignment)
		leader.take()

		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		time.Sleep(time.Second)
		var acks []checkpoint.Ack
		var declines []checkpoint.Decline
		var progress []checkpoint.Progress
		for _, m := range leader.take() {
			switch m := m.(type) {
			case checkpoint.AckBatch:
				acks = append(acks, m.Acks...)
			case checkpoint.Decline:
				declines = append(declines, m)
			case checkpoint.Progress:
				progress = append(progress, m)
			}
		}
		if len(acks) != 1 || acks[0].Attempt != 2 || acks[0].Checkpoint != 9 || acks[0].State.Subtask != read0 {
			t.Errorf("told the acks %+v", acks)
		}
		if len(declines) != 1 || declines[0].Attempt != 2 || declines[0].Checkpoint != 10 {
			t.Errorf("told the declines %+v", declines)
		}
		if len(progress) != 1 || progress[0].Attempt != 2 || progress[0].Checkpoint != 11 {
			t.Errorf("told the progress %+v", progress)
		}
		if _, report := c.lead(2, "c2"); len(report.Attempts[0].Acks) != 1 || report.Attempts[0].Acks[0].Checkpoint != 9 {
			t.Errorf("the next leader is told %+v", report)
		}
	})
}

// The completion of what an execution was restored from itself is no news to it: to a sink it would say that everybody has
// recovered.
func TestTakeOverOfWhatWasRestored(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		first := deployment(1, 1)
		first.Restore = 5
		first.States = []checkpoint.SubtaskState{{Subtask: read0}, {Subtask: write0}}
		c.Receive(leader, first)
		read := c.task(1, read0)
		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		if got := read.takeHeard(); !slices.Equal(got, []string{"aborted 3", "aborted 7"}) {
			t.Errorf("read[0] heard %v", got)
		}
	})
}

// What there is nothing of to go on has failed, because of something else that the leader may know better.
func TestTakeOverOfWhatIsNotThere(t *testing.T) {
	tests := []struct {
		name  string
		kept  checkpoint.KeptSubtask
		first func(*cluster, *fakeSession)
		want  string
	}{
		{"never deployed", since(read0, 1), func(*cluster, *fakeSession) {}, "nothing of the job runs here"},
		{"another execution", since(read0, 1), func(c *cluster, s *fakeSession) { c.Receive(s, deployment(1, 2)); c.task(2, read0) },
			"what attempt 1 deployed of it does not run here"},
		{"cancelled", since(read0, 2), func(c *cluster, s *fakeSession) {
			c.Receive(s, deployment(1, 2))
			c.task(2, read0)
			c.Receive(s, checkpoint.CancelTasks{Term: 1, Job: job1, Attempt: 2, Subtasks: []checkpoint.SubtaskID{read0}})
		}, "it was cancelled"},
		{"cancelled with its attempt", since(read0, 2), func(c *cluster, s *fakeSession) {
			c.made = func(f *fakeTask) { f.ignores = true }
			c.Receive(s, deployment(1, 2))
			c.task(2, read0)
			c.Receive(s, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 2})
		}, "it was cancelled"},
		{"not made yet", since(read0, 2), func(c *cluster, s *fakeSession) {
			slow := deployment(1, 2)
			slow.Program = "slow"
			c.Receive(s, slow)
			synctest.Wait()
		}, "does not run here"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				leader, _ := c.lead(1, "c1")
				test.first(c, leader)
				leader.take()
				c.Receive(leader, keeping(1, 4, test.kept))
				got := statusesOf(t, leader, 4)[read0]
				if got.Status != checkpoint.SubtaskFailed || !got.Failure.Secondary || got.Failure.Permanent ||
					!strings.Contains(got.Failure.Message, test.want) {
					t.Errorf("told %+v, want it failed: %q", got, test.want)
				}
				c.releaseAll()
				close(c.slow)
				synctest.Wait()
				c.task(4, write0)
				for _, f := range c.tasks {
					if f.spec.Subtask == read0 && f.spec.Attempt == 4 {
						t.Error("it was deployed in the new attempt")
					}
				}
				time.Sleep(time.Hour)
				if got := c.fatals(); len(got) != 0 {
					t.Errorf("the process ended: %v", got)
				}
			})
		})
	}
}

// One that has failed by itself says so with its own cause.
func TestTakeOverOfWhatHasFailed(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, read0).end <- dataflow.Permanent(errors.New("no such path"))
		leader.take()
		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		if got := statusesOf(t, leader, 2)[read0]; got.Status != checkpoint.SubtaskFailed || !got.Failure.Permanent || got.Failure.Secondary {
			t.Errorf("told %+v", got)
		}
	})
}

// One that has finished stays so, with its final state.
func TestTakeOverOfWhatHasFinished(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		final := checkpoint.SubtaskReport{
			Subtask: read0, Status: checkpoint.SubtaskFinished, Final: checkpoint.SubtaskState{Subtask: read0, EndOfData: true}, FinalCheckpoint: 4,
		}
		read.deps.OnStatus(final)
		read.end <- nil
		for attempt := checkpoint.Attempt(2); attempt < 4; attempt++ {
			leader.take()
			c.Receive(leader, keeping(1, attempt, since(read0, 1)))
			if got := statusesOf(t, leader, attempt)[read0]; !reflect.DeepEqual(got, final) {
				t.Errorf("attempt %d: told %+v", attempt, got)
			}
		}
		if _, report := c.lead(2, "c2"); !reflect.DeepEqual(report.Attempts[0].Subtasks[0], final) {
			t.Errorf("the next leader is told %+v", report)
		}
	})
}

// A node that was not told of an attempt keeps what the next one keeps of the one before; and of attempt after attempt.
func TestTakeOverAcrossAttempts(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		for _, attempt := range []checkpoint.Attempt{3, 4, 7} {
			leader.take()
			c.Receive(leader, keeping(1, attempt, since(read0, 1)))
			if got := statusesOf(t, leader, attempt); got[read0].Status != checkpoint.SubtaskRunning {
				t.Errorf("attempt %d: told %+v", attempt, got)
			}
			c.task(attempt, write0)
		}
		if heard := read.takeHeard(); !slices.Equal(heard, []string{"complete 5", "aborted 3", "aborted 7"}) {
			t.Errorf("read[0] heard %v", heard)
		}
		if n := c.count(read0); n != 1 {
			t.Errorf("%d tasks of read[0] were made", n)
		}
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 6}) // I6: of the past
		if got := leader.take(); len(got) != 0 {
			t.Errorf("told %+v", got)
		}
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 7})
		if got := statusesOf(t, leader, 7); got[read0].Status != checkpoint.SubtaskCanceled || got[write0].Status != checkpoint.SubtaskCanceled {
			t.Errorf("the attempt was cancelled; told %+v", got)
		}
		if _, report := c.lead(2, "c2"); len(report.Attempts) != 0 {
			t.Errorf("reported %+v", report)
		}
	})
}

// Some subtasks are stopped, the others go on; and what replaces those that were stopped waits until they have returned.
func TestCancelTasks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.made = func(f *fakeTask) { f.ignores = f.spec.Attempt == 1 && f.spec.Subtask == write0 }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		leader.take()
		stop := checkpoint.CancelTasks{Term: 1, Job: job1, Attempt: 1, Subtasks: []checkpoint.SubtaskID{write0}}
		c.Receive(leader, stop)
		c.Receive(leader, stop) // repeated to a new session
		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		time.Sleep(2 * time.Minute)
		if n := c.count(write0); n != 1 {
			t.Errorf("%d tasks of write[0] were made while the old one was running", n)
		}
		if lines := c.logged("a cancelled task does not return"); len(lines) != 4 && len(lines) != 3 {
			t.Errorf("%d complaints, of which the first: %.200q", len(lines), lines)
		}
		write.release()
		c.task(2, write0)
		time.Sleep(time.Hour)
		if got := c.fatals(); len(got) != 0 {
			t.Errorf("the process ended: %v", got)
		}
		read.ack(9)
		if acks := acksIn(leader.take()); len(acks) != 1 || acks[0].Attempt != 2 {
			t.Errorf("read[0] acknowledged %+v", acks)
		}
	})
}

// What is stopped is reported as such, in its attempt, until that is replaced. The watchdog watches over nothing else.
func TestCancelTasksIsWatched(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		c.made = func(f *fakeTask) { f.ignores = f.spec.Subtask == write0 }
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 3))
		c.task(3, read0)
		leader.take()
		c.Receive(leader, checkpoint.CancelTasks{Term: 1, Job: job1, Attempt: 5, Subtasks: []checkpoint.SubtaskID{read0, write0}})
		if got := statusesOf(t, leader, 3); len(got) != 1 || got[read0].Status != checkpoint.SubtaskCanceled {
			t.Errorf("told %+v", got)
		}
		_, report := c.lead(2, "c2")
		if got := report.Attempts[0].Subtasks; got[0].Status != checkpoint.SubtaskCanceled || got[1].Status != checkpoint.SubtaskRunning {
			t.Errorf("reported %+v", got)
		}
		time.Sleep(4 * time.Minute)
		if got := c.fatals(); len(got) != 1 || !strings.Contains(got[0].Error(), "attempt 3 on node n1: write[0] did not return") {
			t.Errorf("the process ended because of %v", got)
		}
	})
}

func TestCancelTasksBeforeTheyAreMade(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		slow := deployment(1, 1)
		slow.Program = "slow"
		c.Receive(leader, slow)
		synctest.Wait()
		c.Receive(leader, checkpoint.CancelTasks{Term: 1, Job: job1, Attempt: 1, Subtasks: []checkpoint.SubtaskID{write0}})
		close(c.slow)
		got := statusesOf(t, leader, 1)
		if got[read0].Status != checkpoint.SubtaskRunning || got[write0].Status != checkpoint.SubtaskCanceled {
			t.Errorf("told %+v", got)
		}
	})
}

// Channels are known by the attempt in which both their ends were deployed.
func TestChannelsOfWhatGoesOn(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		write := c.task(1, write0)
		check := func(when string, attempt checkpoint.Attempt, want error, to *fakeTask) {
			t.Helper()
			w, err := c.AcceptChannel(t.Context(), channel(attempt, 0), noGrant)
			if !errors.Is(err, want) || (err == nil) != (want == nil) || err == nil && w.(fakeWriter).to != to {
				t.Errorf("%s, channel of attempt %d: %v, want %v", when, attempt, err, want)
			}
		}
		c.Receive(leader, keeping(1, 2, since(write0, 1)))
		check("kept", 1, nil, write)
		check("kept", 2, ErrStaleAttempt, nil)
		check("kept", 3, ErrUnknownAttempt, nil)
		c.Receive(leader, keeping(1, 3, since(read0, 2)))
		restarted := c.task(3, write0)
		check("restarted", 1, ErrStaleAttempt, nil)
		check("restarted", 2, ErrStaleAttempt, nil)
		check("restarted", 3, nil, restarted)
		c.Receive(leader, keeping(1, 4, since(read0, 2), since(write0, 3)))
		check("kept again", 3, nil, restarted)
		c.Receive(leader, checkpoint.CancelTasks{Term: 1, Job: job1, Attempt: 4, Subtasks: []checkpoint.SubtaskID{write0}})
		check("while it is being cancelled", 4, ErrStaleAttempt, nil)
	})
}

// Rates go on where they were.
func TestMetricsOfWhatGoesOn(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		c.task(1, write0).measures(dataflow.Stats{RecordsIn: 100})
		time.Sleep(metricsInterval / 2)
		work(read, 5, dataflow.Stats{RecordsIn: 100, Watermark: dataflow.MinEventTime})
		c.Receive(leader, keeping(1, 2, since(read0, 1)))
		leader.takeOffered()
		work(read, 1, dataflow.Stats{RecordsIn: 100, Watermark: dataflow.MinEventTime})
		offered := leader.takeOffered()
		if got := latest(t, offered, read0); offered[0].Attempt != 2 || got.RecordsIn != 600 || got.Load == nil || got.Load.RecordsIn != 100 {
			t.Errorf("told %+v", offered)
		}
		if got := latest(t, offered, write0); got.RecordsIn != 0 || got.Load != nil && got.Load.RecordsIn != 0 {
			t.Errorf("write[0] was restarted a second ago, and has had no record since; told %+v", got)
		}
	})
}

// Nothing of an attempt outlives the executor, nor the orphan timeout, however long ago it was deployed.
func TestWhatGoesOnEnds(t *testing.T) {
	ends := map[string]func(*cluster, *fakeSession){
		"with the process": func(c *cluster, _ *fakeSession) { c.stop(); <-c.stopped },
		"without a leader": func(c *cluster, s *fakeSession) { c.SessionClosed(s); time.Sleep(2 * time.Minute) },
		"with its attempt": func(c *cluster, s *fakeSession) {
			c.Receive(s, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 2})
		},
		"with the next one": func(c *cluster, s *fakeSession) { c.Receive(s, deployment(1, 3)) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				var cancelled context.Context
				leader, _ := c.lead(1, "c1")
				c.Receive(leader, deployment(1, 1))
				c.task(1, read0)
				c.Receive(leader, keeping(1, 2, since(read0, 1)))
				c.task(2, write0)
				c.Executor.mu.Lock()
				cancelled = c.Executor.mu.jobs[job1].current.executions[read0].ctx
				c.Executor.mu.Unlock()
				if cancelled.Err() != nil {
					t.Fatal("it has ended")
				}
				end(c, leader)
				synctest.Wait()
				if cancelled.Err() == nil {
					t.Error("it goes on")
				}
			})
		})
	}
}
