package aligner

import (
	"time"

	"cairn/checkpoint"
)

// Overtakes reports whether the barrier may overtake records from the start. Only the barriers of checkpoints that are
// exactly-once do: a savepoint has no records in flight, as it is to outlive the graph.
func Overtakes(b checkpoint.Barrier) bool {
	return MayOvertake(b) && b.Alignment == checkpoint.AlignmentUnaligned
}

// MayOvertake reports whether the barrier may overtake records now or after its timeout.
func MayOvertake(b checkpoint.Barrier) bool {
	return b.Mode == checkpoint.ExactlyOnce && b.Kind == checkpoint.KindCheckpoint && b.Stop == checkpoint.StopNone &&
		(b.Alignment == checkpoint.AlignmentUnaligned || b.Alignment == checkpoint.AlignmentAdaptive)
}

// OvertakesAt is when an adaptive barrier begins to overtake: its timeout after the trigger, so that all subtasks
// switch at one time and the timeout is spent once, not once per subtask on the way. It is never later than the timeout
// after the barrier was met here, which is what counts when the clocks differ.
func OvertakesAt(b checkpoint.Barrier, met time.Time) time.Time {
	triggered, local := time.UnixMilli(int64(b.Timestamp)).Add(b.AlignmentTimeout), met.Add(b.AlignmentTimeout)
	if triggered.Before(local) {
		return triggered
	}
	return local
}

// OnArrival takes in that a barrier which may overtake has arrived on an open channel. What is queued before it may be
// records, but no other barrier. Arrivals of other barriers need not be told.
func (a *Aligner) OnArrival(channel int, b checkpoint.Barrier, now time.Time) []Effect {
	i, effects := a.admit(channel, b)
	if i < 0 || !MayOvertake(b) {
		return append(effects, a.overtake()...)
	}
	p := &a.pending[i]
	if !Overtakes(b) && p.deadline.IsZero() {
		p.deadline = OvertakesAt(b, now)
	}
	if Overtakes(b) || p.late(now) {
		p.urgent = true
	}
	return append(effects, a.overtake()...)
}

// OnTimeout takes in that the time of Deadline has come.
func (a *Aligner) OnTimeout(now time.Time) []Effect {
	for i := range a.pending {
		if a.pending[i].late(now) {
			a.pending[i].urgent = true
		}
	}
	return a.overtake()
}

// Deadline returns when OnTimeout is to be called next, and whether it is.
func (a *Aligner) Deadline() (at time.Time, set bool) {
	for _, p := range a.pending {
		if !p.urgent && !p.deadline.IsZero() && (!set || p.deadline.Before(at)) {
			at, set = p.deadline, true
		}
	}
	return at, set
}

func (p *alignment) late(now time.Time) bool { return !p.deadline.IsZero() && !now.Before(p.deadline) }

// overtake orders the snapshots of checkpoints that wait for nothing but the older ones, which are settled: those need
// not be aligned. The channels that have not delivered the barrier have to be recorded until they do.
func (a *Aligner) overtake() []Effect {
	var effects []Effect
	for len(a.pending) > 0 && a.pending[0].urgent {
		p := a.pending[0]
		p.barrier.Alignment = checkpoint.AlignmentUnaligned // downstream, too
		snapshot := Effect{Kind: EffectSnapshot, Barrier: p.barrier}
		for channel, open := range a.open {
			if open && !p.arrived[channel] {
				snapshot.Channels = append(snapshot.Channels, channel)
			}
		}
		effects = append(append(effects, snapshot), a.release(0)...)
		a.taken(p.barrier.ID)
	}
	return effects
}
