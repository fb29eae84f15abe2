package sim

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// apply applies one committed entry and answers who waits for it.
func (r *replica) apply(index int) {
	e := r.log[index-1]
	r.w.check.committed(r, index, e)
	var response fsm.Response
	if e.command != "" {
		response = r.step(index, e)
	}
	r.w.check.applied(r, index, response)
	if index-r.snapshotIndex >= snapshotEvery {
		r.takeSnapshot(index)
	}
	r.answered(index, response)
	if r.role == leading && index == r.barrier && r.term == e.term {
		r.owner.lead(r.term)
	}
	r.w.moment(Moment{Kind: Applied, Coordinator: r.owner.id, Command: r.w.check.command(index)})
}

func (r *replica) step(index int, e entry) fsm.Response {
	c, err := fsm.DecodeCommand([]byte(e.command))
	if err != nil {
		r.w.violate(harness, "decoding index %d: %v", index, err)
		return fsm.Response{}
	}
	if begin, ok := c.(fsm.BeginCheckpoint); ok && r.w.broken(StampsWhenApplying) {
		begin.At = checkpoint.Timestamp(r.owner.clock().UnixMilli())
		c = begin
	}
	result, err := r.w.apply(r.state, uint64(index), c)
	return fsm.Response{Result: result, Err: err}
}

func (r *replica) takeSnapshot(index int) {
	data, err := fsm.EncodeSnapshot(r.state)
	if err != nil {
		r.w.violate(harness, "snapshot at index %d: %v", index, err)
		return
	}
	r.snapshot, r.snapshotIndex = data, index
}

// answered hands a response to the proposal that the entry belongs to. The leader loop hears of it a moment
// later, as from another goroutine.
func (r *replica) answered(index int, response fsm.Response) {
	for _, p := range r.waiting {
		if index < p.first || index >= p.first+p.left+len(p.responses) {
			continue
		}
		p.responses = append(p.responses, response)
		p.left--
		if p.left == 0 {
			r.waiting = slices.DeleteFunc(r.waiting, func(q *proposal) bool { return q == p })
			r.owner.after(r.w.between(time.Microsecond, time.Millisecond), func() { p.done(p.responses, true) })
		}
		return
	}
}

// failWaiting tells the proposals in flight that their outcome is unknown: the entries may yet be committed by
// the next leader, or be gone.
func (r *replica) failWaiting() {
	waiting := r.waiting
	r.waiting = nil
	for _, p := range waiting {
		r.owner.after(r.w.between(time.Microsecond, time.Millisecond), func() { p.done(nil, false) })
	}
}
