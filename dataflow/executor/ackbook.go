package executor

import (
	"cmp"
	"maps"
	"slices"

	"cairn/checkpoint"
)

// settledMemory is how many IDs below the newest completion the ackbook remembers one by one. A late answer comes
// seconds behind its checkpoint's outcome, not a thousand checkpoints.
const settledMemory = 1000

// ackbook keeps the answers of one attempt's subtasks to the checkpoints whose outcome has not been heard,
// so that they can be given again to a new leader: that is what lets it adopt a checkpoint in flight.
// It is pure; the executor's mutex guards it.
type ackbook struct {
	acks     map[checkpoint.ID]*answers[checkpoint.Ack]
	declines map[checkpoint.ID]*answers[checkpoint.Decline]
	// completed is the newest checkpoint known to be complete; it and all older ones have their outcome. Older
	// savepoints need not: nothing subsumes them.
	completed checkpoint.ID
	// settled are the checkpoints and savepoints whose own outcome was heard. That of a savepoint says nothing of
	// others, and nor does an abort: with several in flight, an older one may still complete.
	settled map[checkpoint.ID]bool
	// floor is the newest ID up to which every checkpoint and savepoint had its outcome before the attempt was deployed, 0
	// where nobody is asked: only executions of an earlier attempt can answer to those.
	floor checkpoint.ID
}

// answers are what the subtasks have answered to one checkpoint.
type answers[T any] struct {
	kind checkpoint.Kind
	of   map[checkpoint.SubtaskID]T
}

func newAckbook() *ackbook {
	return &ackbook{
		acks:     make(map[checkpoint.ID]*answers[checkpoint.Ack]),
		declines: make(map[checkpoint.ID]*answers[checkpoint.Decline]),
		settled:  make(map[checkpoint.ID]bool),
	}
}

// inherit takes in what a deployment says of the checkpoints before it, for what it keeps.
func (b *ackbook) inherit(m checkpoint.Deploy) {
	if len(m.Kept) == 0 {
		return
	}
	b.floor, b.completed = m.Settled, m.Restore
	for _, id := range m.Aborted {
		b.settled[id] = true
	}
}

// resolved reports whether a checkpoint's outcome is known.
func (b *ackbook) resolved(id checkpoint.ID, kind checkpoint.Kind) bool {
	return id <= b.floor || b.settled[id] || kind != checkpoint.KindSavepoint && id <= b.completed
}

// ack records an ack and reports whether it is news. It is not when the checkpoint's outcome is known
// or when the subtask has answered already.
func (b *ackbook) ack(a checkpoint.Ack, kind checkpoint.Kind) bool {
	return !b.resolved(a.Checkpoint, kind) && record(b.acks, a.Checkpoint, kind, a.State.Subtask, a)
}

// decline records a decline, as ack does.
func (b *ackbook) decline(d checkpoint.Decline, kind checkpoint.Kind) bool {
	return !b.resolved(d.Checkpoint, kind) && record(b.declines, d.Checkpoint, kind, d.Subtask, d)
}

// complete records that a checkpoint has completed: what was said of it and of all older checkpoints is settled.
func (b *ackbook) complete(id checkpoint.ID) {
	b.completed = max(b.completed, id)
	b.settle(id)
}

// settle records that a checkpoint has failed, or that a savepoint has its outcome.
func (b *ackbook) settle(id checkpoint.ID) {
	b.settled[id] = true
	maps.DeleteFunc(b.settled, func(id checkpoint.ID, _ bool) bool { return id+settledMemory < b.completed })
	maps.DeleteFunc(b.acks, func(id checkpoint.ID, a *answers[checkpoint.Ack]) bool { return b.resolved(id, a.kind) })
	maps.DeleteFunc(b.declines, func(id checkpoint.ID, d *answers[checkpoint.Decline]) bool { return b.resolved(id, d.kind) })
}

// answered reports whether a subtask has answered to a checkpoint whose outcome is not known.
func (b *ackbook) answered(id checkpoint.ID, s checkpoint.SubtaskID) bool {
	return b.acks[id].has(s) || b.declines[id].has(s)
}

func (a *answers[T]) has(s checkpoint.SubtaskID) bool {
	if a == nil {
		return false
	}
	_, answered := a.of[s]
	return answered
}

// unresolvedAcks returns the acks whose outcome has not been heard, by checkpoint, then subtask.
func (b *ackbook) unresolvedAcks() []checkpoint.Ack { return ordered(b.acks) }

// unresolvedDeclines returns the declines whose outcome has not been heard, by checkpoint, then subtask.
func (b *ackbook) unresolvedDeclines() []checkpoint.Decline { return ordered(b.declines) }

func record[T any](m map[checkpoint.ID]*answers[T], id checkpoint.ID, kind checkpoint.Kind, s checkpoint.SubtaskID, v T) bool {
	a := m[id]
	if a == nil {
		a = &answers[T]{kind: kind, of: make(map[checkpoint.SubtaskID]T)}
		m[id] = a
	}
	if a.has(s) {
		return false
	}
	a.of[s] = v
	return true
}

func ordered[T any](m map[checkpoint.ID]*answers[T]) []T {
	var all []T
	for _, id := range sortedKeys(m, cmp.Compare) {
		for _, s := range sortedKeys(m[id].of, compareSubtasks) {
			all = append(all, m[id].of[s])
		}
	}
	return all
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(K, K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func compareSubtasks(a, b checkpoint.SubtaskID) int {
	return cmp.Or(cmp.Compare(a.Vertex, b.Vertex), cmp.Compare(a.Index, b.Index))
}
