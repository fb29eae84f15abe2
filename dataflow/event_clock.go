package dataflow

// eventClock is the event time of a task with several input channels: the minimum over the channels that have not
// ended and are not idle, and the maximum once all of them are idle. It is pure and never goes back. (Akidau et al., "The Dataflow Model", 2015; Flink's
// StatusWatermarkValve.)
type eventClock struct {
	channels []channelClock
	now      EventTime
}

type channelClock struct {
	watermark EventTime
	idle      bool // it promises nothing for now, and is not waited for
	ended     bool // it carries no more records
}

func newEventClock(channels int) *eventClock {
	c := &eventClock{channels: make([]channelClock, channels), now: MinEventTime}
	for i := range c.channels {
		c.channels[i].watermark = MinEventTime
	}
	return c
}

// onWatermark takes in that the channel carries no more records up to w. A watermark makes an idle channel active.
func (c *eventClock) onWatermark(channel int, w EventTime) {
	ch := &c.channels[channel]
	ch.watermark, ch.idle = max(ch.watermark, w), false
	c.update()
}

// onIdle takes in that the channel has become idle, or active again.
func (c *eventClock) onIdle(channel int, idle bool) {
	c.channels[channel].idle = idle
	c.update()
}

// onEnd takes in that the channel carries no more records.
func (c *eventClock) onEnd(channel int) {
	c.channels[channel].ended = true
	c.update()
}

// idle reports whether no channel that could deliver records is active.
func (c *eventClock) idle() bool {
	waiting := false
	for _, ch := range c.channels {
		if !ch.ended && !ch.idle {
			return false
		}
		waiting = waiting || !ch.ended
	}
	return waiting
}

func (c *eventClock) update() {
	least, active, newest := MaxEventTime, false, MinEventTime
	for _, ch := range c.channels {
		if !ch.ended && !ch.idle {
			least, active = min(least, ch.watermark), true
		}
		if !ch.ended {
			newest = max(newest, ch.watermark)
		}
	}
	if !active {
		least = newest // all idle: how far time has come does not depend on who has become idle first
	}
	c.now = max(c.now, least)
}
