package dataflow

import (
	"errors"
	"math"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// failureOfKey puts a value, or registers a timer, for a key that is new, and returns what the task fails with.
func failureOfKey[K comparable](t *testing.T, keys codec.Codec[K], key K, timer bool) (failure error) {
	t.Helper()
	s := newKeyedState(keys, checkpoint.RangeOf(0, 16, 1), 16, time.Now)
	s.fail = func(err error) { failure = err }
	ctx := &ProcessContext[K]{keyed: s}
	counts := NewValueState(ctx, "count", codec.Int64)
	timers := newTimerQueue(s, eventTimerTable)
	if err := errors.Join(ctx.err, s.setKey(key)); err != nil {
		t.Fatal(err)
	}
	if timer {
		timers.register(1)
	} else {
		counts.Put(1)
	}
	return failure
}

// failureOfMapKey puts an entry with a new map key, and returns what the task fails with.
func failureOfMapKey[MK comparable](t *testing.T, mapKeys codec.Codec[MK], mk MK) (failure error) {
	t.Helper()
	s := newKeyedState(codec.String, checkpoint.RangeOf(0, 16, 1), 16, time.Now)
	s.fail = func(err error) { failure = err }
	ctx := &ProcessContext[string]{keyed: s}
	entries := NewMapState(ctx, "entries", mapKeys, codec.Int64)
	if err := errors.Join(ctx.err, s.setKey("key")); err != nil {
		t.Fatal(err)
	}
	entries.Put(mk, 1)
	return failure
}

// failureOfBroadcastKey puts an entry into broadcast state, and returns what the task fails with.
func failureOfBroadcastKey[MK comparable](keys codec.Codec[MK], mk MK) error {
	c := &chain{ids: []checkpoint.OperatorID{"judge"}}
	states := &operatorStates{chain: c, broadcast: true, writable: true}
	rules := NewBroadcastState(&OperatorContext{states: states}, "rules", keys, codec.Int64)
	rules.Put(mk, 1)
	return c.err
}

// A key that comes back from a snapshot as another one fails the task before it has state: its state would not be found
// behind a restore, begin anew beside what is there, and the next snapshot could not be restored at all.
func TestKeyThatComesBackAsAnotherOne(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, timer := range []bool{false, true} {
		for name, failure := range map[string]error{
			"a time elsewhere":      failureOfKey(t, codec.Time, noon.In(time.FixedZone("elsewhere", 3600)), timer),
			"a monotonic time":      failureOfKey(t, codec.Time, time.Now(), timer),
			"a number that is none": failureOfKey(t, codec.Float64, math.NaN(), timer),
			"a time in a map":       failureOfMapKey(t, codec.Time, noon.In(time.FixedZone("elsewhere", 3600))),
			"a time of a rule":      failureOfBroadcastKey(codec.Time, noon.In(time.FixedZone("elsewhere", 3600))),
		} {
			if !errors.Is(failure, errStrangeKey) {
				t.Errorf("%s, timer %v: %v", name, timer, failure)
			}
		}
		for name, failure := range map[string]error{
			"a time":           failureOfKey(t, codec.Time, time.Now().UTC(), timer),
			"a number":         failureOfKey(t, codec.Float64, 0.1, timer),
			"a text":           failureOfKey(t, codec.String, "key", timer),
			"a time in a map":  failureOfMapKey(t, codec.Time, noon),
			"a time of a rule": failureOfBroadcastKey(codec.Time, noon),
		} {
			if failure != nil {
				t.Errorf("%s, timer %v: %v", name, timer, failure)
			}
		}
	}
}
