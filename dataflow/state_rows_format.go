package dataflow

import (
	"encoding/binary"

	"cairn/dataflow/codec"
)

// How the rows of a snapshot in the canonical format become rows of a store, and back: split finds the name of a row and its
// value, trim removes from a value what has expired, join puts a row together.

func (f *valueFormat[K, V]) split(src []byte) (name, between, value int, err error) {
	if name, err = sizeOf(f.keys, src); err == nil {
		value, err = sizeOf(f.values, src[name:])
	}
	return name, 0, value, err
}

func (f *valueFormat[K, V]) trim(dst, value []byte, now int64) ([]byte, bool, error) {
	if f.live != nil {
		if v, _, err := f.values.Decode(value); err != nil || !f.live(v, now) {
			return dst, false, err
		}
	}
	return append(dst, value...), true, nil
}

func (f *valueFormat[K, V]) join(dst, name, value []byte, now int64) ([]byte, bool, error) {
	joined, some, err := f.trim(append(dst, name...), value, now)
	if !some {
		return dst, false, err
	}
	return joined, true, nil
}

func (f *listFormat[K, V]) split(src []byte) (name, between, value int, err error) {
	if name, err = sizeOf(f.keys, src); err != nil {
		return 0, 0, 0, err
	}
	size, n := binary.Uvarint(src[name:])
	if n <= 0 || size > uint64(len(src)-name-n) {
		return 0, 0, 0, codec.ErrShort
	}
	return name, n, int(size), nil
}

func (f *listFormat[K, V]) trim(dst, value []byte, now int64) ([]byte, bool, error) {
	if f.live == nil {
		return append(dst, value...), len(value) > 0, nil
	}
	some := false
	for len(value) > 0 {
		v, n, err := f.elements.Decode(value)
		if err != nil {
			return dst, false, err
		}
		if f.live(v, now) {
			dst, some = append(dst, value[:n]...), true
		}
		value = value[n:]
	}
	return dst, some, nil
}

func (f *listFormat[K, V]) join(dst, name, value []byte, now int64) ([]byte, bool, error) {
	live, some, err := f.trim(nil, value, now)
	if !some {
		return dst, false, err
	}
	dst = binary.AppendUvarint(append(dst, name...), uint64(len(live)))
	return append(dst, live...), true, nil
}

func (f *mapFormat[K, MK, MV]) split(src []byte) (name, between, value int, err error) {
	if name, err = sizeOf(f.keys, src); err != nil {
		return 0, 0, 0, err
	}
	n, err := sizeOf(f.mapKeys, src[name:])
	if err != nil {
		return 0, 0, 0, err
	}
	name += n
	value, err = sizeOf(f.values, src[name:])
	return name, 0, value, err
}

func (f *mapFormat[K, MK, MV]) trim(dst, value []byte, now int64) ([]byte, bool, error) {
	if f.live != nil {
		if v, _, err := f.values.Decode(value); err != nil || !f.live(v, now) {
			return dst, false, err
		}
	}
	return append(dst, value...), true, nil
}

func (f *mapFormat[K, MK, MV]) join(dst, name, value []byte, now int64) ([]byte, bool, error) {
	joined, some, err := f.trim(append(dst, name...), value, now)
	if !some {
		return dst, false, err
	}
	return joined, true, nil
}

func (f *timerFormat[K]) split(src []byte) (name, between, value int, err error) {
	if name, err = sizeOf(f.keys, src); err != nil {
		return 0, 0, 0, err
	}
	n, err := sizeOf(codec.Int64, src[name:])
	return name + n, 0, 0, err
}

func (f *timerFormat[K]) trim(dst, value []byte, _ int64) ([]byte, bool, error) {
	return append(dst, value...), true, nil
}

func (f *timerFormat[K]) join(dst, name, _ []byte, _ int64) ([]byte, bool, error) {
	return append(dst, name...), true, nil
}
