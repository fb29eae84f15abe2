package statestore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// MemoryObjects keeps objects in memory, for tests and toys.
type MemoryObjects struct {
	name string

	mu      sync.RWMutex
	objects map[string][]byte // the slices are never changed
}

var _ Objects = (*MemoryObjects)(nil)

// NewMemoryObjects returns an empty store of that name.
func NewMemoryObjects(name string) *MemoryObjects {
	return &MemoryObjects{name: name, objects: make(map[string][]byte)}
}

// Name implements Objects.
func (m *MemoryObjects) Name() string { return m.name }

// Put implements Objects.
func (m *MemoryObjects) Put(ctx context.Context, key string, content io.ReadSeeker, size int64) error {
	data, err := readExactly(content, size)
	if err != nil {
		return fmt.Errorf("%s: put %s: %w", m.name, key, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[key] = data
	return nil
}

// readExactly returns the content of an object, which has to have that size.
func readExactly(content io.Reader, size int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(content, size+1))
	if err == nil && int64(len(data)) != size {
		err = fmt.Errorf("the content has not the %d bytes that it should have", size)
	}
	return data, err
}

// Read implements Objects.
func (m *MemoryObjects) Read(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	data, err := m.lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	from := min(offset, int64(len(data)))
	return bytes.Clone(data[from:min(from+length, int64(len(data)))]), nil
}

// Head implements Objects.
func (m *MemoryObjects) Head(ctx context.Context, key string) (ObjectInfo, error) {
	data, err := m.lookup(ctx, key)
	if err != nil {
		return ObjectInfo{}, err
	}
	return ObjectInfo{Key: key, Size: int64(len(data))}, nil
}

func (m *MemoryObjects) lookup(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	data, found := m.objects[key]
	if !found {
		return nil, fmt.Errorf("%s: %s: %w", m.name, key, ErrNoObject)
	}
	return data, nil
}

// List implements Objects. It yields what is there when it begins.
func (m *MemoryObjects) List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) {
		for _, object := range m.withPrefix(prefix) {
			if err := ctx.Err(); err != nil {
				yield(ObjectInfo{}, err)
				return
			}
			if !yield(object, nil) {
				return
			}
		}
	}
}

func (m *MemoryObjects) withPrefix(prefix string) []ObjectInfo {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []ObjectInfo
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if strings.HasPrefix(key, prefix) {
			found = append(found, ObjectInfo{Key: key, Size: int64(len(m.objects[key]))})
		}
	}
	return found
}

// Delete implements Objects.
func (m *MemoryObjects) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}
