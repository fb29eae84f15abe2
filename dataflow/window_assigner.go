package dataflow

import (
	"errors"
	"fmt"
	"time"
)

// WindowAssigner says which windows a record belongs to: TumblingWindows, SlidingWindows or SessionWindows. It is pure.
type WindowAssigner struct {
	kind   windowKind
	size   time.Duration // of a session: the gap
	slide  time.Duration
	offset time.Duration
}

type windowKind uint8

const (
	fixedWindows   windowKind = 1 // tumbling ones slide by their size
	sessionWindows windowKind = 2
)

// TumblingWindows are windows of a fixed size that follow each other. They are aligned to the Unix epoch, moved by the
// offset: with a size of 24 h and an offset of -8 h they are the days of Shanghai.
func TumblingWindows(size, offset time.Duration) WindowAssigner {
	return WindowAssigner{kind: fixedWindows, size: size, slide: size, offset: offset}
}

// SlidingWindows are windows of a fixed size, of which one begins at every multiple of slide, moved by the offset. They
// overlap when slide is smaller than size; when it is larger, records between the windows belong to none.
func SlidingWindows(size, slide, offset time.Duration) WindowAssigner {
	return WindowAssigner{kind: fixedWindows, size: size, slide: slide, offset: offset}
}

// SessionWindows are windows that last for as long as less than gap lies between a record and the next. Records that come
// out of order may make one session of two.
//
// Two records that lie exactly gap apart are of two sessions, as in Beam. In Flink they are of one if the second comes
// before the first has been emitted: the result would depend on when watermarks come, and differ after a restore.
func SessionWindows(gap time.Duration) WindowAssigner {
	return WindowAssigner{kind: sessionWindows, size: gap}
}

// String describes the windows: "tumbling windows of 5s".
func (a WindowAssigner) String() string {
	text := fmt.Sprintf("tumbling windows of %s", a.size)
	switch {
	case a.kind == sessionWindows:
		text = fmt.Sprintf("session windows of %s", a.size)
	case a.slide != a.size:
		text = fmt.Sprintf("sliding windows of %s every %s", a.size, a.slide)
	}
	if a.offset != 0 {
		text += fmt.Sprintf(" moved by %s", a.offset)
	}
	return text
}

// maxWindowed bounds the event times of records in windows, so that no bound of a window overflows: a Duration is at
// most 292 years.
const maxWindowed = MaxEventTime / 2

// validate returns an error that says what is wrong with the parameters.
func (a WindowAssigner) validate() error {
	whole := func(d time.Duration) bool { return d%time.Millisecond == 0 }
	switch {
	case a.kind == 0:
		return errors.New("no assigner: use TumblingWindows, SlidingWindows or SessionWindows")
	case a.kind == sessionWindows && (a.size <= 0 || !whole(a.size)):
		return fmt.Errorf("sessions with a gap of %s: must be whole milliseconds, at least 1", a.size)
	case a.kind == sessionWindows:
		return nil
	case a.size <= 0 || a.slide <= 0 || !whole(a.size) || !whole(a.slide):
		return fmt.Errorf("size %s, slide %s: must be whole milliseconds, at least 1", a.size, a.slide)
	case a.offset.Abs() >= a.slide || !whole(a.offset):
		return fmt.Errorf("offset %s: must be whole milliseconds between -%s and %s", a.offset, a.slide, a.slide)
	}
	return nil
}

// merges reports whether windows that touch become one.
func (a WindowAssigner) merges() bool { return a.kind == sessionWindows }

// assign appends the windows of a record, the latest first. A session's is the one that the record would have alone.
func (a WindowAssigner) assign(at EventTime, into []TimeWindow) []TimeWindow {
	size := millis(a.size)
	if a.kind == sessionWindows {
		return append(into, TimeWindow{Start: at, End: at + size})
	}
	slide := millis(a.slide)
	for start := windowStart(at, millis(a.offset), slide); start > at-size; start -= slide {
		into = append(into, TimeWindow{Start: start, End: start + size})
	}
	return into
}

// endingAt returns the window of a fixed size whose last timestamp is the given one, if there is such a window.
func (a WindowAssigner) endingAt(last EventTime) TimeWindow {
	return TimeWindow{Start: last + 1 - millis(a.size), End: last + 1}
}

// windowStart returns the last start of a window that is not behind at. The remainder of a negative number is negative
// in Go: such times are before the epoch, or the offset.
func windowStart(at, offset, slide EventTime) EventTime {
	remainder := (at - offset) % slide
	if remainder < 0 {
		remainder += slide
	}
	return at - remainder
}

func millis(d time.Duration) EventTime { return EventTime(d.Milliseconds()) }
