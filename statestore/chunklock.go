package statestore

import (
	"context"
	"sync"

	"cairn/checkpoint"
)

// chunkLocks lets one goroutine at a time change the copy of a chunk, without holding up the others. A
// second Put of a chunk thereby waits until the first one's copy is durable, instead of writing it too.
type chunkLocks struct {
	mu sync.Mutex
	// held has an entry for each locked chunk: a channel that carries nothing, and that unlock closes, or nil while nobody
	// waits.
	held map[checkpoint.ChunkID]chan struct{}
}

// lock waits for the chunk, or for ctx.
func (l *chunkLocks) lock(ctx context.Context, id checkpoint.ChunkID) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		busy := l.tryLock(id)
		if busy == nil {
			return nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
		}
	}
}

// tryLock takes the lock and returns nil, or returns a channel that is closed when its holder lets go.
func (l *chunkLocks) tryLock(id checkpoint.ChunkID) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if busy, held := l.held[id]; held {
		if busy == nil {
			busy = make(chan struct{})
			l.held[id] = busy
		}
		return busy
	}
	if l.held == nil {
		l.held = make(map[checkpoint.ChunkID]chan struct{})
	}
	l.held[id] = nil
	return nil
}

func (l *chunkLocks) unlock(id checkpoint.ChunkID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting := l.held[id]; waiting != nil {
		close(waiting)
	}
	delete(l.held, id)
}
