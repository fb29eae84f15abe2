package aligner

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cairn/checkpoint"
)

// someTime is when pure code is called in tests that do not depend on it.
var someTime = time.UnixMilli(1_000_000)

func effectStrings(effects []Effect) []string {
	all := make([]string, 0, len(effects))
	for _, e := range effects {
		all = append(all, e.String())
	}
	return all
}

// expect compares the effects of one step.
func expect(t *testing.T, got []Effect, want ...string) {
	t.Helper()
	if !slices.Equal(effectStrings(got), want) {
		t.Errorf("effects %q, want %q", effectStrings(got), want)
	}
}

func TestB1_LastBarrierUnblocksAndSnapshots(t *testing.T) {
	a := New(3)
	expect(t, a.OnBarrier(1, barrier(1)), "begin 1", "block [1]")
	expect(t, a.OnBarrier(0, barrier(1)), "block [0]")
	expect(t, a.OnBarrier(2, barrier(1)), "snapshot 1", "unblock [1 0]")
	expect(t, a.OnBarrier(2, barrier(2)), "begin 2", "block [2]")
}

func TestB2_NewerBarrierSubsumes(t *testing.T) {
	a := New(3)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(1, barrier(1)), "block [1]")
	expect(t, a.OnBarrier(2, barrier(2)), "unblock [0 1]", "subsume 1", "begin 2", "block [2]")
	expect(t, a.OnBarrier(0, barrier(2)), "block [0]")
	expect(t, a.OnBarrier(1, barrier(2)), "snapshot 2", "unblock [2 0]")
}

func TestB3_BarrierOfCancelledCheckpointIsIgnored(t *testing.T) {
	a := New(2)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnCancel(1), "unblock [0]", "abort 1")
	expect(t, a.OnBarrier(1, barrier(1)))
	expect(t, a.OnCancel(1)) // the second time it is no news
	expect(t, a.OnBarrier(0, barrier(2)), "begin 2", "block [0]")
}

func TestB4_CancelBeforeAnyBarrier(t *testing.T) {
	a := New(2)
	expect(t, a.OnCancel(1), "abort 1")
	expect(t, a.OnBarrier(0, barrier(1)))
	expect(t, a.OnTrigger(barrier(1)))
	expect(t, a.OnBarrier(1, barrier(1)))
}

func TestB5_ClosedChannelsAreNotWaitedFor(t *testing.T) {
	a := New(3)
	expect(t, a.OnEndOfPartition(1))
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(2, barrier(1)), "snapshot 1", "unblock [0]")
}

func TestB6_EndOfPartitionInsteadOfTheLastBarrier(t *testing.T) {
	a := New(3)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(1, barrier(1)), "block [1]")
	expect(t, a.OnEndOfPartition(2), "snapshot 1", "unblock [0 1]")
}

func TestB7_AlignmentTimeoutTurnsOneCheckpointUnaligned(t *testing.T) {
	a := New(3)
	b := barrierOf(1, checkpoint.AlignmentAdaptive)
	b.Timestamp, b.AlignmentTimeout = checkpoint.Timestamp(someTime.UnixMilli()), 10*time.Second
	met := someTime.Add(3 * time.Second)
	expect(t, a.OnArrival(1, b, met), "begin 1")
	expect(t, a.OnBarrier(1, b), "block [1]")
	expect(t, a.OnArrival(0, b, met))
	due, set := a.Deadline()
	if want := someTime.Add(10 * time.Second); !set || !due.Equal(want) {
		t.Fatalf("it overtakes at %s (%t), want %s", due, set, want)
	}
	expect(t, a.OnTimeout(due.Add(-1)))
	effects := a.OnTimeout(due)
	expect(t, effects, "snapshot 1 before [0 2]", "unblock [1]")
	if got := effects[0].Barrier.Alignment; got != checkpoint.AlignmentUnaligned {
		t.Errorf("the barrier goes on %s", got)
	}
	if _, set := a.Deadline(); set {
		t.Error("the timeout of a checkpoint that is taken is still awaited")
	}
	expect(t, a.OnBarrier(0, b))
	expect(t, a.OnArrival(2, b, due))
	expect(t, a.OnBarrier(2, b))

	next := barrierOf(2, checkpoint.AlignmentAdaptive)
	next.Timestamp, next.AlignmentTimeout = checkpoint.Timestamp(due.UnixMilli()), 10*time.Second
	expect(t, a.OnArrival(0, next, due), "begin 2")
	expect(t, a.OnArrival(1, next, due))
	expect(t, a.OnArrival(2, next, due))
	expect(t, a.OnBarrier(0, next), "block [0]")
	expect(t, a.OnBarrier(1, next), "block [1]")
	expect(t, a.OnBarrier(2, next), "snapshot 2", "unblock [0 1]")
}

// TestB7_ClockBehindTheTrigger: the timeout counts from the trigger, but no subtask waits longer than that itself.
func TestB7_ClockBehindTheTrigger(t *testing.T) {
	a := New(2)
	b := barrierOf(1, checkpoint.AlignmentAdaptive)
	b.Timestamp, b.AlignmentTimeout = checkpoint.Timestamp(someTime.Add(time.Hour).UnixMilli()), time.Second
	expect(t, a.OnArrival(0, b, someTime), "begin 1")
	if due, _ := a.Deadline(); !due.Equal(someTime.Add(time.Second)) {
		t.Errorf("it overtakes at %s", due)
	}
	late := barrierOf(2, checkpoint.AlignmentAdaptive)
	late.Timestamp = checkpoint.Timestamp(someTime.UnixMilli())
	expect(t, New(2).OnArrival(0, late, someTime.Add(time.Hour)), "begin 2", "snapshot 2 before [0 1]")
}

func TestB8_UnalignedBarrierSwitchesAtOnce(t *testing.T) {
	a := New(3)
	adaptive := barrierOf(1, checkpoint.AlignmentAdaptive)
	adaptive.AlignmentTimeout = time.Hour
	adaptive.Timestamp = checkpoint.Timestamp(someTime.UnixMilli())
	expect(t, a.OnArrival(0, adaptive, someTime), "begin 1")
	expect(t, a.OnBarrier(0, adaptive), "block [0]")
	expect(t, a.OnArrival(2, barrierOf(1, checkpoint.AlignmentUnaligned), someTime), "snapshot 1 before [1 2]", "unblock [0]")
	expect(t, a.OnArrival(1, adaptive, someTime))
	expect(t, a.OnBarrier(1, adaptive))
}

// TestUnalignedWaitsForOlderOnes: snapshots are taken in the order of their IDs.
func TestUnalignedWaitsForOlderOnes(t *testing.T) {
	for name, settle := range map[string]struct {
		do   func(*Aligner) []Effect
		want []string
	}{
		"taken":     {func(a *Aligner) []Effect { return a.OnBarrier(1, barrier(1)) }, []string{"snapshot 1", "unblock [0]", "snapshot 2 before [0 1]"}},
		"cancelled": {func(a *Aligner) []Effect { return a.OnCancel(1) }, []string{"unblock [0]", "abort 1", "snapshot 2 before [0 1]"}},
		"ended":     {func(a *Aligner) []Effect { return a.OnEndOfPartition(1) }, []string{"snapshot 1", "unblock [0]", "snapshot 2 before [0]"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := New(2)
			expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
			expect(t, a.OnArrival(0, barrierOf(2, checkpoint.AlignmentUnaligned), someTime), "begin 2")
			expect(t, settle.do(a), settle.want...)
		})
	}
}

func TestTriggerDoesNotOvertake(t *testing.T) {
	a := New(2)
	expect(t, a.OnEndOfPartition(0))
	expect(t, a.OnTrigger(barrierOf(2, checkpoint.AlignmentUnaligned)), "begin 2")
	expect(t, a.OnArrival(1, barrierOf(1, checkpoint.AlignmentUnaligned), someTime), "begin 1", "snapshot 1 before [1]")
	expect(t, a.OnEndOfPartition(1), "snapshot 2")
}

func TestB9_AtLeastOnceIsNeverUnaligned(t *testing.T) {
	a := New(2)
	b := barrierOf(1, checkpoint.AlignmentUnaligned)
	b.Mode = checkpoint.AtLeastOnce
	expect(t, a.OnArrival(0, b, someTime), "begin 1")
	expect(t, a.OnBarrier(0, b))
	expect(t, a.OnBarrier(1, b), "snapshot 1")
}

func TestB9_AtLeastOnceNeverBlocks(t *testing.T) {
	a := New(2)
	b := func(id checkpoint.ID) checkpoint.Barrier {
		b := barrier(id)
		b.Mode = checkpoint.AtLeastOnce
		return b
	}
	expect(t, a.OnBarrier(0, b(1)), "begin 1")
	expect(t, a.OnBarrier(0, b(2)), "begin 2") // both are pending
	expect(t, a.OnBarrier(1, b(1)), "snapshot 1")
	expect(t, a.OnBarrier(1, b(2)), "snapshot 2")
}

// TestAlignerScripts replays the scripts in testdata. Each line of input is one event.
func TestAlignerScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var a *Aligner
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "channels" {
				var n int
				d.ScanArgs(t, "n", &n)
				a = New(n)
				return ""
			}
			var out strings.Builder
			for line := range strings.Lines(d.Input) {
				line = strings.TrimSpace(line)
				effects := effectStrings(alignerEvent(t, a, line))
				if len(effects) == 0 {
					effects = []string{"nothing"}
				}
				fmt.Fprintf(&out, "%s: %s\n", line, strings.Join(effects, ", "))
			}
			return out.String()
		})
	})
}

func alignerEvent(t *testing.T, a *Aligner, line string) []Effect {
	t.Helper()
	var word string
	var x, y int
	if n, _ := fmt.Sscan(line, &word, &x, &y); n < 2 {
		t.Fatalf("event %q", line)
	}
	b := barrier(checkpoint.ID(y))
	switch word {
	case "barrier":
		return a.OnBarrier(x, b)
	case "loose-barrier":
		b.Mode = checkpoint.AtLeastOnce
		return a.OnBarrier(x, b)
	case "end":
		return a.OnEndOfPartition(x)
	case "trigger":
		return a.OnTrigger(barrier(checkpoint.ID(x)))
	case "cancel":
		return a.OnCancel(checkpoint.ID(x))
	}
	t.Fatalf("event %q", line)
	return nil
}

// barrierOf is the barrier of a checkpoint with the given alignment.
func barrierOf(id checkpoint.ID, alignment checkpoint.Alignment) checkpoint.Barrier {
	b := barrier(id)
	b.Alignment = alignment
	return b
}

func barrier(id checkpoint.ID) checkpoint.Barrier {
	return checkpoint.Barrier{
		ID: id, Timestamp: checkpoint.Timestamp(someTime.UnixMilli()),
		Kind: checkpoint.KindCheckpoint, Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned,
	}
}
