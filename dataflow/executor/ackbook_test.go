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
	abort := func(id checkpoint.ID) op { return func(b *ackbook) { b.abort(id) } }
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
				b.ack(ackOf(id, 0))
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
	if !b.ack(ackOf(4, 0)) || b.ack(ackOf(4, 0)) || !b.ack(ackOf(4, 1)) {
		t.Error("want each subtask's first ack of a checkpoint to be news, and no other")
	}
	b.abort(6)
	b.complete(4)
	for _, id := range []checkpoint.ID{3, 4, 6} {
		if b.ack(ackOf(id, 2)) {
			t.Errorf("an ack of checkpoint %d, whose outcome is known, is news", id)
		}
	}
	b.complete(3) // heard late
	if b.ack(ackOf(4, 3)) {
		t.Error("an ack of a completed checkpoint is news after an older completion was heard")
	}
	if !b.ack(ackOf(5, 2)) {
		t.Error("an ack of a pending checkpoint between settled ones is refused")
	}
}

func TestUnresolvedIsOrdered(t *testing.T) {
	b := newAckbook()
	for _, a := range []checkpoint.Ack{ackOf(5, 1), ackOf(4, 10), ackOf(5, 0), ackOf(4, 9)} {
		b.ack(a)
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
	if !b.decline(d) || b.decline(d) || len(b.unresolvedDeclines()) != 1 {
		t.Error("want a decline to be news once, and kept")
	}
	b.abort(4)
	if b.decline(d) || len(b.unresolvedDeclines()) != 0 {
		t.Error("want a decline to be forgotten with its checkpoint's outcome")
	}
}

// What is known of old checkpoints must not pile up over the life of a job.
func TestAckbookForgets(t *testing.T) {
	b := newAckbook()
	for id := checkpoint.ID(1); id <= 1000; id += 2 {
		b.ack(ackOf(id, 0))
		b.abort(id)
		b.ack(ackOf(id+1, 0))
		b.complete(id + 1)
	}
	if len(b.acks)+len(b.declines)+len(b.aborted) != 0 {
		t.Errorf("%d acks, %d declines, %d aborted left", len(b.acks), len(b.declines), len(b.aborted))
	}
}
