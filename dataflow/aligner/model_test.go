package aligner

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

// alignment of a random script, carried out the way a task and its gate do it.
type alignerRun struct {
	a         *Aligner
	mode      checkpoint.Mode
	alignment map[checkpoint.ID]checkpoint.Alignment
	now       time.Time
	scripts   [][]checkpoint.ID // by channel: a barrier, or 0 for a record
	at        []int             // position in each script; one behind its end means that the channel has ended
	arrived   []int             // how much of each script has arrived, at least what was read
	announced []int             // position behind the last barrier that the aligner has heard of
	blocked   []bool
	cancelled map[checkpoint.ID]bool
	triggered map[checkpoint.ID]bool
	cuts      map[checkpoint.ID][]int // positions when each snapshot was taken
	recorded  map[checkpoint.ID][]int // channels whose records up to the barrier are in the snapshot
}

func (r *alignerRun) barrier(id checkpoint.ID) checkpoint.Barrier {
	b := barrierOf(id, r.alignment[id])
	b.Mode, b.AlignmentTimeout, b.Timestamp = r.mode, 5*time.Millisecond, checkpoint.Timestamp(someTime.UnixMilli()+int64(id))
	return b
}

func (r *alignerRun) apply(t *rapid.T, effects []Effect) {
	for _, e := range effects {
		switch e.Kind {
		case EffectBlock:
			if r.mode == checkpoint.AtLeastOnce {
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
			r.snapshot(t, e)
		}
	}
}

func (r *alignerRun) snapshot(t *rapid.T, e Effect) {
	if _, twice := r.cuts[e.Barrier.ID]; twice || r.cancelled[e.Barrier.ID] {
		t.Fatalf("%s of a checkpoint that was taken or cancelled before", e)
	}
	for newer := range r.cuts {
		if newer > e.Barrier.ID {
			t.Fatalf("%s after that of %d", e, newer)
		}
	}
	if len(e.Channels) > 0 && (r.mode == checkpoint.AtLeastOnce || r.alignment[e.Barrier.ID] == checkpoint.AlignmentAligned) {
		t.Fatalf("%s, which may not overtake", e)
	}
	r.cuts[e.Barrier.ID], r.recorded[e.Barrier.ID] = slices.Clone(r.at), e.Channels
}

// announce tells the aligner of the first barrier in each queue, as the gate does.
func (r *alignerRun) announce(t *rapid.T) {
	for c, script := range r.scripts {
		for i := r.at[c]; i < min(r.arrived[c], len(script)); i++ {
			if script[i] == 0 {
				continue
			}
			if b := r.barrier(script[i]); i >= r.announced[c] && MayOvertake(b) {
				r.announced[c] = i + 1
				r.apply(t, r.a.OnArrival(c, b, r.now))
				_, taken := r.cuts[b.ID]
				if Overtakes(b) && len(r.a.pending) > 0 && r.a.pending[0].barrier.ID == b.ID && !taken {
					t.Fatalf("unaligned checkpoint %d waits, though nothing older is pending", b.ID)
				}
			}
			break
		}
	}
}

// step lets one channel deliver its next event, or take it in. It returns false when none can.
func (r *alignerRun) step(t *rapid.T) bool {
	var able []int // channels that can be read; those that something can arrive on, counted from len(scripts)
	for c, script := range r.scripts {
		if !r.blocked[c] && r.at[c] <= len(script) {
			able = append(able, c)
		}
		if r.arrived[c] <= len(script) {
			able = append(able, len(r.scripts)+c)
		}
	}
	if len(able) == 0 {
		return false
	}
	c := rapid.SampledFrom(able).Draw(t, "channel")
	if c >= len(r.scripts) {
		r.arrived[c-len(r.scripts)]++
		r.announce(t)
		return true
	}
	if r.arrived[c] == r.at[c] {
		r.arrived[c]++ // it is read as soon as it arrives
		r.announce(t)
		if r.blocked[c] {
			return true
		}
	}
	at := r.at[c]
	r.at[c]++
	if at == len(r.scripts[c]) {
		r.apply(t, r.a.OnEndOfPartition(c))
	} else if id := r.scripts[c][at]; id != 0 {
		r.apply(t, r.a.OnBarrier(c, r.barrier(id)))
	}
	r.announce(t)
	return true
}

// also does what may happen at any time.
func (r *alignerRun) also(t *rapid.T, newest checkpoint.ID) {
	switch rapid.IntRange(0, 11).Draw(t, "also") {
	case 0:
		id := checkpoint.ID(rapid.IntRange(1, int(newest)).Draw(t, "cancel"))
		effects := r.a.OnCancel(id)
		if _, taken := r.cuts[id]; !taken {
			r.cancelled[id] = true
		}
		r.apply(t, effects)
	case 1:
		r.triggered[newest+1] = true // its predecessors have finished: no channel brings it
		r.apply(t, r.a.OnTrigger(r.barrier(newest+1)))
	case 2, 3:
		r.now = r.now.Add(time.Duration(rapid.IntRange(0, 4).Draw(t, "ms")) * time.Millisecond)
		if due, set := r.a.Deadline(); set && !r.now.Before(due) {
			r.apply(t, r.a.OnTimeout(r.now))
		}
	}
}

// TestAlignerAgainstModel runs random channels to their end. The model needs no aligner: a checkpoint is
// taken unless it was cancelled or some channel skipped its barrier, and the cut of an exactly-once snapshot
// lies right behind the barrier in every channel that has it, and at the end of the others; what an unaligned one has not
// read up to there it records.
func TestAlignerAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newest := checkpoint.ID(rapid.IntRange(1, 5).Draw(t, "newest"))
		r := &alignerRun{
			mode:      rapid.SampledFrom([]checkpoint.Mode{checkpoint.ExactlyOnce, checkpoint.AtLeastOnce}).Draw(t, "mode"),
			alignment: make(map[checkpoint.ID]checkpoint.Alignment), now: someTime,
			cancelled: make(map[checkpoint.ID]bool), triggered: make(map[checkpoint.ID]bool),
			cuts: make(map[checkpoint.ID][]int), recorded: make(map[checkpoint.ID][]int),
		}
		for id := range newest + 1 {
			r.alignment[id+1] = rapid.SampledFrom([]checkpoint.Alignment{
				checkpoint.AlignmentAligned, checkpoint.AlignmentUnaligned, checkpoint.AlignmentAdaptive,
			}).Draw(t, "alignment")
		}
		n := rapid.IntRange(1, 4).Draw(t, "channels")
		for range n {
			r.scripts = append(r.scripts, drawScript(t, newest))
		}
		r.a, r.at, r.arrived, r.announced, r.blocked = New(n), make([]int, n), make([]int, n), make([]int, n), make([]bool, n)
		for r.step(t) {
			r.also(t, newest)
		}
		if slices.Contains(r.blocked, true) {
			t.Fatalf("a channel stays blocked: %v at %v", r.scripts, r.at)
		}
		for id := checkpoint.ID(1); id <= newest+1; id++ {
			r.compare(t, id)
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

func (r *alignerRun) compare(t *rapid.T, id checkpoint.ID) {
	want := make([]int, len(r.scripts))
	begun := r.triggered[id]
	var skipped []int
	for c, script := range r.scripts {
		at := slices.Index(script, id)
		switch {
		case at >= 0:
			begun, want[c] = true, at+1
		case len(script) > 0 && slices.Max(script) > id:
			skipped = append(skipped, c)
		default:
			want[c] = len(script) + 1 // the end was read
		}
	}
	cut, taken := r.cuts[id]
	recorded := r.recorded[id]
	if expected := begun && len(skipped) == 0 && !r.cancelled[id]; taken != expected && len(recorded) == 0 {
		t.Fatalf("checkpoint %d: snapshot %t, want %t; scripts %v, cancelled %v", id, taken, expected, r.scripts, r.cancelled)
	}
	for _, c := range skipped {
		if taken && !slices.Contains(recorded, c) {
			t.Fatalf("checkpoint %d was taken without waiting for channel %d, which skips it; scripts %v", id, c, r.scripts)
		}
	}
	for c := range cut {
		switch {
		case slices.Contains(skipped, c): // the recording finds that out
		case slices.Contains(recorded, c) && cut[c] >= want[c]:
			t.Fatalf("checkpoint %d: channel %d is recorded, but was read to %d, want before %d", id, c, cut[c], want[c])
		case slices.Contains(recorded, c):
		case cut[c] < want[c] || cut[c] > want[c] && r.mode == checkpoint.ExactlyOnce:
			t.Fatalf("checkpoint %d: cut at %v, want %v, recorded %v; scripts %v", id, cut, want, recorded, r.scripts)
		}
	}
}
