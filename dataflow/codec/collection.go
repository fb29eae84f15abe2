package codec

import "fmt"

// Slice returns the codec of slices whose elements have the given codec, which must use at least one byte for
// each: a count and the elements. A nil slice comes back empty.
func Slice[T any](element Codec[T]) Codec[[]T] { return sliceCodec[T]{element} }

type sliceCodec[T any] struct{ element Codec[T] }

func (c sliceCodec[T]) Append(dst []byte, v []T) []byte {
	dst = Uint64.Append(dst, uint64(len(v)))
	for _, e := range v {
		dst = c.element.Append(dst, e)
	}
	return dst
}

func (c sliceCodec[T]) Decode(src []byte) ([]T, int, error) {
	count, n, err := decodeCount(src)
	if err != nil {
		return nil, 0, err
	}
	v := make([]T, 0, count)
	for range count {
		e, m, err := c.element.Decode(src[n:])
		if err != nil {
			return nil, 0, err
		}
		v, n = append(v, e), n+m
	}
	return v, n, nil
}

func (c sliceCodec[T]) Describe() string { return "[]" + Describe(c.element) }

// decodeCount reads the number of things that take at least one byte each, before it is trusted with an allocation.
func decodeCount(src []byte) (count, n int, err error) {
	c, n, err := Uint64.Decode(src)
	if err != nil {
		return 0, 0, err
	}
	if c > uint64(len(src)-n) {
		return 0, 0, fmt.Errorf("%w: %d elements announced, %d bytes left", ErrShort, c, len(src)-n)
	}
	return int(c), n, nil
}

// Optional returns the codec of pointers to values that have the given codec: a byte that says whether there is one,
// and the value. What two pointers share they do not share any more when they come back. Pointers are no keys: equal
// ones have equal encodings, but one that comes back is equal to none.
func Optional[T any](value Codec[T]) Codec[*T] { return optionalCodec[T]{value} }

type optionalCodec[T any] struct{ value Codec[T] }

func (c optionalCodec[T]) Append(dst []byte, v *T) []byte {
	if v == nil {
		return append(dst, 0)
	}
	return c.value.Append(append(dst, 1), *v)
}

func (c optionalCodec[T]) Decode(src []byte) (*T, int, error) {
	there, n, err := Bool.Decode(src)
	if err != nil || !there {
		return nil, n, err
	}
	v, m, err := c.value.Decode(src[n:])
	if err != nil {
		return nil, 0, err
	}
	return &v, n + m, nil
}

func (c optionalCodec[T]) Describe() string { return "*" + Describe(c.value) }
