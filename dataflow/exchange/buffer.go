package exchange

import (
	"sync"
	"sync/atomic"
)

const (
	smallBuffer = 1 << 10           // holds an event, or a batch that was sent because its time had come
	batchBuffer = batchSize + 4<<10 // holds a batch that was sent because it was full
	largeBuffer = 8 * batchBuffer   // what is larger is left to the garbage collector
)

var (
	smallBuffers = sync.Pool{New: func() any { return &Buffer{data: make([]byte, 0, smallBuffer)} }}
	batchBuffers = sync.Pool{New: func() any { return &Buffer{data: make([]byte, 0, batchBuffer)} }}
)

// Buffer is a frame that waits in a queue, in memory that comes from a pool and goes back when nobody needs it any
// more: the queue that the frame waits in, and each snapshot that it became a part of. Its bytes are not changed
// meanwhile.
type Buffer struct {
	data  []byte
	users atomic.Int32
}

// CopyFrame returns a buffer with the bytes of a frame, for one user.
func CopyFrame(frame []byte) *Buffer {
	b := takeBuffer(len(frame))
	b.data = append(b.data, frame...)
	return b
}

// takeBuffer returns an empty buffer for about size bytes, for one user.
func takeBuffer(size int) *Buffer {
	pool := &batchBuffers
	if size <= smallBuffer {
		pool = &smallBuffers
	}
	b := pool.Get().(*Buffer)
	b.data = b.data[:0]
	b.users.Store(1)
	return b
}

// share adds a user.
func (b *Buffer) share() *Buffer {
	b.users.Add(1)
	return b
}

// Bytes returns the frame. It is not to be changed, nor kept behind Release.
func (b *Buffer) Bytes() []byte { return b.data }

// Release takes a user away. The last one gives the memory back.
func (b *Buffer) Release() {
	if b.users.Add(-1) > 0 {
		return
	}
	switch size := cap(b.data); {
	case size < smallBuffer || size > largeBuffer:
	case size < batchBuffer:
		smallBuffers.Put(b)
	default:
		batchBuffers.Put(b)
	}
}
