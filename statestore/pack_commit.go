package statestore

import (
	"sync"

	"cairn/checkpoint"
)

// packer writes small chunks. Those that are stored at the same time share a file, as transactions share a write of the
// log in a database (group commit): while one batch is being written, those that arrive form the next. There is no
// waiting for more, and no goroutine: the first caller of each batch writes it. A batch of one becomes a file of its own.
type packer struct {
	mu   sync.Mutex
	tail *batch // the newest batch that is not over, nil for none
}

// batch is small chunks that are written together. The callers that brought them hold the chunks' locks until done.
type batch struct {
	items  []packItem // grows under packer.mu until sealed
	bytes  int
	sealed bool
	done   chan struct{} // closed when the batch is over
	err    error         // valid when done
}

type packItem struct {
	ref checkpoint.ChunkRef
	e   Encoded
}

// commit stores a small chunk, and enters it into the index. The caller holds its lock.
func (p *packer) commit(l *Local, ref checkpoint.ChunkRef, e Encoded) error {
	item := packItem{ref: ref, e: e}
	p.mu.Lock()
	ahead := p.tail
	if ahead != nil && ahead.add(item) {
		p.mu.Unlock()
		<-ahead.done
		return ahead.err
	}
	b := &batch{done: make(chan struct{})}
	b.add(item)
	p.tail = b
	p.mu.Unlock()

	if ahead != nil {
		<-ahead.done
	}
	p.mu.Lock()
	b.sealed = true
	p.mu.Unlock()
	b.err = l.writeBatch(b.items)
	p.mu.Lock()
	if p.tail == b {
		p.tail = nil
	}
	p.mu.Unlock()
	close(b.done)
	return b.err
}

// add takes a chunk into the batch, unless that is full or being written.
func (b *batch) add(item packItem) bool {
	if b.sealed || len(b.items) == maxPackEntries || b.bytes+len(item.e.Data) > maxPackData {
		return false
	}
	b.items = append(b.items, item)
	b.bytes += len(item.e.Data)
	return true
}

// writeBatch makes the chunks of a batch durable and enters them into the index.
func (l *Local) writeBatch(items []packItem) error {
	if len(items) == 1 {
		return l.installLoose(items[0].ref, items[0].e)
	}
	pack := newPackWriter()
	defer pack.giveBack()
	for _, item := range items {
		pack.add(item.ref, item.e)
	}
	number, info, entries, err := l.writePack(pack)
	if err == nil {
		l.index.addPack(number, info, entries)
	}
	return err
}

// packWriter collects the chunks of a pack, in a buffer.
type packWriter struct {
	entries []packEntry
	buffer  *buffer
	data    []byte
}

func newPackWriter() *packWriter {
	w := &packWriter{buffer: borrow(maxPackData)}
	w.data = w.buffer.bytes[:0]
	return w
}

func (w *packWriter) giveBack() { w.buffer.giveBack() }

// fits reports whether the pack takes another chunk of so many bytes encoded.
func (w *packWriter) fits(stored uint32) bool {
	return len(w.entries) < maxPackEntries && len(w.data)+int(stored) <= maxPackData
}

func (w *packWriter) add(ref checkpoint.ChunkRef, e Encoded) {
	w.entries = append(w.entries, packEntry{id: ref.ID, at: place{
		size: uint32(ref.Size), stored: uint32(len(e.Data)), encoding: e.Encoding,
	}})
	w.data = append(w.data, e.Data...)
}

// number says where the chunks are, in the pack of that number.
func (w *packWriter) number(n uint64) {
	offset := uint32(packHeaderSize(len(w.entries)))
	for i := range w.entries {
		at := &w.entries[i].at
		at.pack, at.offset = n, offset
		offset += at.stored
	}
}

// writePack makes a pack durable. It is not in the index yet.
func (l *Local) writePack(w *packWriter) (number uint64, info packInfo, entries []packEntry, err error) {
	number = l.lastPack.Add(1)
	w.number(number)
	header := borrow(packHeaderSize(len(w.entries)))
	defer header.giveBack()
	path := l.pack(number)
	if err := l.newFile(path, appendPackHeader(header.bytes[:0], w.entries), w.data); err != nil {
		return 0, packInfo{}, nil, err
	}
	if err := l.fs.SyncDir(l.packs()); err != nil {
		l.dropPackFile(path)
		return 0, packInfo{}, nil, err
	}
	return number, packInfo{bytes: packEnd(w.entries), entries: len(w.entries)}, w.entries, nil
}
