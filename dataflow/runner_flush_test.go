package dataflow

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"cairn/dataflow/codec"
)

// TestBatchBehindAQueueIsSent: a batch whose time came while others were queued before it goes out when those have, also
// when the task receives nothing any more.
func TestBatchBehindAQueueIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, emit := chainOf(t, func(s Stream[int64]) {
			counts := Process(KeyBy(s, codec.Int64, identity), "count", codec.Int64,
				func() KeyedProcessor[int64, int64, int64] { return &sum{} }, Parallelism(1))
			To(counts, "write", newLedger[int64]())
		})
		defer func() { _ = r.close() }()
		var end context.CancelFunc
		r.ctx, end = context.WithTimeout(t.Context(), time.Minute)
		defer end()
		s := &stubChannel{}
		o := r.outputs[0]
		if err := o.Connect(t.Context(), s, o.Channels[0]); err != nil {
			t.Fatal(err)
		}
		step := func() {
			t.Helper()
			if err := r.wait(nil, time.Time{}); err != nil {
				t.Fatalf("%d batches were sent, then the task waited for a minute: %v", len(s.frames), err)
			}
		}
		for i := range 2 { // the first is queued, the second stays open
			emit(int64(i))
			r.armFlush()
			step()
		}
		s.credit = 10
		s.ready()
		for len(s.frames) < 2 {
			step()
		}
	})
}
