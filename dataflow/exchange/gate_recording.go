package exchange

import (
	"slices"

	"cairn/checkpoint"
)

// Record adds everything in flight to the snapshot of a checkpoint: what lies in the queues of the channels before its
// barrier, and what arrives from now on until the barrier does. The task has just captured its state.
func (g *Gate) Record(id checkpoint.ID, channels []int, into *ChannelState) {
	into.open(len(channels))
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, channel := range channels {
		c := &g.mu.channels[channel]
		r := []recording{{id: id, channel: channel, into: into}}
		for i := 0; i < c.queue.len() && len(r) > 0; i++ {
			r = recordFrame(r, *c.queue.at(i))
		}
		c.recordings = append(c.recordings, r...)
	}
}

// recording is a snapshot that takes in what a channel delivers before the barrier.
type recording struct {
	id      checkpoint.ID
	channel int
	into    *ChannelState
}

// recordFrame adds a frame to the recordings of its channel and returns those that go on.
func recordFrame(all []recording, f queuedFrame) []recording {
	return slices.DeleteFunc(all, func(r recording) bool {
		switch {
		case f.barrier != nil && f.barrier.ID > r.id:
			r.into.fail(ErrOvertaken)
			return true
		case f.barrier != nil && f.barrier.ID == r.id, f.last:
			r.into.close()
			return true
		case InFlight(f.data):
			r.into.addInput(r.channel, f.Buffer)
		}
		return false
	})
}

// recordCancel ends the recording for a checkpoint whose barrier will not come.
func (c *inputChannel) recordCancel(id checkpoint.ID) {
	c.recordings = slices.DeleteFunc(c.recordings, func(r recording) bool {
		if r.id == id {
			r.into.fail(ErrCancelled)
		}
		return r.id == id
	})
}
