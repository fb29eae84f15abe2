package dataflow

import (
	"context"
	"fmt"
	"io"
	"sync"

	"cairn/checkpoint"
)

// How far a reader fetches ahead of its consumer. Several chunks at once keep several peers busy, and the disk.
const (
	maxChunksAhead = 4
	maxBytesAhead  = 32 << 20
	// maxAheadOfAll bounds what all readers of the process together have fetched, or are fetching, ahead: hundreds of
	// tasks may be restored at a time. Who finds no room left fetches what it needs and nothing more.
	maxAheadOfAll = 256 << 20
)

// aheadOfAll is of the process, as its memory is.
var aheadOfAll = byteBudget{left: maxAheadOfAll}

// byteBudget is a number of bytes that several share.
type byteBudget struct {
	mu   sync.Mutex
	left int64
}

// take reports whether there were n bytes left, which are the caller's then.
func (b *byteBudget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

func (b *byteBudget) put(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}

// chunkReader reads the content of a handle. It fetches chunks ahead of whoever reads: none behind the first one that is
// needed, then more with every chunk that is read, and none again behind chunks that are passed over. It is not safe for
// concurrent use. Whoever does not read to the end closes it.
type chunkReader struct {
	ctx   context.Context
	store ChunkStore
	refs  []checkpoint.ChunkRef // that have not been asked for
	chunk []byte                // what is left of the last one fetched

	ahead      []*fetching // asked for and not taken, in the order of the content
	aheadBytes int64
	window     int // how many may be in ahead while there is a chunk in hand; negative behind what was passed over
	fetches    sync.WaitGroup
}

// fetching is a chunk that was asked for.
type fetching struct {
	ref    checkpoint.ChunkRef
	cancel context.CancelFunc
	lent   int64         // taken from aheadOfAll
	done   chan struct{} // closed when data and err are there
	data   []byte
	err    error
}

// Read implements io.Reader.
func (r *chunkReader) Read(dst []byte) (int, error) {
	if err := r.fetch(); err != nil {
		return 0, err
	}
	n := copy(dst, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// fetch makes the next bytes available in chunk. It returns io.EOF when there are none.
func (r *chunkReader) fetch() error {
	for len(r.chunk) == 0 {
		r.askAhead()
		if len(r.ahead) == 0 {
			return io.EOF
		}
		next := r.ahead[0]
		<-next.done
		if next.err != nil {
			return fmt.Errorf("chunk %s: %w", next.ref.ID, next.err) // it stays: to read on is to fail again
		}
		r.chunk = next.data
		r.drop()
		r.widen()
		r.askAhead()
	}
	return nil
}

// widen lets more be fetched ahead, now that a chunk has been read. It takes two in a row behind what was passed over:
// the first may hold no more than the beginning of what is passed over next.
func (r *chunkReader) widen() {
	switch {
	case r.window < 0:
		r.window = 0
	case r.window == 0:
		r.window = 2
	default:
		r.window = min(2*r.window, maxChunksAhead)
	}
}

// askAhead asks for as many chunks as may be under way, and for the one that is needed in any case.
func (r *chunkReader) askAhead() {
	for len(r.refs) > 0 {
		next := r.refs[0]
		lent := int64(0)
		if needed := len(r.ahead) == 0 && len(r.chunk) == 0; !needed {
			if len(r.ahead) >= r.window || r.aheadBytes+next.Size > maxBytesAhead || !aheadOfAll.take(next.Size) {
				return
			}
			lent = next.Size
		}
		r.ask(next, lent)
		r.refs = r.refs[1:]
	}
}

func (r *chunkReader) ask(ref checkpoint.ChunkRef, lent int64) {
	ctx, cancel := context.WithCancel(r.ctx)
	f := &fetching{ref: ref, cancel: cancel, lent: lent, done: make(chan struct{})}
	r.ahead = append(r.ahead, f)
	r.aheadBytes += ref.Size
	r.fetches.Go(func() {
		defer close(f.done)
		f.data, f.err = r.store.Get(ctx, ref)
	})
}

// drop forgets the first chunk that was asked for.
func (r *chunkReader) drop() {
	f := r.ahead[0]
	f.cancel()
	aheadOfAll.put(f.lent)
	r.aheadBytes -= f.ref.Size
	r.ahead = r.ahead[1:]
}

// next returns the size of the chunk behind the one in hand, and false when there is none.
func (r *chunkReader) next() (size int64, found bool) {
	switch {
	case len(r.ahead) > 0:
		return r.ahead[0].ref.Size, true
	case len(r.refs) > 0:
		return r.refs[0].Size, true
	}
	return 0, false
}

// skip passes over n bytes, without fetching the chunks that have nothing else.
func (r *chunkReader) skip(n int) error {
	for n > 0 {
		if size, found := r.next(); len(r.chunk) == 0 && found && size <= int64(n) {
			n -= int(size)
			r.passOver()
			continue
		}
		if err := r.fetch(); err != nil {
			return err
		}
		passed := min(n, len(r.chunk))
		r.chunk, n = r.chunk[passed:], n-passed
	}
	return nil
}

// passOver leaves out the next chunk.
func (r *chunkReader) passOver() {
	r.window = -1
	if len(r.ahead) > 0 {
		r.drop()
	} else {
		r.refs = r.refs[1:]
	}
}

// close gives up what was asked for and waits until nobody is at it.
func (r *chunkReader) close() {
	for len(r.ahead) > 0 {
		r.drop()
	}
	r.refs, r.chunk = nil, nil
	r.fetches.Wait()
}
