package sim

import (
	"cmp"
	"slices"

	"cairn/checkpoint"
)

type frameKind uint8

const (
	barrier frameKind = iota
	cancelBarrier
	endOfData
	endOfPartition
)

// frame is what flows between tasks, records left out: a barrier carries what they would have added up to.
type frame struct {
	kind    frameKind
	barrier checkpoint.Barrier
	value   int64
}

// alignment is where a task stands with the barriers of its inputs. Exactly once: an input that has delivered a
// barrier waits for the others.
type alignment struct {
	inputs      []*input
	pending     []*aligning // ascending by ID
	newest      checkpoint.ID
	snapshotted checkpoint.ID
	cancelled   map[checkpoint.ID]bool
}

type input struct {
	from    int // ordinal
	queue   []frame
	blocked bool
	closed  bool
	value   int64 // as of the last barrier
}

type aligning struct {
	barrier checkpoint.Barrier
	arrived map[int]bool // by input
}

func newAlignment(from []int) alignment {
	a := alignment{cancelled: make(map[checkpoint.ID]bool)}
	for _, f := range from {
		a.inputs = append(a.inputs, &input{from: f})
	}
	return a
}

func (al *alignment) sum() int64 {
	var sum int64
	for _, in := range al.inputs {
		sum += in.value
	}
	return sum
}

func (al *alignment) find(id checkpoint.ID) int {
	return slices.IndexFunc(al.pending, func(p *aligning) bool { return p.barrier.ID == id })
}

func (al *alignment) settled(id checkpoint.ID) bool { return id <= al.snapshotted || al.cancelled[id] }

func (al *alignment) begin(b checkpoint.Barrier) *aligning {
	p := &aligning{barrier: b, arrived: make(map[int]bool)}
	i, _ := slices.BinarySearchFunc(al.pending, b.ID, func(p *aligning, id checkpoint.ID) int { return cmp.Compare(p.barrier.ID, id) })
	al.pending = slices.Insert(al.pending, i, p)
	return p
}

// release removes a pending checkpoint and lets its inputs go on.
func (al *alignment) release(p *aligning) {
	al.pending = slices.DeleteFunc(al.pending, func(q *aligning) bool { return q == p })
	for at := range p.arrived {
		al.inputs[at].blocked = false
	}
}

func (al *alignment) aligned(p *aligning) bool {
	for at, in := range al.inputs {
		if !in.closed && !p.arrived[at] {
			return false
		}
	}
	return true
}

// receive takes in a frame. Frames behind a barrier that waits for the other inputs wait with it.
func (t *task) receive(at int, f frame) {
	t.inputs[at].queue = append(t.inputs[at].queue, f)
	t.process()
}

// process reads its inputs until nothing is left to read; not before the task runs.
func (t *task) process() {
	if t.last.Status == checkpoint.SubtaskInitializing {
		return
	}
	for progress := true; progress && !t.ended() && !t.ending; {
		progress = false
		for at, in := range t.inputs {
			if len(in.queue) == 0 || in.blocked {
				continue
			}
			f := in.queue[0]
			in.queue = in.queue[1:]
			t.take(at, f)
			progress = true
		}
	}
}

func (t *task) take(at int, f frame) {
	switch f.kind {
	case barrier:
		t.onBarrier(at, f)
	case cancelBarrier:
		t.cancelAlignment(f.barrier.ID, true)
	case endOfData:
		t.ends[at] = true
		if !slices.Contains(t.ends, false) {
			t.endInput()
		}
	case endOfPartition:
		t.inputs[at].closed = true
		t.completeAligned()
		t.finishUncovered()
	}
}

func (t *task) onBarrier(at int, f frame) {
	id := f.barrier.ID
	t.subsume(at, id)
	i, skipped := t.find(id), id <= t.newest
	t.newest = max(t.newest, id)
	t.inputs[at].value = f.value
	if i < 0 && (skipped || t.settled(id)) {
		return
	}
	p := (*aligning)(nil)
	if i >= 0 {
		p = t.pending[i]
	} else {
		p = t.begin(f.barrier)
	}
	p.arrived[at], t.inputs[at].blocked = true, true
	t.completeAligned()
}

// subsume gives up the pending checkpoints that the input has skipped by delivering a newer one.
func (t *task) subsume(at int, newer checkpoint.ID) {
	for _, p := range slices.Clone(t.pending) {
		if p.barrier.ID >= newer || p.arrived[at] {
			continue
		}
		t.release(p)
		t.cancelled[p.barrier.ID] = true
		t.decline(p.barrier, checkpoint.ReasonDeclinedSubsumed)
		t.broadcast(frame{kind: cancelBarrier, barrier: p.barrier})
	}
}

// completeAligned takes the snapshots of all pending checkpoints up to the newest that is aligned.
func (t *task) completeAligned() {
	for i := len(t.pending) - 1; i >= 0; i-- {
		if !t.aligned(t.pending[i]) {
			continue
		}
		for _, p := range slices.Clone(t.pending[:i+1]) {
			t.snapshotted = p.barrier.ID
			t.snapshot(p.barrier)
			t.release(p)
		}
		return
	}
}

// onTrigger is the coordinator's trigger, of a source or of a task whose predecessors have all finished.
func (t *task) onTrigger(b checkpoint.Barrier) {
	if t.find(b.ID) >= 0 || t.settled(b.ID) {
		return
	}
	if t.suspended != 0 || t.leaving {
		t.decline(b, checkpoint.ReasonTaskClosing)
		return
	}
	if b.Stop == checkpoint.StopDrain && t.isSource() {
		t.captured[b.ID] = true // a moment early: it does not finish before it has taken the savepoint
		t.endInput()
	}
	t.begin(b)
	t.completeAligned()
	t.process()
}

func (t *task) cancelAlignment(id checkpoint.ID, forward bool) {
	if t.settled(id) {
		return
	}
	t.cancelled[id] = true
	if i := t.find(id); i >= 0 {
		t.release(t.pending[i])
	}
	if forward {
		t.broadcast(frame{kind: cancelBarrier, barrier: checkpoint.Barrier{ID: id}})
		return // from within process
	}
	t.process()
}
