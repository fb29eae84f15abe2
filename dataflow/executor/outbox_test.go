package executor

import (
	"testing"

	"cairn/checkpoint"
)

func TestOutboxBatchesAcksInOrder(t *testing.T) {
	o := outbox{to: &fakeSession{}}
	o.putAck(ackOf(1, 0))
	o.putAck(ackOf(1, 1))
	o.put(checkpoint.StatusChange{})
	for i := range maxAcksPerBatch + 1 {
		o.putAck(ackOf(2, i))
	}
	_, queue := o.take()
	var sizes []int
	for _, m := range queue {
		batch, _ := m.(checkpoint.AckBatch)
		sizes = append(sizes, len(batch.Acks))
	}
	want := []int{2, 0, maxAcksPerBatch, 1} // 0 is the status change
	if len(sizes) != len(want) {
		t.Fatalf("batches of %v acks, want %v", sizes, want)
	}
	for i := range want {
		if sizes[i] != want[i] {
			t.Fatalf("batches of %v acks, want %v", sizes, want)
		}
	}
	o.putAck(ackOf(3, 0))
	if batch := queue[len(queue)-1].(checkpoint.AckBatch); len(batch.Acks) != 1 {
		t.Error("a batch that was taken has grown")
	}
}

func TestOutboxWithoutLeader(t *testing.T) {
	var o outbox
	if o.put(checkpoint.StatusChange{}) || o.putAck(ackOf(1, 0)) {
		t.Error("queued although nobody leads")
	}
	o.redirect(&fakeSession{})
	o.put(checkpoint.StatusChange{})
	next := &fakeSession{}
	o.redirect(next)
	if to, queue := o.take(); to != next || len(queue) != 0 {
		t.Errorf("what was queued for a deposed leader is still there: %v", queue)
	}
}
