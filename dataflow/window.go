package dataflow

import (
	"fmt"
	"time"

	"cairn/dataflow/codec"
)

// TimeWindow is a span of time that records are collected over: from Start up to End, without it.
type TimeWindow struct{ Start, End EventTime }

// MaxTimestamp is the last event time within the window, and that of what is emitted for it.
func (w TimeWindow) MaxTimestamp() EventTime { return w.End - 1 }

// String is the form of listings.
func (w TimeWindow) String() string { return fmt.Sprintf("%s/%s", w.Start, w.End) }

// overlaps reports whether two windows have a time in common, which makes one session of two.
func (w TimeWindow) overlaps(other TimeWindow) bool {
	return w.Start < other.End && other.Start < w.End
}

// cover returns the smallest window that holds both.
func (w TimeWindow) cover(other TimeWindow) TimeWindow {
	return TimeWindow{Start: min(w.Start, other.Start), End: max(w.End, other.End)}
}

// WindowedStream is a keyed stream whose records are collected in windows. AggregateWindow, ReduceWindow and
// ProcessWindow say what is made of them.
//
// A window in event time is emitted when the watermark has reached its last timestamp. Records that come later are late:
// within the allowed lateness each of them makes its window be emitted anew, with all that has been collected; then the
// window is forgotten, and records that belong to no other are late data.
type WindowedStream[K comparable, T any] struct {
	keyed    KeyedStream[K, T]
	assigner WindowAssigner
	options  windowOptions
	late     *OutputTag[T] // nil: late data is dropped
}

// WindowOption changes how the windows of a stream are kept.
type WindowOption func(*windowOptions)

type windowOptions struct {
	lateness   time.Duration
	processing bool // time is that of the node's clock
	late       any  // an OutputTag of the stream's type; nil when there is none
}

// AllowedLateness sets how far the watermark may be behind the end of a window before the window is forgotten, 0
// otherwise. It is meant for event time.
func AllowedLateness(d time.Duration) WindowOption {
	return func(o *windowOptions) { o.lateness = d }
}

// LateData makes the operator emit late data with the tag, to be read with SideOutput, instead of dropping it and
// counting it (Stats.LateRecords). The tag is of the stream's type.
func LateData[T any](tag OutputTag[T]) WindowOption {
	return func(o *windowOptions) { o.late = tag }
}

// ProcessingTimeWindows makes windows be of the node's clock: a record belongs to the windows of the moment at which it
// is taken in, and there is no late data. Windows that are open at the end of the input are not emitted.
func ProcessingTimeWindows() WindowOption {
	return func(o *windowOptions) { o.processing = true }
}

// Window collects the records of each key in windows.
func Window[K comparable, T any](s KeyedStream[K, T], assigner WindowAssigner, opts ...WindowOption) WindowedStream[K, T] {
	w := WindowedStream[K, T]{keyed: s, assigner: assigner}
	for _, opt := range opts {
		opt(&w.options)
	}
	if w.options.late != nil {
		tag, fits := w.options.late.(OutputTag[T])
		if !fits {
			s.stream.graph.fail(fmt.Errorf("windows: the tag of late data is %T, the records are %T", w.options.late, *new(T)))
		}
		w.late = &tag
	}
	if err := w.validate(); err != nil {
		s.stream.graph.fail(fmt.Errorf("windows: %w", err))
	}
	return w
}

func (w WindowedStream[K, T]) validate() error {
	if err := w.assigner.validate(); err != nil {
		return err
	}
	switch d := w.options.lateness; {
	case d < 0 || d%time.Millisecond != 0:
		return fmt.Errorf("an allowed lateness of %s: must be whole milliseconds, at least 0", d)
	case d > 0 && w.options.processing:
		return fmt.Errorf("an allowed lateness of %s: nothing is late in processing time", d)
	}
	return nil
}

// eventTimeCodec is a zigzag varint.
type eventTimeCodec struct{}

func (eventTimeCodec) Append(dst []byte, t EventTime) []byte {
	return codec.Int64.Append(dst, int64(t))
}

func (eventTimeCodec) Decode(src []byte) (EventTime, int, error) {
	t, n, err := codec.Int64.Decode(src)
	return EventTime(t), n, err
}

// windowCodec is the start and the length of a window.
type windowCodec struct{}

func (windowCodec) Append(dst []byte, w TimeWindow) []byte {
	return codec.Int64.Append(codec.Int64.Append(dst, int64(w.Start)), int64(w.End-w.Start))
}

func (windowCodec) Decode(src []byte) (TimeWindow, int, error) {
	start, n, err := codec.Int64.Decode(src)
	if err != nil {
		return TimeWindow{}, 0, err
	}
	length, m, err := codec.Int64.Decode(src[n:])
	return TimeWindow{Start: EventTime(start), End: EventTime(start + length)}, n + m, err
}
