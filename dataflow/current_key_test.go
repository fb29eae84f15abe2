package dataflow

import (
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// TestTimerTakenBackLeavesTheKey: taking back a timer may clear up the heap, which goes through the timers of all keys.
// State goes on to be that of the key under way.
func TestTimerTakenBackLeavesTheKey(t *testing.T) {
	onBackends(t, func(t *testing.T, home func(fatal) rowHome) {
		const groups = 16
		o := keyedOperatorIn(home(t), 0, 1, groups, time.Now)
		o.onTimer = func(string, Timer) error { return nil }
		var count *ValueState[string, int64]
		openOperator(t, o, newMemoryStore(), checkpoint.SubtaskState{}, func(ctx *ProcessContext[string]) {
			count = NewValueState(ctx, "count", codec.Int64)
		})
		defer func() { _ = o.close() }()
		for i := range 20 {
			if err := o.keyed.setKey(fmt.Sprint("other ", i)); err != nil {
				t.Fatal(err)
			}
			o.event.register(EventTime(i))
		}
		if err := o.keyed.setKey("own"); err != nil {
			t.Fatal(err)
		}
		for i := range EventTime(1000) {
			o.event.register(1000 + i)
			o.event.unregister(1000 + i)
			count.Put(int64(i))
			if o.keyed.key != "own" {
				t.Fatalf("the current key is %q after %d timers were taken back", o.keyed.key, i+1)
			}
		}
	})
}

// TestStateWithoutAKey: where there is no current key, state and timers are a panic on every backend. On disk the row would
// be one of a key group that is another subtask's.
func TestStateWithoutAKey(t *testing.T) {
	onBackends(t, func(t *testing.T, home func(fatal) rowHome) {
		o := keyedOperatorIn(home(t), 1, 2, 16, time.Now)
		o.onTimer = func(string, Timer) error { return nil }
		var count *ValueState[string, int64]
		var entries *MapState[string, string, int64]
		var list *ListState[string, int64]
		openOperator(t, o, newMemoryStore(), checkpoint.SubtaskState{}, func(ctx *ProcessContext[string]) {
			count = NewValueState(ctx, "count", codec.Int64)
			entries = NewMapState(ctx, "entries", codec.String, codec.Int64)
			list = NewListState(ctx, "list", codec.Int64)
		})
		defer func() { _ = o.close() }()
		o.keyed.shard = noShard
		for name, use := range map[string]func(){
			"value":     func() { count.Get() },
			"put":       func() { count.Put(1) },
			"map":       func() { entries.Get("a") },
			"map entry": func() { entries.Put("a", 1) },
			"list":      func() { list.Add(1) },
			"timer":     func() { o.event.register(1) },
		} {
			t.Run(name, func(t *testing.T) {
				defer func() {
					if recover() == nil {
						t.Error("it was used")
					}
				}()
				use()
			})
		}
	})
}

// TestNoKeyAtTheEnd: at the end of the input the key of the last record, or of the last timer that is dropped, is not the
// current one: which that is depends on the order of the records.
func TestNoKeyAtTheEnd(t *testing.T) {
	onBackends(t, func(t *testing.T, home func(fatal) rowHome) {
		for _, timer := range []bool{false, true} {
			o := keyedOperatorIn(home(t), 0, 1, 16, time.Now)
			o.onTimer = func(string, Timer) error { return nil }
			openOperator(t, o, newMemoryStore(), checkpoint.SubtaskState{}, func(*ProcessContext[string]) {})
			if err := o.keyed.setKey("last"); err != nil {
				t.Fatal(err)
			}
			if timer {
				o.procTime.register(1)
			}
			o.dropTimers()
			if o.keyed.shard != noShard {
				t.Errorf("a timer waits %v: key %q is the current one", timer, o.keyed.key)
			}
			if err := o.close(); err != nil {
				t.Error(err)
			}
		}
	})
}
