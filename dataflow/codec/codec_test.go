package codec

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

// roundTrip encodes the values one after the other and decodes them again, and cuts each encoding short.
func roundTrip[T any](t *testing.T, c Codec[T], values ...T) {
	t.Helper()
	var all []byte
	for _, v := range values {
		one := c.Append(nil, v)
		for cut := range one {
			if _, _, err := c.Decode(one[:cut]); !errors.Is(err, ErrShort) {
				t.Errorf("%v cut to %d of %d bytes: %v", v, cut, len(one), err)
			}
		}
		all = c.Append(all, v)
	}
	for _, want := range values {
		got, n, err := c.Decode(all)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v, %v", want, got, err)
		}
		all = all[n:]
	}
	if len(all) != 0 {
		t.Errorf("%d bytes are left", len(all))
	}
}

func TestRoundTrip(t *testing.T) {
	roundTrip(t, String, "", "a", "wörter")
	roundTrip(t, Bytes, []byte{}, []byte{0, 255})
	roundTrip(t, Int64, 0, -1, math.MinInt64, math.MaxInt64)
	roundTrip(t, Uint64, 0, 1, math.MaxUint64)
	roundTrip(t, Float64, 0, -1.5, math.Inf(1), math.SmallestNonzeroFloat64)
	roundTrip(t, Bool, true, false)
	roundTrip(t, PairOf(String, Int64), Pair[string, int64]{"a", 1}, Pair[string, int64]{"", -5})
	roundTrip(t, Slice(String), []string{}, []string{"a", ""})
}

// TestDecodedBytesAreTheirOwn: the memory that is decoded from is used again.
func TestDecodedBytesAreTheirOwn(t *testing.T) {
	src := Bytes.Append(nil, []byte("abc"))
	got, _, err := Bytes.Decode(src)
	clear(src)
	if err != nil || string(got) != "abc" {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(Slice(PairOf(String, Float64)).Append(nil, []Pair[string, float64]{{"x", 1}}))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, src []byte) {
		decodeAny(t, String, src)
		decodeAny(t, Int64, src)
		decodeAny(t, Uint64, src)
		decodeAny(t, Bool, src)
		decodeAny(t, Slice(PairOf(String, Uint64)), src)
	})
}

// decodeAny checks that what can be decoded is encoded and decoded to the same again.
func decodeAny[T any](t *testing.T, c Codec[T], src []byte) {
	t.Helper()
	v, n, err := c.Decode(src)
	if err != nil {
		return
	}
	if n > len(src) {
		t.Errorf("%d bytes read of %d", n, len(src))
	}
	again, _, err := c.Decode(c.Append(nil, v))
	if err != nil || !reflect.DeepEqual(again, v) {
		t.Errorf("%v became %v, %v", v, again, err)
	}
}
