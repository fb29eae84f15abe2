package dataflow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

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
	a := NewAligner(3)
	expect(t, a.OnBarrier(1, barrier(1)), "begin 1", "block [1]")
	expect(t, a.OnBarrier(0, barrier(1)), "block [0]")
	expect(t, a.OnBarrier(2, barrier(1)), "snapshot 1", "unblock [1 0]")
	expect(t, a.OnBarrier(2, barrier(2)), "begin 2", "block [2]")
}

func TestB2_NewerBarrierSubsumes(t *testing.T) {
	a := NewAligner(3)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(1, barrier(1)), "block [1]")
	expect(t, a.OnBarrier(2, barrier(2)), "unblock [0 1]", "subsume 1", "begin 2", "block [2]")
	expect(t, a.OnBarrier(0, barrier(2)), "block [0]")
	expect(t, a.OnBarrier(1, barrier(2)), "snapshot 2", "unblock [2 0]")
}

func TestB3_BarrierOfCancelledCheckpointIsIgnored(t *testing.T) {
	a := NewAligner(2)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnCancel(1), "unblock [0]", "abort 1")
	expect(t, a.OnBarrier(1, barrier(1)))
	expect(t, a.OnCancel(1)) // the second time it is no news
	expect(t, a.OnBarrier(0, barrier(2)), "begin 2", "block [0]")
}

func TestB4_CancelBeforeAnyBarrier(t *testing.T) {
	a := NewAligner(2)
	expect(t, a.OnCancel(1), "abort 1")
	expect(t, a.OnBarrier(0, barrier(1)))
	expect(t, a.OnTrigger(barrier(1), someTime))
	expect(t, a.OnBarrier(1, barrier(1)))
}

func TestB5_ClosedChannelsAreNotWaitedFor(t *testing.T) {
	a := NewAligner(3)
	expect(t, a.OnEndOfPartition(1))
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(2, barrier(1)), "snapshot 1", "unblock [0]")
}

func TestB6_EndOfPartitionInsteadOfTheLastBarrier(t *testing.T) {
	a := NewAligner(3)
	expect(t, a.OnBarrier(0, barrier(1)), "begin 1", "block [0]")
	expect(t, a.OnBarrier(1, barrier(1)), "block [1]")
	expect(t, a.OnEndOfPartition(2), "snapshot 1", "unblock [0 1]")
}

func TestB9_AtLeastOnceNeverBlocks(t *testing.T) {
	a := NewAligner(2)
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

// TestAlignerScripts replays the scripts in testdata/aligner. Each line of input is one event.
func TestAlignerScripts(t *testing.T) {
	datadriven.Walk(t, "testdata/aligner", func(t *testing.T, path string) {
		var a *Aligner
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "channels" {
				var n int
				d.ScanArgs(t, "n", &n)
				a = NewAligner(n)
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
		return a.OnTrigger(barrier(checkpoint.ID(x)), someTime)
	case "cancel":
		return a.OnCancel(checkpoint.ID(x))
	}
	t.Fatalf("event %q", line)
	return nil
}

// alignment of a random script, carried out the way a task does it.
type alignerRun struct {
	a         *Aligner
	scripts   [][]checkpoint.ID // by channel: a barrier, or 0 for a record
	at        []int             // position in each script; one behind its end means that the channel has ended
	blocked   []bool
	cancelled map[checkpoint.ID]bool
	triggered map[checkpoint.ID]bool
	cuts      map[checkpoint.ID][]int // positions when each snapshot was taken
}

func (r *alignerRun) apply(t *rapid.T, mode checkpoint.Mode, effects []Effect) {
	for _, e := range effects {
		switch e.Kind {
		case EffectBlock:
			if mode == checkpoint.AtLeastOnce {
				t.Fatalf("at-least-once blocks: %s", e)
			}
			r.blocked[e.Channels[0]] = true
		case EffectUnblock:
			for _, c := range e.Channels {
				if !r.blocked[c] {
					t.Fatalf("%s, but channel %d is not blocked", e, c)
				}
				r.blocked[c] = false
			}
		case EffectSnapshot:
			if _, twice := r.cuts[e.Barrier.ID]; twice || r.cancelled[e.Barrier.ID] {
				t.Fatalf("%s of a checkpoint that was taken or cancelled before", e)
			}
			for newer := range r.cuts {
				if newer > e.Barrier.ID {
					t.Fatalf("%s after that of %d", e, newer)
				}
			}
			r.cuts[e.Barrier.ID] = slices.Clone(r.at)
		}
	}
}

// step lets one channel that is not blocked deliver its next event. It returns false when none can.
func (r *alignerRun) step(t *rapid.T, mode checkpoint.Mode) bool {
	var able []int
	for c := range r.scripts {
		if !r.blocked[c] && r.at[c] <= len(r.scripts[c]) {
			able = append(able, c)
		}
	}
	if len(able) == 0 {
		return false
	}
	c := rapid.SampledFrom(able).Draw(t, "channel")
	at := r.at[c]
	r.at[c]++
	if at == len(r.scripts[c]) {
		r.apply(t, mode, r.a.OnEndOfPartition(c))
	} else if id := r.scripts[c][at]; id != 0 {
		b := barrier(id)
		b.Mode = mode
		r.apply(t, mode, r.a.OnBarrier(c, b))
	}
	return true
}

// TestAlignerAgainstModel runs random channels to their end. The model needs no aligner: a checkpoint is
// taken unless it was cancelled or some channel skipped its barrier, and the cut of an exactly-once snapshot
// lies right behind the barrier in every channel that has it, and at the end of the others.
func TestAlignerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]checkpoint.Mode{checkpoint.ExactlyOnce, checkpoint.AtLeastOnce}).Draw(t, "mode")
		newest := checkpoint.ID(rapid.IntRange(1, 5).Draw(t, "newest"))
		r := &alignerRun{
			cancelled: make(map[checkpoint.ID]bool), triggered: make(map[checkpoint.ID]bool),
			cuts: make(map[checkpoint.ID][]int),
		}
		for range rapid.IntRange(1, 4).Draw(t, "channels") {
			r.scripts = append(r.scripts, drawScript(t, newest))
		}
		r.a, r.at, r.blocked = NewAligner(len(r.scripts)), make([]int, len(r.scripts)), make([]bool, len(r.scripts))
		for r.step(t, mode) {
			switch rapid.IntRange(0, 11).Draw(t, "also") {
			case 0:
				id := checkpoint.ID(rapid.IntRange(1, int(newest)).Draw(t, "cancel"))
				effects := r.a.OnCancel(id)
				if _, taken := r.cuts[id]; !taken {
					r.cancelled[id] = true
				}
				r.apply(t, mode, effects)
			case 1:
				r.triggered[newest+1] = true // its predecessors have finished: no channel brings it
				r.apply(t, mode, r.a.OnTrigger(barrier(newest+1), someTime))
			}
		}
		if slices.Contains(r.blocked, true) {
			t.Fatalf("a channel stays blocked: %v at %v", r.scripts, r.at)
		}
		for id := checkpoint.ID(1); id <= newest+1; id++ {
			r.compare(t, mode, id)
		}
	})
}

// drawScript returns a channel's events: barriers with rising IDs, some missing, and records between them.
func drawScript(t *rapid.T, newest checkpoint.ID) []checkpoint.ID {
	var script []checkpoint.ID
	last := checkpoint.ID(rapid.IntRange(0, int(newest)).Draw(t, "last"))
	for id := checkpoint.ID(1); id <= last; id++ {
		script = append(script, make([]checkpoint.ID, rapid.IntRange(0, 2).Draw(t, "records"))...)
		if rapid.IntRange(0, 3).Draw(t, "skip") > 0 {
			script = append(script, id)
		}
	}
	return script
}

func (r *alignerRun) compare(t *rapid.T, mode checkpoint.Mode, id checkpoint.ID) {
	want := make([]int, len(r.scripts))
	begun, skipped := r.triggered[id], false
	for c, script := range r.scripts {
		at := slices.Index(script, id)
		switch {
		case at >= 0:
			begun, want[c] = true, at+1
		case len(script) > 0 && slices.Max(script) > id:
			skipped = true
		default:
			want[c] = len(script) + 1 // the end was read
		}
	}
	cut, taken := r.cuts[id]
	if expected := begun && !skipped && !r.cancelled[id]; taken != expected {
		t.Fatalf("checkpoint %d: snapshot %t, want %t; scripts %v, cancelled %v", id, taken, expected, r.scripts, r.cancelled)
	}
	for c := range cut {
		if cut[c] < want[c] || cut[c] > want[c] && mode == checkpoint.ExactlyOnce {
			t.Fatalf("checkpoint %d: cut at %v, want %v; scripts %v", id, cut, want, r.scripts)
		}
	}
}
