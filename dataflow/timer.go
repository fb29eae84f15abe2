package dataflow

// TimeDomain says which time a timer waits for.
type TimeDomain uint8

const (
	// EventTimeDomain is the time of the watermarks.
	EventTimeDomain TimeDomain = 1
	// ProcessingTimeDomain is the time of the node's clock.
	ProcessingTimeDomain TimeDomain = 2
)

// String names the domain in errors and logs.
func (d TimeDomain) String() string {
	if d == EventTimeDomain {
		return "event time"
	}
	return "processing time"
}

// Timer is what a processor is called for.
type Timer struct {
	At     EventTime // in processing time, milliseconds since the Unix epoch as well
	Domain TimeDomain
}

// TimerProcessor is a KeyedProcessor that can register timers.
//
// A timer belongs to a key, and there is one at most for a key, a time and a domain: registering it again changes
// nothing. Timers are keyed state: they are in the snapshots and move with their key when the job is rescaled.
type TimerProcessor[K comparable, Out any] interface {
	// OnTimer is called when the watermark, or the clock, has reached the timer's time. State is that of the key. The
	// timestamp of what it emits is the timer's time in event time, and none in processing time. Timers fire in the order of
	// their times, those of the same time in that of their keys' encodings.
	OnTimer(key K, t Timer, emit func(Out)) error
}

// RegisterEventTimer asks for a call of OnTimer with the current key when the watermark reaches at; if it has passed
// that already, when it next moves. At the end of the input all timers fire, those that OnTimer registers included: who goes
// on registering them has to stop when Watermark is MaxEventTime.
func (c *ProcessContext[K]) RegisterEventTimer(at EventTime) { c.register(EventTimeDomain, at) }

// DeleteEventTimer takes a timer of the current key back. There need not be one.
func (c *ProcessContext[K]) DeleteEventTimer(at EventTime) { c.unregister(EventTimeDomain, at) }

// RegisterProcessingTimer asks for a call of OnTimer with the current key when the clock has reached at. At the end of
// the input the timers that have not fired are dropped.
func (c *ProcessContext[K]) RegisterProcessingTimer(at EventTime) {
	c.register(ProcessingTimeDomain, at)
}

// DeleteProcessingTimer takes a timer of the current key back. There need not be one.
func (c *ProcessContext[K]) DeleteProcessingTimer(at EventTime) {
	c.unregister(ProcessingTimeDomain, at)
}

func (c *ProcessContext[K]) register(domain TimeDomain, at EventTime) {
	if q := c.operator.queue(domain); q != nil {
		q.register(at)
	}
}

func (c *ProcessContext[K]) unregister(domain TimeDomain, at EventTime) {
	if q := c.operator.queue(domain); q != nil {
		q.unregister(at)
	}
}

// timed is an operator that waits for processing time. All calls come from the task's goroutine.
type timed interface {
	// nextProcessingTimer returns the time of the first timer, or false when there is none.
	nextProcessingTimer() (EventTime, bool)
	// fireProcessingTimers fires what is due by now. Errors stick to the chain.
	fireProcessingTimers(now EventTime)
}
