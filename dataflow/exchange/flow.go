package exchange

// Credit is room in the queue of a receiver: so many more frames, with so many bytes in all. The last frame may have
// more bytes than are left.
type Credit struct {
	Frames int
	Bytes  int
}

// Add returns the sum of both.
func (c Credit) Add(d Credit) Credit { return Credit{c.Frames + d.Frames, c.Bytes + d.Bytes} }

// Spend returns what is left behind a frame of the given size.
func (c Credit) Spend(size int) Credit { return Credit{c.Frames - 1, c.Bytes - size} }

// Some reports whether a frame may be sent.
func (c Credit) Some() bool { return c.Frames > 0 && c.Bytes > 0 }

// Flow bounds what is under way between tasks. Tests shrink it.
type Flow struct {
	// Window is what an input channel holds, and so what its sender may have sent and the task has not taken.
	Window Credit
	// Batch is the size in bytes that makes a batch full.
	Batch int
	// Soft is how many bytes may wait in an output channel's queue before the task takes no more input.
	Soft int
	// Overdraft is how many bytes may wait in all output channels of a task before it stops amid a record. What a
	// record makes the operators emit in between takes no room downstream into account.
	Overdraft int
}

// DefaultFlow returns the bounds that tasks run with.
func DefaultFlow() Flow {
	return Flow{Window: Credit{Frames: 128, Bytes: 256 << 10}, Batch: batchSize, Soft: batchSize, Overdraft: 4 << 20}
}

// grantAt is how much of the window a task takes before it grants it to the sender again, in one step. As it is less
// than the whole, a sender that has none left always has more coming.
func (f Flow) grantAt() Credit { return Credit{max(1, f.Window.Frames/4), max(1, f.Window.Bytes/4)} }
