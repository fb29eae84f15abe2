package codec

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type id int64

type address struct {
	Street string
	Zip    uint32
}

// everything has a field of each supported kind.
type everything struct {
	Bool    bool
	I8      int8
	I16     int16
	I32     int32
	I64     int64
	I       int
	U8      uint8
	U16     uint16
	U32     uint32
	U64     uint64
	U       uint
	F32     float32
	F64     float64
	Text    string
	Bytes   []byte
	At      time.Time
	For     time.Duration
	ID      id
	Home    address
	Other   *address
	IDs     []id
	Names   []string
	Places  []address
	Nested  [][]int16
	Array   [3]address
	Pointer **int
	ByName  map[string]address
	Sets    map[id]map[string]struct{}
	private int      `codec:"+"`
	left    int      `codec:"-"`
	Out     chan int `codec:"-"`
	_       int
}

var everythingCodec = MustStruct[everything]()

func drawAddress(t *rapid.T) address {
	return address{Street: rapid.String().Draw(t, "street"), Zip: rapid.Uint32().Draw(t, "zip")}
}

// drawFloat draws floats without NaN, which is not equal to itself.
func drawFloat(t *rapid.T) float64 {
	return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1)})).Draw(t, "float")
}

// perhapsNil draws a slice that may be nil, empty, or neither.
func perhapsNil[T any](t *rapid.T, name string, elements *rapid.Generator[T]) []T {
	if rapid.Bool().Draw(t, name+" nil") {
		return nil
	}
	return rapid.SliceOfN(elements, 0, 4).Draw(t, name)
}

func drawEverything(t *rapid.T) everything {
	v := everything{
		Bool: rapid.Bool().Draw(t, "bool"), I8: rapid.Int8().Draw(t, "i8"), I16: rapid.Int16().Draw(t, "i16"), I32: rapid.Int32().Draw(t, "i32"),
		I64: rapid.Int64().Draw(t, "i64"), I: rapid.Int().Draw(t, "i"), U8: rapid.Uint8().Draw(t, "u8"), U16: rapid.Uint16().Draw(t, "u16"),
		U32: rapid.Uint32().Draw(t, "u32"), U64: rapid.Uint64().Draw(t, "u64"), U: rapid.Uint().Draw(t, "u"),
		F32: float32(drawFloat(t)), F64: drawFloat(t), Text: rapid.String().Draw(t, "text"),
		Bytes: perhapsNil(t, "bytes", rapid.Byte()), Names: perhapsNil(t, "names", rapid.String()),
		IDs: perhapsNil(t, "ids", rapid.Custom(func(t *rapid.T) id { return id(rapid.Int64().Draw(t, "id")) })),
		At:  time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC(),
		For: time.Duration(rapid.Int64().Draw(t, "for")), ID: id(rapid.Int64().Draw(t, "id")),
		Home: drawAddress(t), Places: perhapsNil(t, "places", rapid.Custom(drawAddress)),
		Array: [3]address{drawAddress(t), {}, drawAddress(t)}, private: rapid.Int().Draw(t, "private"),
		Nested: perhapsNil(t, "nested", rapid.Custom(func(t *rapid.T) []int16 { return perhapsNil(t, "inner", rapid.Int16()) })),
	}
	if rapid.Bool().Draw(t, "pointers") {
		n := rapid.Int().Draw(t, "n")
		p, home := &n, drawAddress(t)
		v.Pointer, v.Other = &p, &home
	}
	if rapid.Bool().Draw(t, "maps") {
		v.ByName = rapid.MapOfN(rapid.String(), rapid.Custom(drawAddress), 0, 5).Draw(t, "by name")
		v.Sets = map[id]map[string]struct{}{1: nil, 2: {}, id(rapid.Int64().Draw(t, "set")): {"a": {}, "b": {}, rapid.String().Draw(t, "c"): {}}}
	}
	return v
}

// rebuilt is v with maps that have been filled in another order, and with slices elsewhere: equal, and nowhere the same.
func rebuilt(v everything) everything {
	if v.ByName != nil {
		again := make(map[string]address, 100)
		for k, a := range v.ByName {
			again[k] = a
		}
		v.ByName = again
	}
	v.Bytes = bytes.Clone(v.Bytes)
	return v
}

func TestReflectedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEverything(t)
		encoded := everythingCodec.Append([]byte("before"), want)[len("before"):]
		if again := everythingCodec.Append(nil, rebuilt(want)); !bytes.Equal(encoded, again) {
			t.Fatalf("equal values have the encodings %x and %x", encoded, again)
		}
		src := append(bytes.Clone(encoded), "behind"...)
		got, n, err := everythingCodec.Decode(src)
		clear(src) // what was decoded does not refer to it
		if err != nil || n != len(encoded) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%d of %d bytes, %v:\n%+v\n%+v", n, len(encoded), err, got, want)
		}
		cut := rapid.IntRange(0, len(encoded)-1).Draw(t, "cut")
		if _, _, err := everythingCodec.Decode(encoded[:cut]); !errors.Is(err, ErrShort) {
			t.Fatalf("cut to %d of %d bytes: %v", cut, len(encoded), err)
		}
	})
}

// TestReflectedSigns: DeepEqual takes 0 for -0, and NaN for nothing.
func TestReflectedSigns(t *testing.T) {
	c := MustStruct[[2]float64]()
	want := [2]float64{math.Copysign(0, -1), math.NaN()}
	got, _, err := c.Decode(c.Append(nil, want))
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) || err != nil {
			t.Errorf("%v became %v, %v", want[i], got[i], err)
		}
	}
}

// TestReflectedMapEntriesAreApart: entries go through memory that is used again, and nothing of one is in the next.
func TestReflectedMapEntriesAreApart(t *testing.T) {
	type key struct {
		N int
		P *int
	}
	one := 1
	c := MustStruct[map[key][]int]()
	want := map[key][]int{{N: 1, P: &one}: {1, 2}, {N: 2}: nil}
	for range 10 { // in either order
		got, _, err := c.Decode(c.Append(nil, want))
		if list, found := got[key{N: 2}]; !found || list != nil || len(got) != 2 || err != nil {
			t.Fatalf("%v, %v", got, err)
		}
	}
}

// TestReflectedLeavesOut: a field that is left out comes back as nothing.
func TestReflectedLeavesOut(t *testing.T) {
	v := everything{left: 1, Out: make(chan int), private: 3}
	got, _, err := everythingCodec.Decode(everythingCodec.Append(nil, v))
	if err != nil || got.left != 0 || got.Out != nil || got.private != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// The layouts' names and the encodings are persisted: they never change.
func TestReflectedEncodingIsFixed(t *testing.T) {
	type inner struct {
		A int32
		B []string
	}
	type outer struct {
		X     inner
		Y     *uint8
		Z     map[string]int
		When  time.Time
		Bytes []byte
		F     [2]float32
	}
	c, y := MustStruct[outer](), uint8(7)
	wantName := "struct{X struct{A int32, B []string}, Y *uint8, Z map[string]int, When time, Bytes bytes, F [2]float32}"
	if got := Describe(c); got != wantName {
		t.Errorf("the layout is %s", got)
	}
	got := c.Append(nil, outer{
		X: inner{A: -2, B: []string{"ab", ""}}, Y: &y, Z: map[string]int{"b": 1, "a": -1}, When: time.Unix(-1, 5), Bytes: []byte{9},
		F: [2]float32{1, 0},
	})
	want := []byte{
		0xaf, 0x17, // the mark
		3, 3, 2, 'a', 'b', 0, // X
		1, 7, // Y
		3, 1, 'a', 1, 1, 'b', 2, // Z
		1, 5, // When
		2, 9, // Bytes
		0, 0, 0x80, 0x3f, 0, 0, 0, 0, // F
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

type cyclic struct{ Next *cyclic }

func TestReflectedRefuses(t *testing.T) {
	_, ofChannel := StructOf[struct{ A struct{ C []chan int } }]()
	_, ofFunc := StructOf[func()]()
	_, ofInterface := StructOf[map[string]any]()
	_, ofComplex := StructOf[complex64]()
	_, ofUintptr := StructOf[[1]uintptr]()
	_, ofCycle := StructOf[[]cyclic]()
	_, ofPrivate := StructOf[struct{ G *sync.Mutex }]()
	_, ofTag := StructOf[struct {
		N int `codec:"n"`
	}]()
	_, ofNothing := StructOf[[]struct{}]()
	_, ofNothingKeys := StructOf[map[[0]int]int]()
	for _, test := range []struct {
		err  error
		want string
	}{
		{ofChannel, "A.C[] is a chan int"},
		{ofFunc, "is a func()"},
		{ofInterface, "[] is a interface {}"},
		{ofComplex, "complex64"},
		{ofUintptr, "uintptr"},
		{ofCycle, "codec.cyclic: it holds itself"},
		{ofPrivate, "mu is not exported: give it the tag"},
		{ofTag, `N has the tag codec:"n"`},
		{ofNothing, "nothing in them"},
		{ofNothingKeys, "keys have nothing in them"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%v, want %q", test.err, test.want)
		}
	}
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, "func()") {
			t.Errorf("panic %q", s)
		}
	}()
	MustStruct[func()]()
}

// TestReflectedChecksCounts: a count is not trusted with memory.
func TestReflectedChecksCounts(t *testing.T) {
	wide := MustStruct[[]everything]()
	src := wide.Append(nil, []everything{})[:markSize]
	src = append(Uint64.Append(src, 1+100), make([]byte, 4000)...) // 4,000 bytes could be 100 of something smaller
	if _, _, err := wide.Decode(src); !errors.Is(err, ErrShort) || !strings.Contains(err.Error(), "100 elements announced") {
		t.Errorf("%v", err)
	}
}

func TestReflectedDecodeErrors(t *testing.T) {
	c := MustStruct[struct{ Home address }]()
	src := c.Append(nil, struct{ Home address }{address{"x", 1}})
	src = append(src[:len(src)-1], Uint64.Append(nil, 1<<40)...)
	if _, _, err := c.Decode(src); err == nil || err.Error() != "field Home.Zip: the number 1099511627776 does not fit uint32" {
		t.Errorf("%v", err)
	}
	twice := MustStruct[map[string]bool]()
	src = append(twice.Append(nil, nil)[:markSize], 1+2, 1, 'a', 0, 1, 'a', 1)
	if _, _, err := twice.Decode(src); err == nil || !strings.Contains(err.Error(), "only 1 different keys") {
		t.Errorf("%v", err)
	}
}

func TestLayoutsAreToldApart(t *testing.T) {
	type now struct{ Auction, Price int64 }
	encoded := MustStruct[now]().Append(nil, now{1, 2})
	_, _, added := MustStruct[struct{ Auction, Price, Bidder int64 }]().Decode(encoded)
	_, _, removed := MustStruct[struct{ Auction int64 }]().Decode(encoded)
	_, _, moved := MustStruct[struct{ Price, Auction int64 }]().Decode(encoded)
	_, _, retyped := MustStruct[struct {
		Auction int64
		Price   uint64
	}]().Decode(encoded)
	_, _, renamed := MustStruct[struct{ Auction, Cents int64 }]().Decode(encoded)
	for name, err := range map[string]error{"added": added, "removed": removed, "moved": moved, "retyped": retyped, "renamed": renamed} {
		if !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "struct{") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEvolved(t *testing.T) {
	type first struct{ Price float64 }
	type second struct{ Cents int64 }
	type third struct {
		Cents    int64
		Currency string
	}
	c1, c2, c3 := MustStruct[first](), MustStruct[second](), MustStruct[third]()
	to2 := Evolved(c2, c1, func(v first) second { return second{int64(v.Price * 100)} })
	to3 := Evolved(c3, to2, func(v second) third { return third{v.Cents, "USD"} })
	src := c3.Append(c2.Append(c1.Append(nil, first{1.5}), second{20}), third{30, "EUR"})
	for _, want := range []third{{150, "USD"}, {20, "USD"}, {30, "EUR"}} {
		got, n, err := to3.Decode(src)
		if err != nil || got != want {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
		src = src[n:]
	}
	if !bytes.Equal(to3.Append(nil, third{1, "x"}), c3.Append(nil, third{1, "x"})) || Describe(to3) != Describe(c3) {
		t.Error("it does not write what the new codec does")
	}
	if _, _, err := to3.Decode(MustStruct[int]().Append(nil, 1)); !errors.Is(err, ErrLayout) || !strings.Contains(err.Error(), "Price") {
		t.Errorf("of no layout that it knows: %v", err)
	}
	if _, _, err := to3.Decode(c1.Append(nil, first{1})[:4]); !errors.Is(err, ErrShort) || errors.Is(err, ErrLayout) {
		t.Errorf("cut short: %v", err)
	}
}

// bid is as large as the records of a benchmark usually are.
type bid struct {
	Auction, Bidder, Price int64
	Channel                string
	At                     int64
	Tags                   []int64
}

func TestReflectedAllocatesOnlyTheValue(t *testing.T) {
	c := MustStruct[bid]()
	v := bid{1, 2, 3, "channel", 4, []int64{1, 2}}
	buffer := c.Append(nil, v)
	if n := testing.AllocsPerRun(100, func() { buffer = c.Append(buffer[:0], v) }); n != 0 {
		t.Errorf("encoding: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = c.Decode(buffer) }); n != 2 {
		t.Errorf("decoding: %v allocations, want the string and the slice", n)
	}
	flat := MustStruct[[4]address]()
	buffer = flat.Append(nil, [4]address{})
	if n := testing.AllocsPerRun(100, func() { _, _, _ = flat.Decode(buffer) }); n != 0 {
		t.Errorf("decoding without strings: %v allocations", n)
	}
}

// bidCodec is what one would write by hand.
type bidCodec struct{}

func (bidCodec) Append(dst []byte, v bid) []byte {
	dst = Int64.Append(Int64.Append(Int64.Append(dst, v.Auction), v.Bidder), v.Price)
	dst = Int64.Append(String.Append(dst, v.Channel), v.At)
	dst = Uint64.Append(dst, uint64(len(v.Tags)))
	for _, tag := range v.Tags {
		dst = Int64.Append(dst, tag)
	}
	return dst
}

func (bidCodec) Decode(src []byte) (v bid, n int, err error) {
	for _, at := range []*int64{&v.Auction, &v.Bidder, &v.Price} {
		m := 0
		if *at, m, err = Int64.Decode(src[n:]); err != nil {
			return v, 0, err
		}
		n += m
	}
	m := 0
	if v.Channel, m, err = String.Decode(src[n:]); err != nil {
		return v, 0, err
	}
	n += m
	if v.At, m, err = Int64.Decode(src[n:]); err != nil {
		return v, 0, err
	}
	n += m
	v.Tags, m, err = Slice(Int64).Decode(src[n:])
	return v, n + m, err
}

// BenchmarkStruct compares the derived codec with one written by hand.
func BenchmarkStruct(b *testing.B) {
	v := bid{1000, 2000, 300_000, "channel", 1_700_000_000_000, []int64{1, 2}}
	for name, c := range map[string]Codec[bid]{"derived": MustStruct[bid](), "by hand": bidCodec{}} {
		encoded := c.Append(nil, v)
		b.Run("encode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				encoded = c.Append(encoded[:0], v)
			}
		})
		b.Run("decode/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := c.Decode(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func FuzzReflectedDecode(f *testing.F) {
	n := 1
	p := &n
	for _, v := range []everything{{}, {Names: []string{"a"}, Pointer: &p, Sets: map[id]map[string]struct{}{1: {"x": {}}}}} {
		f.Add(everythingCodec.Append(nil, v)[markSize:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		src := append(everythingCodec.Append(nil, everything{})[:markSize:markSize], body...)
		v, n, err := everythingCodec.Decode(src)
		if err != nil {
			return
		}
		if n > len(src) {
			t.Errorf("%d bytes read of %d", n, len(src))
		}
		encoded := everythingCodec.Append(nil, v)
		again, _, err := everythingCodec.Decode(encoded)
		if err != nil || !bytes.Equal(everythingCodec.Append(nil, again), encoded) {
			t.Errorf("%+v became %+v, %v", v, again, err)
		}
	})
}
