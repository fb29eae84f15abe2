package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
)

// The built-in codecs of numbers.
var (
	// Int64 is a zigzag varint: small magnitudes take few bytes.
	Int64 Codec[int64] = signedCodec[int64]{}
	// Int32 is encoded as Int64 is. A number that does not fit is an error.
	Int32 Codec[int32] = signedCodec[int32]{}
	// Int is encoded as Int64 is. A number that does not fit on this machine is an error.
	Int Codec[int] = signedCodec[int]{}
	// Uint64 is a varint.
	Uint64 Codec[uint64] = unsignedCodec[uint64]{}
	// Uint32 is encoded as Uint64 is. A number that does not fit is an error.
	Uint32 Codec[uint32] = unsignedCodec[uint32]{}
	// Float64 is the eight bytes of the IEEE 754 form. See the package's word on floating-point keys.
	Float64 Codec[float64] = float64Codec{}
	// Float32 is the four bytes of the IEEE 754 form.
	Float32 Codec[float32] = float32Codec{}
)

// Signed is any type of signed whole numbers.
type Signed interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64
}

// Unsigned is any type of unsigned whole numbers.
type Unsigned interface {
	~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// IntOf is Int64 for a type of your own. A number that does not fit the type is an error.
func IntOf[T Signed]() Codec[T] { return signedCodec[T]{} }

// UintOf is Uint64 for a type of your own. A number that does not fit the type is an error.
func UintOf[T Unsigned]() Codec[T] { return unsignedCodec[T]{} }

type signedCodec[T Signed] struct{}

func (signedCodec[T]) Append(dst []byte, v T) []byte { return binary.AppendVarint(dst, int64(v)) }

func (signedCodec[T]) Decode(src []byte) (T, int, error) {
	v, n := binary.Varint(src)
	if n <= 0 {
		return 0, 0, varintError(n)
	}
	if int64(T(v)) != v {
		return 0, 0, doesNotFit(v, kindOf[T]())
	}
	return T(v), n, nil
}

func (signedCodec[T]) Describe() string { return kindOf[T]() }

type unsignedCodec[T Unsigned] struct{}

func (unsignedCodec[T]) Append(dst []byte, v T) []byte { return binary.AppendUvarint(dst, uint64(v)) }

func (unsignedCodec[T]) Decode(src []byte) (T, int, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, 0, varintError(n)
	}
	if uint64(T(v)) != v {
		return 0, 0, doesNotFit(v, kindOf[T]())
	}
	return T(v), n, nil
}

func (unsignedCodec[T]) Describe() string { return kindOf[T]() }

func kindOf[T any]() string { return reflect.TypeFor[T]().Kind().String() }

func varintError(n int) error {
	if n == 0 {
		return ErrShort
	}
	return errors.New("the number overflows 64 bits")
}

func doesNotFit[N int64 | uint64](v N, kind string) error {
	return fmt.Errorf("the number %d does not fit %s", v, kind)
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

func (float64Codec) Describe() string { return "float64" }

type float32Codec struct{}

func (float32Codec) Append(dst []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
}

func (float32Codec) Decode(src []byte) (float32, int, error) {
	if len(src) < 4 {
		return 0, 0, ErrShort
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(src)), 4, nil
}

func (float32Codec) Describe() string { return "float32" }
