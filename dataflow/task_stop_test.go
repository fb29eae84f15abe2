package dataflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// settle lets everything that was sent arrive, in virtual time.
func settle() {
	synctest.Wait()
	time.Sleep(2 * flushInterval)
	synctest.Wait()
}

// TestSuspend takes a job through stop-with-savepoint: nothing passes behind the barrier, nothing is published before
// the savepoint has completed, operators do not finish, and the savepoint holds what goes on.
func TestSuspend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store, out := newGatedSource(), newMemoryStore(), newLedger[int64]()
		g := passingJob(t, source, identity, out)
		a := startAttempt(t, g, 1, store, 0, nil)
		defer a.stop()
		awaitStatus(t, a, writeTask, checkpoint.SubtaskRunning)
		source.send(1, 2)
		settle()
		a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopSuspend))
		states := awaitAcks(t, a, 1, 2)
		source.send(3)
		settle()
		if in, got := a.tasks[readTask].Stats().RecordsIn, a.tasks[writeTask].Stats().RecordsIn; in != 2 || got != 2 {
			t.Errorf("%d records were read and %d have arrived behind the barrier, want 2", in, got)
		}
		wantOutput(t, out)
		// A leader that has just taken over says it all again; another checkpoint is not possible any more.
		a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopSuspend))
		a.tasks[readTask].Trigger(barrier(2))
		d := await(t, a, func(d checkpoint.Decline) bool { return true })
		if d.Checkpoint != 2 || d.Reason != checkpoint.ReasonTaskClosing || d.Phase != 0 {
			t.Errorf("behind the savepoint: %+v", d)
		}
		for _, task := range a.tasks {
			task.NotifyComplete(0)
		}
		settle()
		if len(a.events) != 0 {
			t.Errorf("a suspended task went on: %+v", <-a.events)
		}
		for _, task := range a.tasks {
			task.NotifyComplete(1)
		}
		finished := make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport)
		for range a.tasks {
			r := await(t, a, func(r checkpoint.SubtaskReport) bool { return r.Status == checkpoint.SubtaskFinished })
			finished[r.Subtask] = r
		}
		for s, r := range finished {
			if r.FinalCheckpoint != 1 || r.Final.EndOfData || !slices.EqualFunc(r.Final.Handles, states[s].Handles, sameHandle) {
				t.Errorf("%s ends with %+v of checkpoint %d, want its part in the savepoint", s, r.Final, r.FinalCheckpoint)
			}
		}
		wantOutput(t, out, 1, 2)
		again := startAttempt(t, g, 2, store, 1, states)
		defer again.stop()
		awaitStatus(t, again, writeTask, checkpoint.SubtaskRunning)
		settle()
		again.tasks[readTask].Trigger(barrier(2))
		awaitAcks(t, again, 2, 2)
		again.tasks[writeTask].NotifyComplete(2)
		settle()
		wantOutput(t, out, 1, 2, 3)
	})
}

func sameHandle(a, b checkpoint.Handle) bool {
	return a.Operator == b.Operator && a.Name == b.Name && slices.Equal(a.Chunks, b.Chunks)
}

// C19, U12: when the savepoint fails the leader ends the attempt. Until then its tasks do nothing, and they can be
// cancelled.
func TestC19_SuspendedTaskWaitsToBeCancelled(t *testing.T) {
	for name, fail := range map[string]func(*attempt){
		"aborted": func(a *attempt) {
			for _, task := range a.tasks {
				task.NotifyAborted(1)
			}
		},
		"nothing heard": func(*attempt) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, out := newGatedSource(), newLedger[int64]()
				a := startAttempt(t, passingJob(t, source, identity, out), 1, newMemoryStore(), 0, nil)
				defer a.stop()
				awaitStatus(t, a, writeTask, checkpoint.SubtaskRunning)
				source.send(1)
				settle()
				a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopSuspend))
				awaitAcks(t, a, 1, 2)
				fail(a)
				source.send(2)
				time.Sleep(time.Hour) // virtual
				if got := a.tasks[readTask].Stats().RecordsIn; len(a.events) != 0 || got != 1 {
					t.Errorf("a suspended task went on: %d events, %d records", len(a.events), got)
				}
				a.cancel()
				awaitStatus(t, a, readTask, checkpoint.SubtaskCanceled)
				wantOutput(t, out)
			})
		})
	}
}

// TestDrain ends a job whose source has more to give: what was read is finished, and published with the savepoint.
// Restored, the job has nothing left to do, as in Flink: its sources are finished.
func TestDrain(t *testing.T) {
	for _, afterTasksFinish := range []bool{true, false} {
		t.Run(fmt.Sprintf("after tasks finish=%t", afterTasksFinish), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, out := newMemoryStore(), newLedger[string]()
				g := countingJob(t, numbers{n: 1 << 30, splits: 2, batch: 5, pace: true}, out, [3]int{2, 3, 2})
				spec := TaskSpec{Attempt: 1, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: afterTasksFinish}
				a := startAttemptWith(t, g, store, spec, nil)
				defer a.stop()
				time.Sleep(100 * time.Millisecond) // virtual
				for s, task := range a.tasks {
					if s.Vertex == "read" {
						task.Trigger(savepoint(1, checkpoint.StopDrain))
					}
				}
				states := awaitAcks(t, a, 1, len(a.tasks))
				var read int64
				for s, task := range a.tasks {
					if !states[s].EndOfData {
						t.Errorf("%s has not ended in the savepoint", s)
					}
					if s.Vertex == "read" {
						read += task.Stats().RecordsIn
					}
				}
				if lines := out.output(); len(lines) != 0 {
					t.Errorf("%d lines are visible before the savepoint has completed", len(lines))
				}
				for _, task := range a.tasks {
					task.NotifyComplete(1)
				}
				for range a.tasks {
					r := await(t, a, func(r checkpoint.SubtaskReport) bool { return r.Status == checkpoint.SubtaskFinished })
					if r.FinalCheckpoint != 1 || !r.Final.EndOfData {
						t.Errorf("%s has finished with %+v", r.Subtask, r)
					}
				}
				drained := out.output()
				if got := recordsIn(t, drained); got != read || read == 0 {
					t.Errorf("%d records were read, %d are in the output", read, got)
				}

				spec.Attempt, spec.Restore = 2, 1
				again := startAttemptWith(t, g, store, spec, states)
				defer again.stop()
				settle()
				if afterTasksFinish {
					for s, task := range again.tasks {
						if s.Vertex == "read" {
							task.Trigger(barrier(2))
						}
					}
					awaitAcks(t, again, 2, len(again.tasks))
					for _, task := range again.tasks {
						task.NotifyComplete(2)
					}
				}
				again.done.Wait() // every task ends by itself
				if got := out.output(); len(got) != len(drained) {
					t.Errorf("the restored job has written %d lines more", len(got)-len(drained))
				}
			})
		})
	}
}

// recordsIn returns how many records of the counting job the output stands for. It fails when a line is missing or
// there twice: every count of every word has to be there once, and its total.
func recordsIn(t *testing.T, output []string) (records int64) {
	t.Helper()
	lines, totals := make(map[string]int), make(map[string]int64)
	for _, line := range output {
		var word string
		var n int64
		if _, err := fmt.Sscanf(line, "%s total %d", &word, &n); err == nil {
			totals[word] = n
			continue
		}
		lines[line]++
	}
	var expected int64
	for word, n := range totals {
		for i := range n {
			if got := lines[fmt.Sprintf("%s %d", word, i+1)]; got != 1 {
				t.Errorf("%s %d is there %d times", word, i+1, got)
			}
		}
		expected += n
		if strings.HasPrefix(word, "a") {
			records += n
		}
	}
	if int64(len(lines)) != expected || expected != 2*records {
		t.Errorf("%d counts, the totals are %d over all words, %d over the first ones", len(lines), expected, records)
	}
	return records
}

// TestI7_SuspendAndResume stops the job with a savepoint at a random point, among kills and aborts, resumes it, and
// compares the output with a run that never stops.
func TestI7_SuspendAndResume(t *testing.T) {
	const seeds = 40
	want := countingOutput(600)
	var ran, stops, killed int
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 2))
				out := newLedger[string]()
				parallelism := [3]int{1 + rng.IntN(3), 1 + rng.IntN(4), 1 + rng.IntN(3)}
				g := countingJob(t, numbers{n: 600, splits: 5, batch: 1 + rng.IntN(10), pace: true}, out, parallelism)
				l := newLeader(t, g, seed, 4)
				for range 2 {
					l.stop, l.stopAfter = checkpoint.StopSuspend, l.counts.completed+rng.IntN(3)
					l.run()
					if l.stopping != 0 && l.completed == l.stopping {
						stops++
					}
				}
				l.stop = checkpoint.StopNone
				l.run()
				got := out.output()
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Errorf("parallelism %v, %+v: %s", parallelism, l.counts, firstDifference(got, want))
				}
				ran++
				killed += l.counts.killed
			})
		})
	}
	t.Logf("%d stops, %d kills", stops, killed)
	if ran == seeds && (stops < 50 || killed < 40) {
		t.Errorf("only %d stops and %d kills: the test has lost its teeth", stops, killed)
	}
}

// TestI7_Drain drains the job at a random point, among kills and aborts: everything that was read is in the output,
// once, with the totals that the operators write at the end.
func TestI7_Drain(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out := newLedger[string]()
				g := countingJob(t, numbers{n: 1 << 30, splits: 4, batch: 3, pace: true}, out, [3]int{2, 3, 2})
				l := newLeader(t, g, seed, 3)
				l.stop, l.stopAfter = checkpoint.StopDrain, int(seed%4)
				l.run()
				if got := recordsIn(t, out.output()); got == 0 {
					t.Error("nothing was written")
				}
			})
		})
	}
}
