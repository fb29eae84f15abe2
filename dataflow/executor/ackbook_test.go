package executor

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

func ackOf(id checkpoint.ID, index int) checkpoint.Ack {
	return checkpoint.Ack{Checkpoint: id, State: checkpoint.SubtaskState{Subtask: checkpoint.SubtaskID{Vertex: "v", Index: index}}}
}

func ackIDs(acks []checkpoint.Ack) []checkpoint.ID {
	var ids []checkpoint.ID
	for _, a := range acks {
		ids = append(ids, a.Checkpoint)
	}
	return ids
}

func TestAckIsKeptUntilItsOutcome(t *testing.T) {
	type op func(*ackbook)
	complete := func(id checkpoint.ID) op { return func(b *ackbook) { b.complete(id) } }
	abort := func(id checkpoint.ID) op { return func(b *ackbook) { b.settle(id) } }
	tests := []struct {
		name string
		ops  []op
		want []checkpoint.ID
	}{
		{"nothing heard", nil, []checkpoint.ID{4, 5, 6}},
		{"completion settles it and what is older", []op{complete(5)}, []checkpoint.ID{6}},
		{"an older completion settles nothing newer", []op{complete(3)}, []checkpoint.ID{4, 5, 6}},
		{"an abort settles only its own", []op{abort(5)}, []checkpoint.ID{4, 6}},
		{"heard again and late", []op{complete(5), abort(4), complete(5), complete(4), abort(2)}, []checkpoint.ID{6}},
		{"all", []op{abort(6), complete(5)}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newAckbook()
			for _, id := range []checkpoint.ID{6, 4, 5} {
				b.ack(ackOf(id, 0), checkpoint.KindCheckpoint)
			}
			for _, op := range test.ops {
				op(b)
			}
			if got := ackIDs(b.unresolvedAcks()); !slices.Equal(got, test.want) {
				t.Errorf("unresolved are %v, want %v", got, test.want)
			}
		})
	}
}

// I6: the same ack twice counts once, and one that comes after its checkpoint's outcome not at all.
func TestAckCountsOnce(t *testing.T) {
	b := newAckbook()
	if !b.ack(ackOf(4, 0), checkpoint.KindCheckpoint) || b.ack(ackOf(4, 0), checkpoint.KindCheckpoint) || !b.ack(ackOf(4, 1), checkpoint.KindCheckpoint) {
		t.Error("want each subtask's first ack of a checkpoint to be news, and no other")
	}
	b.settle(6)
	b.complete(4)
	for _, id := range []checkpoint.ID{3, 4, 6} {
		if b.ack(ackOf(id, 2), checkpoint.KindCheckpoint) {
			t.Errorf("an ack of checkpoint %d, whose outcome is known, is news", id)
		}
	}
	b.complete(3) // heard late
	if b.ack(ackOf(4, 3), checkpoint.KindCheckpoint) {
		t.Error("an ack of a completed checkpoint is news after an older completion was heard")
	}
	if !b.ack(ackOf(5, 2), checkpoint.KindCheckpoint) {
		t.Error("an ack of a pending checkpoint between settled ones is refused")
	}
}

func TestUnresolvedIsOrdered(t *testing.T) {
	b := newAckbook()
	for _, a := range []checkpoint.Ack{ackOf(5, 1), ackOf(4, 10), ackOf(5, 0), ackOf(4, 9)} {
		b.ack(a, checkpoint.KindCheckpoint)
	}
	want := []checkpoint.Ack{ackOf(4, 9), ackOf(4, 10), ackOf(5, 0), ackOf(5, 1)}
	for i, a := range b.unresolvedAcks() {
		if a.Checkpoint != want[i].Checkpoint || a.State.Subtask != want[i].State.Subtask {
			t.Errorf("position %d: checkpoint %d of %s", i, a.Checkpoint, a.State.Subtask)
		}
	}
}

func TestDeclinesAreKeptToo(t *testing.T) {
	b := newAckbook()
	d := checkpoint.Decline{Checkpoint: 4, Subtask: checkpoint.SubtaskID{Vertex: "v"}}
	if !b.decline(d, checkpoint.KindCheckpoint) || b.decline(d, checkpoint.KindCheckpoint) || len(b.unresolvedDeclines()) != 1 {
		t.Error("want a decline to be news once, and kept")
	}
	b.settle(4)
	if b.decline(d, checkpoint.KindCheckpoint) || len(b.unresolvedDeclines()) != 0 {
		t.Error("want a decline to be forgotten with its checkpoint's outcome")
	}
}

// C18: nothing subsumes a savepoint. A leader that takes over while it is pending needs the answers to it, whatever has
// become of newer checkpoints; and those to older checkpoints, whatever has become of the savepoint.
func TestC18_SavepointsAreSettledAlone(t *testing.T) {
	type op func(*ackbook)
	complete := func(id checkpoint.ID) op { return func(b *ackbook) { b.complete(id) } }
	settle := func(id checkpoint.ID) op { return func(b *ackbook) { b.settle(id) } }
	for _, test := range []struct {
		name string
		ops  []op
		want []checkpoint.ID // of checkpoints 4, 6, 8 and savepoints 5, 7
	}{
		{"a newer checkpoint completes", []op{complete(8)}, []checkpoint.ID{5, 7}},
		{"a newer savepoint completes", []op{settle(7)}, []checkpoint.ID{4, 5, 6, 8}},
		{"a savepoint behind a newer checkpoint", []op{complete(6), settle(5)}, []checkpoint.ID{7, 8}},
		{"an abort", []op{complete(4), settle(5), settle(6)}, []checkpoint.ID{7, 8}},
		{"heard again and late", []op{complete(8), settle(7), complete(4), settle(7)}, []checkpoint.ID{5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newAckbook()
			for id := checkpoint.ID(4); id <= 8; id++ {
				kind := checkpoint.KindCheckpoint
				if id%2 == 1 {
					kind = checkpoint.KindSavepoint
				}
				b.ack(ackOf(id, 0), kind)
				b.decline(checkpoint.Decline{Checkpoint: id}, kind)
			}
			for _, op := range test.ops {
				op(b)
			}
			if got := ackIDs(b.unresolvedAcks()); !slices.Equal(got, test.want) {
				t.Errorf("unresolved are the acks of %v, want %v", got, test.want)
			}
			if got := len(b.unresolvedDeclines()); got != len(test.want) {
				t.Errorf("%d declines are unresolved, want %d", got, len(test.want))
			}
		})
	}
}

// A subtask's ack of a savepoint may come behind the completion of a newer checkpoint.
func TestC18_SlowAckOfASavepointIsKept(t *testing.T) {
	b := newAckbook()
	b.complete(8)
	if !b.ack(ackOf(5, 0), checkpoint.KindSavepoint) || b.ack(ackOf(6, 0), checkpoint.KindCheckpoint) {
		t.Error("want the ack of the savepoint taken, and that of the older checkpoint refused")
	}
	b.settle(5)
	if b.ack(ackOf(5, 1), checkpoint.KindSavepoint) {
		t.Error("an ack of a savepoint with an outcome is news")
	}
}

// What is known of old checkpoints must not pile up over the life of a job.
func TestAckbookForgets(t *testing.T) {
	b := newAckbook()
	for id := checkpoint.ID(1); id <= 10*settledMemory; id += 2 {
		b.ack(ackOf(id, 0), checkpoint.KindCheckpoint)
		b.settle(id)
		b.ack(ackOf(id+1, 0), checkpoint.KindCheckpoint)
		b.complete(id + 1)
	}
	if len(b.acks)+len(b.declines) != 0 || len(b.settled) > settledMemory+1 {
		t.Errorf("%d acks, %d declines, %d settled left", len(b.acks), len(b.declines), len(b.settled))
	}
}
