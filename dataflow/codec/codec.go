// Package codec turns values into bytes and back: records that cross a channel, keys, and state.
//
// The encodings are self-delimiting, so that values follow each other without separators, and they are
// persisted in snapshots: an encoding that exists never changes. Equal keys have equal encodings, which is
// what key groups are computed from. Codecs hold no state and are safe for concurrent use.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrShort says that the bytes end before the value does.
var ErrShort = errors.New("the encoding is cut short")

// Codec encodes and decodes values of type T.
type Codec[T any] interface {
	// Append appends the encoding of v to dst and returns the extended slice.
	Append(dst []byte, v T) []byte
	// Decode reads one value from the beginning of src and returns it with the number of bytes read. The
	// value does not refer to src, which is used again.
	Decode(src []byte) (v T, n int, err error)
}

// The built-in codecs.
var (
	// String is a length and the bytes. Decoding allocates the string, nothing else.
	String Codec[string] = stringCodec{}
	// Bytes is a length and the bytes.
	Bytes Codec[[]byte] = bytesCodec{}
	// Int64 is a zigzag varint: small magnitudes take few bytes.
	Int64 Codec[int64] = int64Codec{}
	// Uint64 is a varint.
	Uint64 Codec[uint64] = uint64Codec{}
	// Float64 is the eight bytes of the IEEE 754 form. As keys, 0 and -0 are different.
	Float64 Codec[float64] = float64Codec{}
	// Bool is one byte.
	Bool Codec[bool] = boolCodec{}
)

type stringCodec struct{}

func (stringCodec) Append(dst []byte, v string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

func (stringCodec) Decode(src []byte) (string, int, error) {
	body, n, err := sized(src)
	return string(body), n, err
}

type bytesCodec struct{}

func (bytesCodec) Append(dst, v []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

func (bytesCodec) Decode(src []byte) ([]byte, int, error) {
	body, n, err := sized(src)
	if err != nil {
		return nil, 0, err
	}
	return append(make([]byte, 0, len(body)), body...), n, nil
}

// sized returns the bytes behind a length, within src, and how much of src both take.
func sized(src []byte) (body []byte, n int, err error) {
	size, head := binary.Uvarint(src)
	switch {
	case head == 0:
		return nil, 0, ErrShort
	case head < 0:
		return nil, 0, errors.New("the length overflows 64 bits")
	case size > uint64(len(src)-head):
		return nil, 0, fmt.Errorf("%w: %d bytes announced, %d left", ErrShort, size, len(src)-head)
	}
	end := head + int(size)
	return src[head:end], end, nil
}

type int64Codec struct{}

func (int64Codec) Append(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func (int64Codec) Decode(src []byte) (int64, int, error) {
	v, n := binary.Varint(src)
	if n <= 0 {
		return 0, 0, varintError(n)
	}
	return v, n, nil
}

type uint64Codec struct{}

func (uint64Codec) Append(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func (uint64Codec) Decode(src []byte) (uint64, int, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, 0, varintError(n)
	}
	return v, n, nil
}

func varintError(n int) error {
	if n == 0 {
		return ErrShort
	}
	return errors.New("the number overflows 64 bits")
}

type float64Codec struct{}

func (float64Codec) Append(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

func (float64Codec) Decode(src []byte) (float64, int, error) {
	if len(src) < 8 {
		return 0, 0, ErrShort
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(src)), 8, nil
}

type boolCodec struct{}

func (boolCodec) Append(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func (boolCodec) Decode(src []byte) (bool, int, error) {
	if len(src) == 0 {
		return false, 0, ErrShort
	}
	if src[0] > 1 {
		return false, 0, fmt.Errorf("a bool is 0 or 1, not %d", src[0])
	}
	return src[0] == 1, 1, nil
}
