package codec

import (
	"encoding/binary"
	"reflect"
	"sync"
	"unsafe"
)

// mapping reaches the entries of a map, which only reflection can, through memory that is used again.
type mapping struct {
	goType reflect.Type
	keys   *layout
	values *layout
	rooms  sync.Pool // of *room
}

// room is memory for one entry.
type room struct {
	key, value     reflect.Value // addressable
	keyAt, valueAt unsafe.Pointer
	entries        *reflect.MapIter
}

func newMapping(t reflect.Type, keys, values *layout) *mapping {
	m := &mapping{goType: t, keys: keys, values: values}
	m.rooms.New = func() any {
		key, value := reflect.New(t.Key()), reflect.New(t.Elem())
		return &room{
			key: key.Elem(), value: value.Elem(), keyAt: key.UnsafePointer(), valueAt: value.UnsafePointer(), entries: new(reflect.MapIter),
		}
	}
	return m
}

// leave gives the memory back, with nothing in it that would be kept alive.
func (m *mapping) leave(r *room) {
	r.key.SetZero()
	r.value.SetZero()
	r.entries.Reset(reflect.Value{})
	m.rooms.Put(r)
}

// append appends the entries of a map, given by the pointer that a map variable holds, in the order of their encodings.
func (m *mapping) append(dst []byte, of unsafe.Pointer) []byte {
	if of == nil {
		return append(dst, 0)
	}
	v := reflect.NewAt(m.goType, unsafe.Pointer(&of)).Elem()
	dst = binary.AppendUvarint(dst, uint64(v.Len())+1)
	s := newSorter()
	r := m.rooms.Get().(*room)
	defer m.leave(r)
	r.entries.Reset(v)
	for r.entries.Next() {
		r.key.SetIterKey(r.entries)
		r.value.SetIterValue(r.entries)
		s.bytes = m.values.append(m.keys.append(s.bytes, r.keyAt), r.valueAt)
		s.endEntry()
	}
	return s.appendTo(dst)
}

// decode reads count entries into a new map, for the map variable at the address.
func (m *mapping) decode(src []byte, count int, at *unsafe.Pointer) (n int, err error) {
	v := reflect.MakeMapWithSize(m.goType, count)
	r := m.rooms.Get().(*room)
	defer m.leave(r)
	for range count {
		r.key.SetZero()
		r.value.SetZero()
		k, err := m.keys.decode(src[n:], r.keyAt)
		if err != nil {
			return 0, err
		}
		n += k
		if k, err = m.values.decode(src[n:], r.valueAt); err != nil {
			return 0, err
		}
		n += k
		v.SetMapIndex(r.key, r.value)
	}
	if v.Len() != count {
		return 0, errKeyTwice(v.Len(), count)
	}
	*at = v.UnsafePointer()
	return n, nil
}
