package dataflow

import (
	"math"
	"time"
)

// EventTime is when something happened according to the records themselves, in milliseconds since the Unix epoch.
type EventTime int64

const (
	// MinEventTime is the watermark before anything is known.
	MinEventTime EventTime = math.MinInt64
	// MaxEventTime is the watermark at the end of the input: no record follows.
	MaxEventTime EventTime = math.MaxInt64
	// NoTimestamp is the event time of records that nobody has given one.
	NoTimestamp EventTime = math.MinInt64
)

// EventTimeOf returns the event time of an instant, rounded down to milliseconds.
func EventTimeOf(t time.Time) EventTime { return EventTime(t.UnixMilli()) }

// Time returns the instant.
func (t EventTime) Time() time.Time { return time.UnixMilli(int64(t)) }

// Add returns the event time that lies d later. It stays within MinEventTime and MaxEventTime.
func (t EventTime) Add(d time.Duration) EventTime {
	ms := EventTime(d.Milliseconds())
	switch sum := t + ms; {
	case ms > 0 && sum < t:
		return MaxEventTime
	case ms < 0 && sum > t:
		return MinEventTime
	default:
		return sum
	}
}

// String is the form of listings: RFC 3339 with milliseconds, in UTC.
func (t EventTime) String() string {
	switch t {
	case MinEventTime:
		return "none"
	case MaxEventTime:
		return "end"
	}
	return t.Time().UTC().Format("2006-01-02T15:04:05.000Z")
}
