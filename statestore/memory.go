package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"cairn/checkpoint"
)

// Memory keeps chunks in memory, for tests and for clusters that need not outlive their process.
type Memory struct {
	mu      sync.RWMutex
	chunks  map[checkpoint.ChunkID][]byte // the slices are never changed
	changed func(Change)
}

var (
	_ Store         = (*Memory)(nil)
	_ EncodedStore  = (*Memory)(nil)
	_ Inventory     = (*Memory)(nil)
	_ trustingStore = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{chunks: make(map[checkpoint.ChunkID][]byte), changed: func(Change) {}}
}

// Watch makes the store tell changed of everything that happens to a chunk from now on, as LocalOptions.OnChange is told,
// in the place of whom it told before.
func (m *Memory) Watch(changed func(Change)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changed = changed
}

// Put implements Store.
func (m *Memory) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	if err := m.writeVerified(ctx, ref, content{data: data}); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, nil
}

// Write implements Store.
func (m *Memory) Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	if err := verify(ref, data); err != nil {
		return err
	}
	return m.writeVerified(ctx, ref, content{data: data})
}

// WriteEncoded implements EncodedStore.
func (m *Memory) WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error {
	data, err := e.Decode(ref)
	if err != nil {
		return err
	}
	return m.writeVerified(ctx, ref, content{data: data})
}

// GetEncoded implements EncodedStore.
func (m *Memory) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error) {
	data, err := m.Get(ctx, ref)
	return Encoded{Data: data}, err
}

// writeVerified implements trustingStore.
func (m *Memory) writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := c.load(osFS{}, ref)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.chunks[ref.ID] == nil {
		m.chunks[ref.ID] = append(make([]byte, 0, max(1, len(data))), data...) // not nil, however short
		m.changed(Change{Kind: ChunkAdded, Ref: ref})
	}
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	if err := errors.Join(ctx.Err(), checkRef(ref)); err != nil {
		return nil, err
	}
	data := m.lookup(ref.ID)
	if data == nil {
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, ErrNotFound)
	}
	if err := verify(ref, data); err != nil {
		return nil, err
	}
	return bytes.Clone(data), nil
}

// Has implements Store.
func (m *Memory) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	data := m.lookup(ref.ID)
	return data != nil && int64(len(data)) == ref.Size, nil
}

// lookup returns a chunk's content, or nil when it is not there.
func (m *Memory) lookup(id checkpoint.ChunkID) []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.chunks[id]
}

// List implements Inventory.
func (m *Memory) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return func(yield func(checkpoint.ChunkRef, error) bool) {
		for _, ref := range m.refs() {
			if err := ctx.Err(); err != nil {
				yield(checkpoint.ChunkRef{}, err)
				return
			}
			if !yield(ref, nil) {
				return
			}
		}
	}
}

// refs returns the chunks in ascending order of their IDs.
func (m *Memory) refs() []checkpoint.ChunkRef {
	m.mu.RLock()
	defer m.mu.RUnlock()
	refs := make([]checkpoint.ChunkRef, 0, len(m.chunks))
	for id, data := range m.chunks {
		refs = append(refs, checkpoint.ChunkRef{ID: id, Size: int64(len(data))})
	}
	slices.SortFunc(refs, compareIDs)
	return refs
}

// Delete implements Inventory.
func (m *Memory) Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (deleted, refused int, err error) {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return deleted, refused, err
		}
		if m.deleteOne(id, keep) {
			deleted++
		} else {
			refused++
		}
	}
	return deleted, refused, ctx.Err()
}

// deleteOne asks keep under the lock under which a Put finds or stores the chunk.
func (m *Memory) deleteOne(id checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if keep(id) {
		return false
	}
	if data := m.chunks[id]; data != nil {
		delete(m.chunks, id)
		m.changed(Change{Kind: ChunkRemoved, Ref: checkpoint.ChunkRef{ID: id, Size: int64(len(data))}})
	}
	return true
}
