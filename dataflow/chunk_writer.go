package dataflow

import (
	"context"
	"sync"

	"cairn/checkpoint"
)

// maxPuts is how many chunks of a handle are being stored at a time, while the next one is made: the disk, or a peer,
// then need not wait for the serialization, nor that for them, and what is synced at the same time costs the disk once.
const maxPuts = 4

// chunkWriter cuts a handle's content into chunks and stores them as they become full. It belongs to one goroutine, which
// calls flush, or wait after an error, before it lets go of the writer.
type chunkWriter struct {
	ctx   context.Context
	store ChunkStore
	buf   []byte
	refs  []checkpoint.ChunkRef // in the order of the content; valid after flush

	putting int           // chunks that are being stored
	over    chan chunkPut // capacity maxPuts, never closed: those that are no longer
	spare   [][]byte      // their memory
	err     error         // the first that storing has returned
}

// chunkPut is a chunk that has been stored, or could not be.
type chunkPut struct {
	at   int // position in refs
	ref  checkpoint.ChunkRef
	err  error
	data []byte
}

// expect takes memory for content of about that size.
func (w *chunkWriter) expect(size int) {
	if w.buf == nil {
		w.buf = w.memory(min(size+size/16, maxChunkSize))[:0]
	}
}

func (w *chunkWriter) write(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxChunkSize-len(w.buf))
		w.buf, b = append(w.buf, b[:n]...), b[n:]
		if len(w.buf) == maxChunkSize {
			if err := w.cut(); err != nil {
				return err
			}
			w.buf = w.memory(maxChunkSize)[:0]
		}
	}
	return nil
}

// cut ends the chunk that is being made, if there is anything in it.
func (w *chunkWriter) cut() error {
	if len(w.buf) == 0 {
		return nil
	}
	data := w.buf
	w.buf = nil
	return w.put(data)
}

// memory returns so many bytes, those of an earlier chunk if it had as many.
func (w *chunkWriter) memory(size int) []byte {
	if last := len(w.spare) - 1; last >= 0 {
		b := w.spare[last]
		w.spare = w.spare[:last]
		if cap(b) >= size {
			return b[:size]
		}
	}
	if b, _ := spareChunks.Get().(*[]byte); b != nil && cap(*b) >= size {
		return (*b)[:size]
	}
	return make([]byte, size)
}

// spareChunks is the memory of chunks that have been stored (*[]byte). Checkpoints follow each other, and are about as
// large: without it each of them would be garbage.
var spareChunks sync.Pool

// recycle gives up the memory of what has been stored. Nothing is being stored any more.
func (w *chunkWriter) recycle() {
	for _, b := range w.spare {
		if cap(b) >= minSpareChunk {
			spareChunks.Put(&b)
		}
	}
	w.spare = nil
}

// minSpareChunk is the size from which on memory is worth being kept.
const minSpareChunk = 256 << 10

// put begins to store a chunk, whose memory is the writer's from now on.
func (w *chunkWriter) put(data []byte) error {
	return w.begin(data, func() (checkpoint.ChunkRef, error) { return w.store.Put(w.ctx, data) })
}

// begin begins to store a chunk, by a function that is called in another goroutine. data is its memory, nil for none. It
// waits for an earlier chunk when there are too many.
func (w *chunkWriter) begin(data []byte, store func() (checkpoint.ChunkRef, error)) error {
	for w.putting >= maxPuts {
		w.collect()
	}
	if w.err != nil {
		return w.err
	}
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.over == nil {
		w.over = make(chan chunkPut, maxPuts)
	}
	put := chunkPut{at: len(w.refs), data: data}
	w.refs = append(w.refs, checkpoint.ChunkRef{})
	w.putting++
	go func() {
		put.ref, put.err = store()
		w.over <- put
	}()
	return nil
}

// FileTaker is a ChunkStore that need not copy what lies in a file already.
type FileTaker interface {
	// PutFile is Put of the whole content of the file at path. Nobody writes to that file any more; its name is removed
	// when PutFile has returned.
	PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error)
}

// collect waits for a chunk to be stored.
func (w *chunkWriter) collect() {
	put := <-w.over
	w.putting--
	w.refs[put.at] = put.ref
	if put.data != nil {
		w.spare = append(w.spare, put.data)
	}
	if w.err == nil {
		w.err = put.err
	}
}

// wait returns when nothing is being stored any more.
func (w *chunkWriter) wait() error {
	for w.putting > 0 {
		w.collect()
	}
	return w.err
}

// flush stores what has been written since the last full chunk, and returns when everything is stored.
func (w *chunkWriter) flush() error {
	err := w.cut()
	if waiting := w.wait(); err == nil {
		err = waiting
	}
	return err
}
