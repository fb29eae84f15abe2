package codec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
)

// Map returns the codec of maps whose keys and values have the given codecs: a count and the entries, in the order of
// their encodings, so that equal maps have equal encodings. A key's encoding must use at least one byte. A nil map
// comes back empty.
func Map[K comparable, V any](keys Codec[K], values Codec[V]) Codec[map[K]V] {
	return mapCodec[K, V]{keys: keys, values: values}
}

type mapCodec[K comparable, V any] struct {
	keys   Codec[K]
	values Codec[V]
}

func (c mapCodec[K, V]) Append(dst []byte, v map[K]V) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	s := newSorter()
	for key, value := range v {
		s.bytes = c.values.Append(c.keys.Append(s.bytes, key), value)
		s.endEntry()
	}
	return s.appendTo(dst)
}

func (c mapCodec[K, V]) Decode(src []byte) (map[K]V, int, error) {
	count, n, err := decodeCount(src)
	if err != nil {
		return nil, 0, err
	}
	v := make(map[K]V, count)
	for range count {
		key, m, err := c.keys.Decode(src[n:])
		if err != nil {
			return nil, 0, err
		}
		n += m
		value, m, err := c.values.Decode(src[n:])
		if err != nil {
			return nil, 0, err
		}
		v[key], n = value, n+m
	}
	if len(v) != count {
		return nil, 0, errKeyTwice(len(v), count)
	}
	return v, n, nil
}

func (c mapCodec[K, V]) Describe() string {
	return "map[" + Describe(c.keys) + "]" + Describe(c.values)
}

func errKeyTwice(keys, entries int) error {
	return fmt.Errorf("a map of %d entries has only %d different keys", entries, keys)
}

// sorter puts the entries of a map into the order of their encodings. A map of maps needs one per level.
type sorter struct {
	bytes   []byte // the entries one after the other, in the order in which they came
	entries []span
}

type span struct{ begin, end int } // of an entry in bytes

var sorters = sync.Pool{New: func() any { return new(sorter) }}

func newSorter() *sorter { return sorters.Get().(*sorter) }

// endEntry says that bytes ends with a further entry.
func (s *sorter) endEntry() {
	begin := 0
	if n := len(s.entries); n > 0 {
		begin = s.entries[n-1].end
	}
	s.entries = append(s.entries, span{begin, len(s.bytes)})
}

// appendTo appends the sorted entries to dst and gives the sorter up.
func (s *sorter) appendTo(dst []byte) []byte {
	slices.SortFunc(s.entries, func(a, b span) int {
		return bytes.Compare(s.bytes[a.begin:a.end], s.bytes[b.begin:b.end])
	})
	for _, e := range s.entries {
		dst = append(dst, s.bytes[e.begin:e.end]...)
	}
	s.bytes, s.entries = s.bytes[:0], s.entries[:0]
	sorters.Put(s)
	return dst
}
