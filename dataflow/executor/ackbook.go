package executor

import (
	"cmp"
	"slices"

	"cairn/checkpoint"
)

// ackbook keeps the answers of one attempt's subtasks to the checkpoints whose outcome has not been heard,
// so that they can be given again to a new leader: that is what lets it adopt a checkpoint in flight.
// It is pure; the executor's mutex guards it.
type ackbook struct {
	acks     map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.Ack
	declines map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.Decline
	// completed is the newest checkpoint known to be complete; it and all older ones have their outcome.
	completed checkpoint.ID
	// aborted are the checkpoints above completed that are known to have failed. An abort says nothing of
	// older checkpoints: with several in flight, an older one may still complete.
	aborted map[checkpoint.ID]bool
}

func newAckbook() *ackbook {
	return &ackbook{
		acks:     make(map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.Ack),
		declines: make(map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.Decline),
		aborted:  make(map[checkpoint.ID]bool),
	}
}

func (b *ackbook) resolved(id checkpoint.ID) bool { return id <= b.completed || b.aborted[id] }

// ack records an ack and reports whether it is news. It is not when the checkpoint's outcome is known
// or when the subtask has answered already.
func (b *ackbook) ack(a checkpoint.Ack) bool {
	if b.resolved(a.Checkpoint) {
		return false
	}
	return record(b.acks, a.Checkpoint, a.State.Subtask, a)
}

// decline records a decline, as ack does.
func (b *ackbook) decline(d checkpoint.Decline) bool {
	if b.resolved(d.Checkpoint) {
		return false
	}
	return record(b.declines, d.Checkpoint, d.Subtask, d)
}

// complete records that a checkpoint has completed: what was said of it and of all older ones is settled.
func (b *ackbook) complete(id checkpoint.ID) {
	b.completed = max(b.completed, id)
	b.forgetResolved()
}

// abort records that a checkpoint has failed.
func (b *ackbook) abort(id checkpoint.ID) {
	b.aborted[id] = true
	b.forgetResolved()
}

func (b *ackbook) forgetResolved() {
	for id := range b.aborted {
		if id <= b.completed {
			delete(b.aborted, id)
		}
	}
	for id := range b.acks {
		if b.resolved(id) {
			delete(b.acks, id)
		}
	}
	for id := range b.declines {
		if b.resolved(id) {
			delete(b.declines, id)
		}
	}
}

// unresolvedAcks returns the acks whose outcome has not been heard, by checkpoint, then subtask.
func (b *ackbook) unresolvedAcks() []checkpoint.Ack { return ordered(b.acks) }

// unresolvedDeclines returns the declines whose outcome has not been heard, by checkpoint, then subtask.
func (b *ackbook) unresolvedDeclines() []checkpoint.Decline { return ordered(b.declines) }

func record[T any](m map[checkpoint.ID]map[checkpoint.SubtaskID]T, id checkpoint.ID, s checkpoint.SubtaskID, v T) bool {
	if _, known := m[id][s]; known {
		return false
	}
	if m[id] == nil {
		m[id] = make(map[checkpoint.SubtaskID]T)
	}
	m[id][s] = v
	return true
}

func ordered[T any](m map[checkpoint.ID]map[checkpoint.SubtaskID]T) []T {
	var all []T
	for _, id := range sortedKeys(m, cmp.Compare) {
		for _, s := range sortedKeys(m[id], compareSubtasks) {
			all = append(all, m[id][s])
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
