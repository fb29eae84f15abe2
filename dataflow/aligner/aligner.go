package aligner

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

// Aligner decides when a task with several input channels takes its snapshot: between the records that every
// channel delivered before the barrier and those that follow. It is pure: what happens goes in by the On
// methods, what is to be done comes out as effects, to be carried out in order before the next call. It
// belongs to one goroutine.
//
// A barrier that may overtake is heard of twice: when it arrives (OnArrival), and when its turn comes in the channel's
// queue (OnBarrier). What an unaligned one finds queued before it, and what other channels still deliver before theirs,
// belongs to the checkpoint and becomes part of the snapshot.
//
// Several checkpoints may be pending. A channel delivers barriers in the order of their IDs, with gaps where
// a checkpoint was given up upstream; that rule is what tells a barrier that is late from one that will never
// come. Snapshots are taken in that order, too: an unaligned barrier does not overtake an older checkpoint, but
// takes its snapshot when that is settled.
type Aligner struct {
	open    []bool // channels that have not ended
	pending []alignment
	// newestBarrier is the highest ID that a channel has delivered. A lower one that is not pending can not
	// complete any more: the channel that delivered the higher one has skipped it.
	newestBarrier checkpoint.ID
	// snapshotted is the highest ID that a snapshot was ordered for. Snapshots are ordered with rising IDs.
	snapshotted checkpoint.ID
	// cancelled are the IDs above snapshotted that were given up. Their barriers start nothing.
	cancelled map[checkpoint.ID]bool
}

// alignment is a pending checkpoint.
type alignment struct {
	barrier checkpoint.Barrier
	arrived []bool // channels that have delivered the barrier
	blocked []int  // channels that wait for the others, in the order of arrival
	// urgent: an unaligned barrier has arrived, or the deadline has passed. The snapshot waits for older ones only.
	urgent   bool
	deadline time.Time // of an adaptive one whose first barrier has arrived; zero otherwise
}

// New returns the aligner of a task with the given number of input channels, all open. A source has
// none.
func New(channels int) *Aligner {
	a := &Aligner{open: make([]bool, channels), cancelled: make(map[checkpoint.ID]bool)}
	for i := range a.open {
		a.open[i] = true
	}
	return a
}

// OnBarrier takes in a barrier that an open channel has delivered: its turn has come.
func (a *Aligner) OnBarrier(channel int, b checkpoint.Barrier) []Effect {
	i, effects := a.admit(channel, b)
	if i < 0 || a.pending[i].arrived[channel] {
		return append(effects, a.overtake()...)
	}
	p := &a.pending[i]
	p.arrived[channel] = true
	if a.aligned(p) {
		return append(effects, a.completeUpTo(i)...)
	}
	if b.Mode == checkpoint.ExactlyOnce {
		p.blocked = append(p.blocked, channel)
		effects = append(effects, Effect{Kind: EffectBlock, Channels: []int{channel}})
	}
	return append(effects, a.overtake()...)
}

// admit takes in that b is the first barrier of a channel, and returns its place among the pending ones, or -1 when it is
// late, so that the channel just goes on.
func (a *Aligner) admit(channel int, b checkpoint.Barrier) (int, []Effect) {
	effects := a.subsume(channel, b.ID)
	i, skipped := a.find(b.ID), b.ID <= a.newestBarrier
	a.newestBarrier = max(a.newestBarrier, b.ID) // of a cancelled checkpoint, too: it says what was skipped
	if i < 0 && (skipped || a.settled(b.ID)) {
		return -1, effects
	}
	if i < 0 {
		i = a.begin(b)
		effects = append(effects, Effect{Kind: EffectBegin, Barrier: b})
	}
	return i, effects
}

// OnEndOfPartition takes in that a channel has ended: nobody waits for it any more.
func (a *Aligner) OnEndOfPartition(channel int) []Effect {
	a.open[channel] = false
	for i := len(a.pending) - 1; i >= 0; i-- {
		if a.aligned(&a.pending[i]) {
			return a.completeUpTo(i)
		}
	}
	return nil
}

// OnTrigger takes in that the coordinator has triggered the task itself: it is a source, or all its
// predecessors have finished. Their end may not have been read yet, so the snapshot waits until each open
// channel has ended (or has delivered the barrier after all). It does not overtake what they still deliver: that may be the
// barrier of an older checkpoint, of which a trigger, unlike a barrier, says nothing.
func (a *Aligner) OnTrigger(b checkpoint.Barrier) []Effect {
	if a.find(b.ID) >= 0 || a.settled(b.ID) {
		return nil
	}
	i := a.begin(b)
	effects := []Effect{{Kind: EffectBegin, Barrier: b}}
	if a.aligned(&a.pending[i]) {
		effects = append(effects, a.completeUpTo(i)...)
	}
	return effects
}

// OnCancel takes in that a checkpoint was given up, upstream or by the coordinator, whether or not one of its
// barriers has arrived.
func (a *Aligner) OnCancel(id checkpoint.ID) []Effect {
	if a.settled(id) {
		return nil
	}
	a.cancelled[id] = true
	var effects []Effect
	if i := a.find(id); i >= 0 {
		effects = a.release(i)
	}
	effects = append(effects, Effect{Kind: EffectAbort, Barrier: checkpoint.Barrier{ID: id}})
	return append(effects, a.overtake()...)
}

// subsume gives up the pending checkpoints whose barrier the channel has skipped by delivering newer.
func (a *Aligner) subsume(channel int, newer checkpoint.ID) []Effect {
	var effects []Effect
	for i := 0; i < len(a.pending) && a.pending[i].barrier.ID < newer; {
		if a.pending[i].arrived[channel] {
			i++
			continue
		}
		b := a.pending[i].barrier
		effects = append(effects, a.release(i)...)
		effects = append(effects, Effect{Kind: EffectSubsume, Barrier: b})
		a.cancelled[b.ID] = true
	}
	return effects
}

// completeUpTo orders the snapshot of the pending checkpoint at i, which is aligned. So are all older ones: a
// channel that delivered the barrier of one of them has delivered, or has made the aligner give up, everything
// before it. More than one are pending and aligned only when their last channel has ended just now.
func (a *Aligner) completeUpTo(i int) []Effect {
	var effects []Effect
	for range i + 1 {
		b := a.pending[0].barrier
		effects = append(effects, Effect{Kind: EffectSnapshot, Barrier: b})
		effects = append(effects, a.release(0)...)
		a.taken(b.ID)
	}
	return append(effects, a.overtake()...)
}

// taken notes that the snapshot of a checkpoint was ordered.
func (a *Aligner) taken(id checkpoint.ID) {
	a.snapshotted = id
	maps.DeleteFunc(a.cancelled, func(older checkpoint.ID, _ bool) bool { return older <= id })
}

// release removes the pending checkpoint at i and lets its channels go on.
func (a *Aligner) release(i int) []Effect {
	blocked := a.pending[i].blocked
	a.pending = slices.Delete(a.pending, i, i+1)
	if len(blocked) == 0 {
		return nil
	}
	return []Effect{{Kind: EffectUnblock, Channels: blocked}}
}

// begin puts a checkpoint among the pending ones, which are ordered by ID, and returns its position.
func (a *Aligner) begin(b checkpoint.Barrier) int {
	i, _ := slices.BinarySearchFunc(a.pending, b.ID, func(p alignment, id checkpoint.ID) int {
		return cmp.Compare(p.barrier.ID, id)
	})
	a.pending = slices.Insert(a.pending, i, alignment{barrier: b, arrived: make([]bool, len(a.open))})
	return i
}

func (a *Aligner) find(id checkpoint.ID) int {
	return slices.IndexFunc(a.pending, func(p alignment) bool { return p.barrier.ID == id })
}

// settled reports whether a checkpoint needs nothing more from this task.
func (a *Aligner) settled(id checkpoint.ID) bool { return id <= a.snapshotted || a.cancelled[id] }

// aligned reports whether every open channel has delivered the barrier.
func (a *Aligner) aligned(p *alignment) bool {
	for channel, open := range a.open {
		if open && !p.arrived[channel] {
			return false
		}
	}
	return true
}
