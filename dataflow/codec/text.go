package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The built-in codecs of text and truth.
var (
	// String is a length and the bytes. Decoding allocates the string, nothing else.
	String Codec[string] = stringCodec[string]{}
	// Bytes is a length and the bytes. A nil slice comes back empty.
	Bytes Codec[[]byte] = bytesCodec{}
	// Bool is one byte.
	Bool Codec[bool] = boolCodec{}
)

// StringOf is String for a type of your own.
func StringOf[T ~string]() Codec[T] { return stringCodec[T]{} }

type stringCodec[T ~string] struct{}

func (stringCodec[T]) Append(dst []byte, v T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(v))), v...)
}

func (stringCodec[T]) Decode(src []byte) (T, int, error) {
	body, n, err := sized(src)
	return T(body), n, err
}

func (stringCodec[T]) Describe() string { return "string" }

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

func (bytesCodec) Describe() string { return "bytes" }

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

func (boolCodec) Describe() string { return "bool" }
