package pebblestate

// What is written waits in write buffers to be flushed, and what is flushed lies in layers to be merged. When Pebble does
// not keep up, the writer has to wait. Pebble's own way to make it wait ends when there is room, and in no other way: not
// when there will never be room again, the disk being full. So the store looks by itself, every so many bytes.

const (
	memBuffers = 3  // full ones and the one that is being written
	layersAt   = 64 // flushes upon each other
)

// throttle makes a writer wait.
type throttle struct {
	buffers  int           // bytes that the write buffers may have together
	unseen   int           // bytes written since the last look
	progress chan struct{} // capacity 1, never closed: something has been flushed or merged
}

// made tells the writer that there may be room. It may be called with any of Pebble's locks held.
func (t *throttle) made() {
	select {
	case t.progress <- struct{}{}:
	default:
	}
}

// pace waits until as many bytes may be written. It looks four times in the course of a write buffer, so that no more than
// one of them becomes full unseen.
func (s *store) pace(size int) error {
	if s.unseen += size; s.unseen < s.buffer/4 {
		return nil
	}
	s.unseen = 0
	for {
		m := s.measure()
		if int(m.MemTable.Size) < s.buffers && int(m.Levels[0].Sublevels) < layersAt {
			return nil
		}
		select {
		case <-s.progress:
		case <-s.fault.broken:
			return s.fault.err()
		}
	}
}
