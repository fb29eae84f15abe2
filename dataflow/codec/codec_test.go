package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
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
	roundTrip(t, Int, 0, math.MinInt, math.MaxInt)
	roundTrip(t, Int32, 0, math.MinInt32, math.MaxInt32)
	roundTrip(t, Uint32, 0, math.MaxUint32)
	roundTrip(t, Float32, 0, -1.5, math.MaxFloat32)
	roundTrip(t, IntOf[id](), -1, math.MaxInt64)
	roundTrip(t, UintOf[uint16](), 0, math.MaxUint16)
	roundTrip(t, StringOf[word](), "", "a")
	roundTrip(t, Time, time.Time{}, time.Unix(0, 0).UTC(), time.Unix(1<<40, 999_999_999).UTC(), time.Unix(-1<<40, 1).UTC())
	roundTrip(t, Duration, 0, -time.Hour, math.MaxInt64)
	one := 1
	roundTrip(t, Optional(Int), nil, &one)
	roundTrip(t, Map(String, Slice(Int)), map[string][]int{}, map[string][]int{"a": {1}, "": {}, "b": {2, 3}})
}

type word string

func TestDescribe(t *testing.T) {
	for want, got := range map[string]string{
		"map[string](int64, []float32)": Describe(Map(String, PairOf(Int64, Slice(Float32)))),
		"*time":                         Describe(Optional(Time)),
		"(int64, uint16)":               Describe(PairOf(Duration, UintOf[uint16]())),
		"(bytes, bool)":                 Describe(PairOf(Bytes, Bool)),
		"(float64, string)":             Describe(PairOf(Float64, StringOf[word]())),
		"none":                          Describe[int](nil),
		"codec.bidCodec":                Describe[bid](bidCodec{}),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestEqualTimesHaveEqualEncodings: whatever the clock and the place that they come from.
func TestEqualTimesHaveEqualEncodings(t *testing.T) {
	now := time.Now()
	elsewhere := now.Round(0).In(time.FixedZone("there", 3600))
	if a, b := Time.Append(nil, now), Time.Append(nil, elsewhere); !bytes.Equal(a, b) {
		t.Errorf("%x and %x", a, b)
	}
}

// TestEqualMapsHaveEqualEncodings: Go goes through a map in another order each time.
func TestEqualMapsHaveEqualEncodings(t *testing.T) {
	m := make(map[int]map[string]int)
	for i := range 50 {
		m[i] = map[string]int{"a": i, "b": 1, "c": 2}
	}
	c := Map(Int, Map(String, Int))
	want := c.Append(nil, m)
	for range 20 {
		if got := c.Append(nil, m); !bytes.Equal(got, want) {
			t.Fatal("the same map has several encodings")
		}
	}
}

// TestSortersAreUsedAgain: encoding a map allocates nothing once a sorter has grown. The pool that keeps sorters forgets
// a quarter of them at random under the race detector, hence half of what a new one costs as the bound.
func TestSortersAreUsedAgain(t *testing.T) {
	flat, numbers, buffer := Map(Int, Int), make(map[int]int), []byte(nil)
	for i := range 1000 {
		numbers[i] = i
	}
	buffer = flat.Append(buffer, numbers)
	fresh := testing.AllocsPerRun(10, func() {
		s := new(sorter)
		for i := range 1000 {
			s.bytes = binary.AppendVarint(binary.AppendVarint(s.bytes, int64(i)), int64(i))
			s.endEntry()
		}
	})
	if n := testing.AllocsPerRun(1000, func() { buffer = flat.Append(buffer[:0], numbers) }); n >= fresh/2 {
		t.Errorf("%v allocations to sort the entries, a sorter that is not used again takes %v", n, fresh)
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	_, _, signed := Int32.Decode(Int64.Append(nil, math.MinInt32-1))
	_, _, unsigned := Uint32.Decode(Uint64.Append(nil, math.MaxUint32+1))
	_, _, nanos := Time.Decode(Uint64.Append(Int64.Append(nil, 0), 1e9))
	_, _, twice := Map(String, Bool).Decode([]byte{2, 1, 'a', 0, 1, 'a', 1})
	for want, err := range map[string]error{
		"-2147483649 does not fit int32": signed, "4294967296 does not fit uint32": unsigned, "not 1000000000": nanos, "only 1 different": twice,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
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
		decodeAny(t, Map(Int32, Optional(Time)), src)
		decodeAny(t, PairOf(Uint32, Bytes), src)
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
