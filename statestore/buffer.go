package statestore

import "sync"

// buffer is memory that is used for the length of a call.
type buffer struct{ bytes []byte }

// smallBuffer is the capacity in bytes up to which buffers are kept apart from larger ones.
const smallBuffer = 64 << 10

var smallBuffers, largeBuffers sync.Pool

func poolFor(size int) *sync.Pool {
	if size <= smallBuffer {
		return &smallBuffers
	}
	return &largeBuffers
}

// borrow returns a buffer with room for size bytes, of any content.
func borrow(size int) *buffer {
	b, ok := poolFor(size).Get().(*buffer)
	if !ok {
		b = &buffer{}
	}
	if cap(b.bytes) < size {
		b.bytes = make([]byte, size)
	}
	return b
}

// giveBack ends the use of the buffer, and of all that shares its memory. A nil buffer is fine.
func (b *buffer) giveBack() {
	if b != nil {
		poolFor(cap(b.bytes)).Put(b)
	}
}
