package dataflow

import (
	"encoding/binary"
	"errors"
	"slices"

	"cairn/dataflow/codec"
)

// liveFunc reports whether a value has not expired by now. A nil one means that values never expire.
type liveFunc[V any] func(v V, now int64) bool

func (live liveFunc[V]) keeps(v V, now int64) bool { return live == nil || live(v, now) }

// valueFormat is the format of one value per key.
type valueFormat[K comparable, V any] struct {
	keys   codec.Codec[K]
	values codec.Codec[V]
	live   liveFunc[V]
}

func (f *valueFormat[K, V]) appendRows(dst []byte, key K, v V, now int64) ([]byte, int, bool) {
	if !f.live.keeps(v, now) {
		return dst, 0, true
	}
	return f.values.Append(f.keys.Append(dst, key), v), 1, false
}

func (f *valueFormat[K, V]) decodeRow(src []byte, into upsertFunc[K, V]) (key K, n int, err error) {
	key, n, err = f.keys.Decode(src)
	if err != nil {
		return key, 0, err
	}
	v, m, err := f.values.Decode(src[n:])
	if err == nil {
		err = insert(into, key, v)
	}
	return key, n + m, err
}

func (f *valueFormat[K, V]) prune(v *V, now int64) bool { return f.live.keeps(*v, now) }

// listFormat is the format of a list per key.
type listFormat[K comparable, V any] struct {
	keys     codec.Codec[K]
	elements codec.Codec[V]
	live     liveFunc[V]
}

func (f *listFormat[K, V]) appendRows(dst []byte, key K, list []V, now int64) ([]byte, int, bool) {
	start, kept := len(dst), 0
	dst = f.keys.Append(dst, key)
	head := len(dst)
	for _, v := range list {
		if f.live.keeps(v, now) {
			dst = f.elements.Append(dst, v)
			kept++
		}
	}
	if kept == 0 {
		return dst[:start], 0, len(list) > 0
	}
	// The length goes in front, when it is known.
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(dst)-head))
	return slices.Insert(dst, head, size[:n]...), 1, kept < len(list)
}

func (f *listFormat[K, V]) decodeRow(src []byte, into upsertFunc[K, []V]) (key K, n int, err error) {
	key, n, err = f.keys.Decode(src)
	if err != nil {
		return key, 0, err
	}
	size, m := binary.Uvarint(src[n:])
	if m <= 0 || size > uint64(len(src)-n-m) {
		return key, n, codec.ErrShort
	}
	n += m
	list, err := decodeAll(f.elements, src[n:n+int(size)])
	if err == nil && len(list) > 0 {
		err = insert(into, key, list)
	}
	return key, n + int(size), err
}

func (f *listFormat[K, V]) prune(list *[]V, now int64) bool {
	*list = slices.DeleteFunc(*list, func(v V) bool { return !f.live.keeps(v, now) })
	return len(*list) > 0
}

// errTwice says that a snapshot has two rows of one name.
var errTwice = errors.New("it comes twice")

// insert adds a row that must not be there.
func insert[R comparable, C any](into upsertFunc[R, C], r R, c C) error {
	cell, added := into(r)
	if !added {
		return errTwice
	}
	*cell = c
	return nil
}

// errEmptyElement says that a codec breaks its contract for lists: what takes no bytes cannot be counted.
var errEmptyElement = errors.New("an element of a list takes no bytes: its codec must use at least one")

// decodeAll decodes the values that follow each other in src.
func decodeAll[V any](c codec.Codec[V], src []byte) ([]V, error) {
	var all []V
	for len(src) > 0 {
		v, n, err := c.Decode(src)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errEmptyElement
		}
		all, src = append(all, v), src[n:]
	}
	return all, nil
}

// mapFormat is the format of a map per key.
type mapFormat[K, MK comparable, MV any] struct {
	keys    codec.Codec[K]
	mapKeys codec.Codec[MK]
	values  codec.Codec[MV]
	live    liveFunc[MV]
}

func (f *mapFormat[K, MK, MV]) appendRows(dst []byte, key K, m map[MK]MV, now int64) ([]byte, int, bool) {
	rows, expired := 0, false
	for mk, mv := range m {
		if !f.live.keeps(mv, now) {
			expired = true
			continue
		}
		dst = f.values.Append(f.mapKeys.Append(f.keys.Append(dst, key), mk), mv)
		rows++
	}
	return dst, rows, expired
}

func (f *mapFormat[K, MK, MV]) decodeRow(src []byte, into upsertFunc[K, map[MK]MV]) (key K, n int, err error) {
	key, n, err = f.keys.Decode(src)
	if err != nil {
		return key, 0, err
	}
	mk, m, err := f.mapKeys.Decode(src[n:])
	if err != nil {
		return key, n, err
	}
	n += m
	mv, m, err := f.values.Decode(src[n:])
	if err != nil {
		return key, n, err
	}
	entries, added := into(key)
	if added {
		*entries = make(map[MK]MV)
	}
	if _, twice := (*entries)[mk]; twice {
		return key, n + m, errTwice
	}
	(*entries)[mk] = mv
	return key, n + m, nil
}

func (f *mapFormat[K, MK, MV]) prune(m *map[MK]MV, now int64) bool {
	for mk, mv := range *m {
		if !f.live.keeps(mv, now) {
			delete(*m, mk)
		}
	}
	return len(*m) > 0
}
