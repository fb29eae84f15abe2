// Package codec turns values into bytes and back: records that cross a channel, keys, and state.
//
// The encodings are self-delimiting, so that values follow each other without separators, and they are
// persisted in snapshots: an encoding that exists never changes. Equal keys have equal encodings, which is
// what key groups are computed from. Codecs hold no state and are safe for concurrent use.
//
// There are three ways to a codec:
//
//   - the built-in ones for numbers, text and times, and Slice, Map, Optional and PairOf on top of them;
//   - MustStruct, which derives one from a Go type;
//   - a type of your own with the two methods of Codec, for what the others cannot do or for the last bit of speed.
//
// # Changing a type that is in state
//
// State outlives the build that wrote it. A codec from MustStruct puts two bytes in front of each value that stand for
// the type's layout: names, order and types of the fields. When a field was added, removed, renamed, moved or given
// another type, decoding older values fails with ErrLayout, which names the new layout; it does not give wrong values
// (but for one change in 65,536, whose layouts have the same two bytes). Evolved reads both, with the former type and
// a conversion. Keys cannot be converted: they would be of other key groups.
//
// The other codecs carry no such mark. Where a job replaces, say, Int64 by Float64, bytes are taken for what they are
// not. Describe names a codec's layout in words, for comparing two builds.
//
// # Floating-point keys
//
// All bits of a float are kept. That makes two of them unfit for keys, alone or as part of one: a NaN, which is equal to
// nothing, itself included, and so never finds its state again; and -0, which is equal to 0 and has another encoding.
// Adding 0 turns -0 into 0.
//
// # Times as keys
//
// Time does not keep the location and the monotonic reading of a time, and Go's == compares them. Only a time that is equal
// to what comes back is fit for keys, alone or as part of one: one that Time.UTC has returned.
package codec

import (
	"errors"
	"fmt"
)

// ErrShort says that the bytes end before the value does.
var ErrShort = errors.New("the encoding is cut short")

// Codec encodes and decodes values of type T. A codec of your own keeps to what the package promises:
//
//   - Decode finds the end of a value by itself, and accepts whatever Append has written, whichever process did;
//   - Decode returns an error for bytes that are no encoding, and never panics: they may come from a damaged file. It
//     checks a count against the bytes that are left before it allocates for it;
//   - values that are equal have equal encodings, if the codec is one of keys;
//   - both are safe for concurrent use.
//
// It may also be a Describer.
type Codec[T any] interface {
	// Append appends the encoding of v to dst and returns the extended slice.
	Append(dst []byte, v T) []byte
	// Decode reads one value from the beginning of src and returns it with the number of bytes read. The
	// value does not refer to src, which is used again.
	Decode(src []byte) (v T, n int, err error)
}

// Describer is a codec that names its layout. All codecs of this package do.
type Describer interface {
	// Describe returns the layout in words. Codecs with equal descriptions read each other's encodings.
	Describe() string
}

// Describe returns the layout of what the codec writes, for example "struct{ID int64, Tags []string}": what two builds
// of a job have to agree on. A codec that is no Describer is known by its Go type, and a nil one is "none".
func Describe[T any](c Codec[T]) string {
	if c == nil {
		return "none"
	}
	if d, ok := c.(Describer); ok {
		return d.Describe()
	}
	return fmt.Sprintf("%T", c)
}
