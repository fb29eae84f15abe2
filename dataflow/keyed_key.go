package dataflow

import (
	"errors"
	"fmt"
	"reflect"

	"cairn/dataflow/codec"
)

// errStrangeKey says that a key is not equal to what a snapshot makes of it.
var errStrangeKey = errors.New("the key is not equal to what its codec makes of its encoding, so that its state would not be found " +
	"behind a restore: a NaN, a pointer, or a time that is not in UTC is no key, nor part of one")

// checkComesBack refuses a key that a snapshot would bring back as another one with the same encoding. The key itself would
// begin anew behind a restore, beside its old state, and no snapshot of both could be restored. State in memory asks
// for keys that are new to it; on disk, keys with the same encoding are the same. It returns scratch for the next time.
func checkComesBack[T comparable](c codec.Codec[T], key T, scratch []byte) ([]byte, error) {
	scratch = c.Append(scratch[:0], key)
	back, _, err := c.Decode(scratch)
	switch {
	case err != nil:
		return scratch, Permanent(fmt.Errorf("the codec of keys cannot decode what it has encoded: %w", err))
	case back != key:
		return scratch, Permanent(errStrangeKey)
	}
	return scratch, nil
}

// bitsAreEqual says that two values of a type are equal only if nothing tells them apart: what a codec keeps of one then
// comes back equal. So it is for most keys, and they cost no check.
func bitsAreEqual(t reflect.Type) bool {
	switch k := t.Kind(); k {
	case reflect.Array:
		return bitsAreEqual(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !bitsAreEqual(t.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return k == reflect.String || k >= reflect.Bool && k <= reflect.Uint64
	}
}

// checkKey fails the task when the current key would not come back from a snapshot.
func (s *keyedState[K]) checkKey() {
	if s.plainKeys {
		return
	}
	var err error
	if s.scratch, err = checkComesBack(s.keys, s.key, s.scratch); err != nil {
		s.fail(err)
	}
}
