package dataflow

import (
	"fmt"
	"time"

	"cairn/checkpoint"
)

// defaultWatermarkInterval is how often watermarks are sent on, Flink's default for auto-watermark-interval.
const defaultWatermarkInterval = 200 * time.Millisecond

// WatermarkStrategy says how far a stream's event time has come: which records may still be expected.
type WatermarkStrategy struct {
	bound    time.Duration
	idleness time.Duration // 0: the stream is never idle
}

// BoundedOutOfOrderness is the strategy for records that come at most bound later than one with a higher event time.
// What comes later still is late.
func BoundedOutOfOrderness(bound time.Duration) WatermarkStrategy {
	return WatermarkStrategy{bound: bound}
}

// MonotonousTimestamps is the strategy for records that come in the order of their event times.
func MonotonousTimestamps() WatermarkStrategy { return WatermarkStrategy{} }

// WithIdleness lets others go on without this stream's watermark when a subtask has had no record for a while.
func (s WatermarkStrategy) WithIdleness(timeout time.Duration) WatermarkStrategy {
	s.idleness = timeout
	return s
}

// AssignTimestampsAndWatermarks gives each record its event time and tells the operators behind how far it has come.
// Former times and watermarks are replaced. Watermarks are sent at intervals (Graph.SetAutoWatermarkInterval); at the
// end of the input the event time comes to its end. The function is shared by the subtasks.
func AssignTimestampsAndWatermarks[T any](s Stream[T], id checkpoint.OperatorID, strategy WatermarkStrategy,
	at func(T) EventTime, opts ...Option,
) Stream[T] {
	if strategy.bound < 0 || strategy.idleness < 0 {
		s.graph.fail(fmt.Errorf("operator %s: out-of-orderness %s, idleness %s: neither may be negative",
			id, strategy.bound, strategy.idleness))
	}
	out := transform(s, id, s.codec(), buildTimestamps(strategy, at), opts)
	out.outlets[0].node.timed = true
	return out.as(fmt.Sprintf("timestamps out of order by %s, idle after %s", strategy.bound, strategy.idleness))
}

// needingTime makes it a mistake that an input of the operator behind the stream has no event time.
func (s Stream[T]) needingTime() Stream[T] {
	s.outlets[0].node.needsTime = true
	return s
}

func buildTimestamps[T any](strategy WatermarkStrategy, at func(T) EventTime) buildFunc {
	return func(c *chain, position int, outs outlets) (operator, []any) {
		o := &timestampOperator{progress: newWatermarks(strategy, c.now())}
		emit := mainOutput[T](outs)
		return o, oneInput(func(v T) {
			if c.err != nil {
				return
			}
			previous, former := c.enter(position), c.timestamp
			c.timestamp = at(v)
			o.progress.onRecord(c.timestamp)
			emit(v)
			c.timestamp = former // of the record, for the operators beside this one
			c.leave(previous)
		})
	}
}

// timestampOperator says how far event time has come, instead of its input.
type timestampOperator struct {
	stateless
	progress watermarks
}

var _ watermarkGenerator = (*timestampOperator)(nil)

func (o *timestampOperator) watermark(now time.Time) (EventTime, bool) { return o.progress.at(now) }

// watermarks follows the event times of one subtask's records. It is pure.
type watermarks struct {
	strategy WatermarkStrategy
	newest   EventTime
	records  uint64    // seen
	looked   uint64    // records when at was called last
	active   time.Time // when at first saw that there were new records
}

func newWatermarks(strategy WatermarkStrategy, now time.Time) watermarks {
	return watermarks{strategy: strategy, newest: MinEventTime, active: now}
}

func (w *watermarks) onRecord(t EventTime) {
	w.records++
	w.newest = max(w.newest, t)
}

// at returns the watermark, and whether the stream is idle: a record costs no look at the clock, so idleness counts
// from the call that first saw nothing new.
func (w *watermarks) at(now time.Time) (watermark EventTime, idle bool) {
	if w.records != w.looked {
		w.looked, w.active = w.records, now
	}
	idle = w.strategy.idleness > 0 && now.Sub(w.active) >= w.strategy.idleness
	if w.newest == MinEventTime {
		return MinEventTime, idle
	}
	return w.newest.Add(-w.strategy.bound).Add(-time.Millisecond), idle
}
