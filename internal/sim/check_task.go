package sim

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// started demands that each subtask of an attempt runs in one process only, and only once: a second run would
// repeat what the first one has sent (I7).
func (k *checker) started(a *attempt, t *task) {
	key := subtaskKey{attemptKey{a.deploy.Job, a.number()}, t.id}
	if before, found := k.runs[key]; found {
		k.w.violate(I7, "%s of attempt %d starts on %s, and has run on %s", t.id, a.number(), a.n.ref.ID, before.ID)
	}
	k.runs[key] = a.n.ref
}

// restored demands that a task starts from exactly what its checkpoint holds for it (I7).
func (k *checker) restored(a *attempt, id checkpoint.SubtaskID, state checkpoint.SubtaskState) {
	m, found := k.manifests[checkpointKey{a.deploy.Job, a.deploy.Restore}]
	if !found {
		k.w.violate(I7, "attempt %d restores checkpoint %d, which has no manifest", a.number(), a.deploy.Restore)
		return
	}
	k.chunksThere(chunksOf(state), fmt.Sprintf("checkpoint %d, which attempt %d restores,", a.deploy.Restore, a.number()))
	for _, s := range m.Subtasks {
		if s.Subtask == id && sameState(s, state) {
			return
		}
	}
	k.w.violate(I7, "attempt %d restores %s with what is not its state in checkpoint %d", a.number(), id, a.deploy.Restore)
}

// handed demands that a frame stays in its attempt: what the zombie of an older one still sends is refused (I6).
func (k *checker) handed(from, to *task) {
	if from.deployed != to.deployed {
		k.w.violate(I6, "%s of attempt %d hands a frame to %s of attempt %d", from.id, from.deployed, to.id, to.deployed)
	}
}

// acked notes what a task really captured, and on which machines that is durable.
func (k *checker) acked(t *task, ack checkpoint.Ack, on []*host) {
	k.chunksAcked(ack, on)
	key := subtaskKey{attemptKey{ack.Job, t.deployed}, ack.State.Subtask}
	k.acks[ackKey{key, ack.Checkpoint}] = ack.State
}

// status notes how a task really ended.
func (k *checker) status(t *task) {
	execution := subtaskKey{attemptKey{t.a.deploy.Job, t.deployed}, t.id}
	switch t.last.Status {
	case checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		k.failures[execution] = true
		fallthrough
	case checkpoint.SubtaskFinished:
		k.ended[execution] = t.last.Status
	}
}

// checkManifest demands that a completed checkpoint has a manifest in the store, that every state in it was
// captured by that subtask for that checkpoint (or is its final one), and that together they are one consistent
// cut through the job.
func (k *checker) checkManifest(key checkpointKey, c fsm.CompleteCheckpoint) {
	data, found := k.w.content(c.Manifest.ID)
	if !found {
		k.w.violate(I5, "checkpoint %d completes without a manifest on any disk", key.id)
		return
	}
	m, err := checkpoint.DecodeManifest(data)
	if err != nil || m.Job != c.Job || m.ID != c.Checkpoint || m.Attempt != c.Attempt {
		k.w.violate(I7, "checkpoint %d of attempt %d completes with a manifest of %d of %d: %v", key.id, c.Attempt, m.ID, m.Attempt, err)
		return
	}
	k.manifests[key] = m
	k.chunksCompleted(key, c.Manifest.ID, m)
	j := k.state.Jobs[c.Job]
	k.sharesNothing(j, key.id, m)
	for ordinal, s := range j.Topology.Subtasks() {
		k.checkState(c, m.Subtasks[ordinal], k.executionKey(j.ID, ordinal, s))
	}
	for ordinal, inputs := range inputsOf(j.Topology) {
		if len(inputs) == 0 {
			continue
		}
		var sum int64
		for _, from := range inputs {
			sum += m.Subtasks[from].Size()
		}
		if got := m.Subtasks[ordinal]; got.Size() != sum {
			k.w.violate(I7, "checkpoint %d: %s holds %d, its inputs had sent %d: not one cut", key.id, got.Subtask, got.Size(), sum)
		}
	}
}

// checkState demands that a state in a manifest is what the subtask acknowledged: each ack counted once, and for
// what it was given (I6).
func (k *checker) checkState(c fsm.CompleteCheckpoint, state checkpoint.SubtaskState, subtask subtaskKey) {
	s := subtask.subtask
	if real, found := k.acks[ackKey{subtask, c.Checkpoint}]; found && sameState(real, state) && state.Subtask == s {
		return
	}
	if k.ended[subtask] == checkpoint.SubtaskFinished && state.EndOfData && state.Subtask == s {
		for key, real := range k.acks {
			if key.subtaskKey == subtask && sameState(real, state) && k.outcomes[checkpointKey{c.Job, key.id}].completed {
				return
			}
		}
	}
	k.w.violate(I6, "checkpoint %d of attempt %d completes with a state that %s has not acknowledged for it", c.Checkpoint, c.Attempt, s)
}

func sameState(a, b checkpoint.SubtaskState) bool {
	return a.Subtask == b.Subtask && a.EndOfData == b.EndOfData && len(a.Handles) == len(b.Handles) &&
		slices.EqualFunc(a.Handles, b.Handles, func(a, b checkpoint.Handle) bool { return slices.Equal(a.Chunks, b.Chunks) })
}

// inputsOf returns the ordinals of the tasks that each task, by its ordinal, reads from.
func inputsOf(t checkpoint.Topology) [][]int {
	base := make([]int, len(t.Vertices))
	for i := 1; i < len(base); i++ {
		base[i] = base[i-1] + t.Vertices[i-1].Parallelism
	}
	inputs := make([][]int, t.NumSubtasks())
	for _, e := range t.Edges {
		for from := range t.Vertices[e.From].Parallelism {
			for to := range t.Vertices[e.To].Parallelism {
				if e.Partitioning != checkpoint.Forward || from == to {
					inputs[base[e.To]+to] = append(inputs[base[e.To]+to], base[e.From]+from)
				}
			}
		}
	}
	return inputs
}
