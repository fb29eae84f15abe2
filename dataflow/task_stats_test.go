package dataflow

import (
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// What a task shows of its last checkpoint is what it has acknowledged.
func TestStatsOfTheLastCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := startJoiner(t, newLedger[int64](), newMemoryStore())
		defer j.stop()
		if s := j.task.Stats(); s.Checkpoint != 0 || s.Watermark != MinEventTime {
			t.Errorf("before the first checkpoint: %+v", s)
		}
		b := barrier(1)
		j.write(t, 0, records(5))
		time.Sleep(100 * time.Millisecond)
		j.write(t, 0, exchange.AppendBarrier(nil, b))
		j.write(t, 0, records(50)) // behind the barrier: it waits
		if s := j.task.Stats(); s.InFlightBytes != int64(len(records(50))) {
			t.Errorf("%d bytes are in flight, want a batch of %d", s.InFlightBytes, len(records(50)))
		}
		time.Sleep(200 * time.Millisecond)
		j.write(t, 1, exchange.AppendBarrier(nil, b))
		ack := await(t, j.attempt, func(checkpoint.Ack) bool { return true })
		s := j.task.Stats()
		if s.Checkpoint != 1 || s.StateBytes != ack.State.Size() || s.StateBytes == 0 || s.AlignmentMillis != 200 || s.StartDelayMillis != 100 {
			t.Errorf("after it: %+v", s)
		}
		if s.InFlightBytes != 0 || s.RecordsIn != 55 {
			t.Errorf("when all has been taken in: %+v", s)
		}
	})
}

// Uploads may overtake each other: the newest checkpoint counts.
func TestStatsOfAnOlderCheckpointChangeNothing(t *testing.T) {
	var s taskStats
	ack := func(id checkpoint.ID) checkpoint.Ack {
		return checkpoint.Ack{Checkpoint: id, Metrics: checkpoint.Metrics{AlignmentMillis: int64(id)}}
	}
	for _, id := range []checkpoint.ID{3, 5, 4} {
		s.acknowledged(ack(id))
	}
	if s.acked.id != 5 || s.acked.metrics.AlignmentMillis != 5 {
		t.Errorf("shown is checkpoint %d, %+v", s.acked.id, s.acked.metrics)
	}
}
