package sim

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

// task is one subtask. Its state is a number: of a source how far it has read, of every other the sum of what
// its inputs had sent. So every manifest can be checked to be one consistent cut through the job.
type task struct {
	a       *attempt
	w       *World
	ordinal int
	id      checkpoint.SubtaskID
	last    checkpoint.SubtaskReport
	alignment
	outputs []*channel

	deployed checkpoint.Attempt // it; a may be a later one that has taken it over
	restore  checkpoint.ID      // what it was restored from
	started  bool
	ending   bool // cancelled or stopped: nothing happens in it any more

	base     int64                                     // what it was restored with
	restored bool                                      // at the end of its input
	since    time.Duration                             // when it began to run
	atEnd    bool                                      // has seen the end of its input
	ends     []bool                                    // inputs that have no more data
	finals   map[checkpoint.ID]checkpoint.SubtaskState // with whose completion it finishes
	captured map[checkpoint.ID]bool                    // whose outcome it has to hear before it may finish without one
	aborted  map[checkpoint.ID]bool                    // uploads that were cancelled
	leaving  bool                                      // has sent its last frame, and finishes when that has arrived
	notified checkpoint.ID
	// suspended is the savepoint behind which it emits nothing, 0 for none; a source stands still at frozen.
	suspended checkpoint.ID
	frozen    int64
	shared    checkpoint.ChunkID // of the last snapshot, or of the state that was restored
}

func newTask(a *attempt, ordinal int, id checkpoint.SubtaskID, inputs [][]int, state checkpoint.SubtaskState) *task {
	t := &task{
		a: a, w: a.n.w, ordinal: ordinal, id: id, deployed: a.number(), restore: a.deploy.Restore, alignment: newAlignment(inputs[ordinal]),
		last:   checkpoint.SubtaskReport{Subtask: id, Status: checkpoint.SubtaskInitializing},
		ends:   make([]bool, len(inputs[ordinal])),
		base:   state.Size(),
		finals: make(map[checkpoint.ID]checkpoint.SubtaskState), aborted: make(map[checkpoint.ID]bool),
		captured: make(map[checkpoint.ID]bool), restored: state.EndOfData,
	}
	if chunks := chunksOf(state); len(chunks) > 1 {
		t.shared = chunks[1]
	}
	if a.deploy.Restore != 0 {
		a.n.w.check.restored(a, id, state)
	}
	for to, from := range inputs {
		for at, f := range from {
			if f == ordinal {
				t.outputs = append(t.outputs, newChannel(t, to, at))
			}
		}
	}
	return t
}

func (t *task) isSource() bool { return len(t.inputs) == 0 }

// ended reports whether the task changes no more.
func (t *task) ended() bool {
	switch t.last.Status {
	case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		return true
	}
	return false
}

// report records a new status and tells it, if the attempt is still the one that counts.
func (t *task) report(r checkpoint.SubtaskReport) {
	if t.ended() {
		return
	}
	r.Subtask = t.id
	t.last = r
	t.w.check.status(t)
	if t.current() {
		t.a.n.tell(checkpoint.StatusChange{Job: t.a.deploy.Job, Attempt: t.a.number(), Report: r})
	}
}

func (t *task) current() bool {
	return t.a.n.up && t.a.n.jobs[t.a.deploy.Job].current == t.a
}

func (t *task) run() {
	if t.ended() {
		return
	}
	t.since = t.w.now
	t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskRunning})
	limit := t.w.limit(t.a.deploy.Job)
	switch {
	case t.restored:
		t.endInput()
	case t.isSource() && limit > 0:
		t.after(limit-time.Duration(t.base)*time.Millisecond, t.endInput)
	}
	t.process()
}

// value is the task's state.
func (t *task) value() int64 {
	if !t.isSource() {
		return t.sum()
	}
	if t.suspended != 0 {
		return t.frozen
	}
	read := t.base
	if !t.restored && t.last.Status != checkpoint.SubtaskInitializing {
		read += (t.w.now - t.since).Milliseconds()
	}
	if limit := t.w.limit(t.a.deploy.Job); limit > 0 {
		read = min(read, limit.Milliseconds())
	}
	return read
}

// endInput is the end of the data. The task goes on taking part in checkpoints until one that covers it has
// completed.
func (t *task) endInput() {
	if t.ended() || t.atEnd || t.suspended != 0 {
		return
	}
	t.atEnd = true
	t.broadcast(frame{kind: endOfData})
	t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskFinishing})
	t.finishUncovered()
}

// finishUncovered ends a task that is not to wait for a final checkpoint, when it has heard what became of those that
// it has taken part in.
func (t *task) finishUncovered() {
	open := slices.ContainsFunc(t.inputs, func(in *input) bool { return !in.closed })
	if t.a.deploy.AfterTasksFinish || !t.atEnd || open || len(t.captured) > 0 || t.ended() || t.ending {
		return
	}
	if t.leaving {
		return
	}
	t.leaving = true
	t.broadcast(frame{kind: endOfPartition})
	t.finishDelivered()
}

// finishDelivered ends the task when everything that it has sent has arrived: its end is a channel's end, and nothing
// makes good for what is lost with that.
func (t *task) finishDelivered() {
	if slices.ContainsFunc(t.outputs, func(c *channel) bool { return c.pipe.pumping }) {
		t.after(10*time.Millisecond, t.finishDelivered)
		return
	}
	t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskFinished})
}

// snapshot captures the state, stores it beside the work, and sends the barrier on.
func (t *task) snapshot(b checkpoint.Barrier) {
	state := t.state(b)
	if b.Kind == checkpoint.KindCheckpoint || b.Stop != checkpoint.StopNone {
		t.captured[b.ID] = true
	}
	if b.Stop == checkpoint.StopSuspend {
		t.suspended, t.frozen = b.ID, state.Size()
	}
	t.broadcast(frame{kind: barrier, barrier: b, value: state.Size()})
	t.after(t.w.uploadTime(), func() {
		t.store(state, func(on []*host) {
			t.w.gate(t, b, func() { t.answer(b, state, on) })
		})
	})
}

// answer acknowledges a checkpoint whose snapshot is stored, unless there is no need any more.
func (t *task) answer(b checkpoint.Barrier, state checkpoint.SubtaskState, on []*host) {
	switch {
	case t.ended() || t.aborted[b.ID]:
	case !t.w.calm && t.w.chance(t.w.cfg.Declines):
		t.decline(b, checkpoint.ReasonAsyncException)
	default:
		t.ack(b, state, on)
	}
}

// state names the captured value by who captured it, so that it is told from every other. Beside it stands a chunk
// that several snapshots in a row have in common, as those of a large state do.
func (t *task) state(b checkpoint.Barrier) checkpoint.SubtaskState {
	value := t.value()
	h := fnv.New64a()
	fmt.Fprint(h, t.a.deploy.Job, t.a.number(), b.ID, t.id, t.a.n.ref, value)
	var chunk checkpoint.ChunkID
	binary.BigEndian.PutUint64(chunk[:], h.Sum64())
	full := b.Full && !t.w.broken(SharesWithTheSource)
	if t.shared.IsZero() || full || t.w.chance(0.3) {
		t.shared = chunk
		t.shared[31] = 1
	}
	return checkpoint.SubtaskState{Subtask: t.id, EndOfData: t.atEnd, Handles: []checkpoint.Handle{{
		Operator: checkpoint.OperatorID(t.id.Vertex), Kind: checkpoint.ListState,
		Chunks: []checkpoint.ChunkRef{{ID: chunk, Size: value}, {ID: t.shared}},
	}}}
}

func (t *task) ack(b checkpoint.Barrier, state checkpoint.SubtaskState, on []*host) {
	if b.Stop != checkpoint.StopNone || state.EndOfData && b.Kind == checkpoint.KindCheckpoint {
		t.finals[b.ID] = state
	}
	ack := checkpoint.Ack{Job: t.a.deploy.Job, Attempt: t.a.number(), Checkpoint: b.ID, State: state}
	t.w.check.acked(t, ack, on)
	t.sayAck(ack, b.Kind)
}

// sayAck enters an ack in the attempt's book and tells it.
func (t *task) sayAck(ack checkpoint.Ack, kind checkpoint.Kind) {
	if t.current() && enter(&t.a.book, t.a.book.acks, ack.Checkpoint, kind, t.ordinal, ack) {
		t.a.n.tell(checkpoint.AckBatch{Acks: []checkpoint.Ack{ack}})
		t.w.moment(Moment{Kind: Acked, Node: t.a.n.ref.ID})
	}
}

func (t *task) decline(b checkpoint.Barrier, reason checkpoint.Reason) {
	d := checkpoint.Decline{
		Job: t.a.deploy.Job, Attempt: t.a.number(), Checkpoint: b.ID, Subtask: t.id, Reason: reason, Message: "simulated",
	}
	t.sayDecline(d, b.Kind)
}

// sayDecline enters a decline in the attempt's book and tells it.
func (t *task) sayDecline(d checkpoint.Decline, kind checkpoint.Kind) {
	if t.current() && enter(&t.a.book, t.a.book.declines, d.Checkpoint, kind, t.ordinal, d) {
		t.a.n.tell(d)
	}
}

func (t *task) notifyComplete(id checkpoint.ID) {
	t.notified = max(t.notified, id)
	maps.DeleteFunc(t.captured, func(older checkpoint.ID, _ bool) bool { return older <= id })
	final, found := t.finals[id]
	if !found || t.ended() || t.ending {
		t.finishUncovered()
		return
	}
	t.broadcast(frame{kind: endOfPartition})
	t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskFinished, Final: final, FinalCheckpoint: id})
}

func (t *task) notifyAborted(id checkpoint.ID) {
	t.aborted[id] = true
	delete(t.finals, id)
	delete(t.captured, id)
	if !t.ended() && !t.ending {
		t.cancelAlignment(id, false)
		t.finishUncovered()
	}
}

// fail ends the task by an error, and with it the channels that it held.
func (t *task) fail(message string, secondary bool) {
	if t.ended() || t.ending {
		return
	}
	t.report(checkpoint.SubtaskReport{
		Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{Message: message, Secondary: secondary},
	})
	t.breakChannels()
}
