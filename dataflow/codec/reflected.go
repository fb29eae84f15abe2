package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// ErrLayout says that a value was written by a codec of another type, or by one of the same type before it changed.
var ErrLayout = errors.New("the value has another layout")

// markSize is the number of bytes by which an encoding tells its layout.
const markSize = 2

// StructOf derives a codec from a Go type: from its kind if it is simple, and otherwise from all that it consists of, a
// struct's fields in the order of their declaration. Supported are bools, numbers (but complex ones), strings,
// time.Time, and structs, arrays, slices, maps and pointers of them, also where they have types of their own. A type
// that holds itself is not.
//
// A field with the tag `codec:"-"` is left out: it comes back as its zero value. An unexported field must have that
// tag, or `codec:"+"`, which takes it.
//
// What comes back is deeply equal to what was encoded: nil slices and maps stay apart from empty ones. Times follow
// Time, and pointers follow Optional. An encoding begins with two bytes that stand for the layout.
//
// A codec is made once, for instance in a package's variable; using it costs no reflection but for maps. It allocates
// what the value consists of: strings, slices, pointers' values, maps.
func StructOf[T any]() (Codec[T], error) {
	t := reflect.TypeFor[T]()
	var c compiler
	l, err := c.compile(t, t.String())
	if err != nil {
		return nil, fmt.Errorf("no codec for %s: %w", t, err)
	}
	return reflectedCodec[T]{layout: l, mark: uint16(xxhash.Sum64String(l.name))}, nil
}

// MustStruct is StructOf for a type that is known to be supported. It panics where StructOf returns an error.
func MustStruct[T any]() Codec[T] {
	c, err := StructOf[T]()
	if err != nil {
		panic("codec: " + err.Error())
	}
	return c
}

type reflectedCodec[T any] struct {
	layout *layout
	mark   uint16
}

func (c reflectedCodec[T]) Append(dst []byte, v T) []byte {
	return c.layout.append(binary.LittleEndian.AppendUint16(dst, c.mark), unsafe.Pointer(&v))
}

func (c reflectedCodec[T]) Decode(src []byte) (T, int, error) {
	var v, none T
	if len(src) < markSize {
		return none, 0, ErrShort
	}
	if mark := binary.LittleEndian.Uint16(src); mark != c.mark {
		return none, 0, fmt.Errorf("%w: its mark is %04x, and that of %s is %04x", ErrLayout, mark, c.layout.name, c.mark)
	}
	n, err := c.layout.decode(src[markSize:], unsafe.Pointer(&v))
	if err != nil {
		return none, 0, err
	}
	return v, markSize + n, nil
}

func (c reflectedCodec[T]) Describe() string { return c.layout.name }
