package codec

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"time"
	"unsafe"
)

// decode reads a value of the layout's type from the beginning of src into the memory at the address, which is zero,
// and returns the number of bytes read. After an error the memory holds a part of the value.
func (l *layout) decode(src []byte, at unsafe.Pointer) (n int, err error) {
	switch l.op {
	case opBool:
		*(*bool)(at), n, err = Bool.Decode(src)
	case opInt8, opUint8:
		if len(src) == 0 {
			return 0, ErrShort
		}
		*(*byte)(at), n = src[0], 1
	case opInt16, opInt32, opInt64, opInt:
		return l.decodeSigned(src, at)
	case opUint16, opUint32, opUint64, opUint:
		return l.decodeUnsigned(src, at)
	case opFloat32:
		if len(src) < 4 {
			return 0, ErrShort
		}
		*(*float32)(at), n = math.Float32frombits(binary.LittleEndian.Uint32(src)), 4
	case opFloat64:
		if len(src) < 8 {
			return 0, ErrShort
		}
		*(*float64)(at), n = math.Float64frombits(binary.LittleEndian.Uint64(src)), 8
	case opString:
		var body []byte
		body, n, err = sized(src)
		*(*string)(at) = string(body)
	case opTime:
		*(*time.Time)(at), n, err = decodeTime(src)
	case opStruct:
		return l.decodeFields(src, at)
	case opArray:
		return l.decodeElements(src, at, l.count)
	default:
		return l.decodeReferred(src, at)
	}
	return n, err
}

func (l *layout) decodeSigned(src []byte, at unsafe.Pointer) (int, error) {
	v, n := binary.Varint(src)
	if n <= 0 {
		return 0, varintError(n)
	}
	fits := true
	switch l.op {
	case opInt16:
		*(*int16)(at), fits = int16(v), int64(int16(v)) == v
	case opInt32:
		*(*int32)(at), fits = int32(v), int64(int32(v)) == v
	case opInt64:
		*(*int64)(at) = v
	case opInt:
		*(*int)(at), fits = int(v), int64(int(v)) == v
	}
	if !fits {
		return 0, doesNotFit(v, l.name)
	}
	return n, nil
}

func (l *layout) decodeUnsigned(src []byte, at unsafe.Pointer) (int, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, varintError(n)
	}
	fits := true
	switch l.op {
	case opUint16:
		*(*uint16)(at), fits = uint16(v), uint64(uint16(v)) == v
	case opUint32:
		*(*uint32)(at), fits = uint32(v), uint64(uint32(v)) == v
	case opUint64:
		*(*uint64)(at) = v
	case opUint:
		*(*uint)(at), fits = uint(v), uint64(uint(v)) == v
	}
	if !fits {
		return 0, doesNotFit(v, l.name)
	}
	return n, nil
}

func (l *layout) decodeFields(src []byte, at unsafe.Pointer) (n int, err error) {
	for i := range l.fields {
		f := &l.fields[i]
		m, err := f.layout.decode(src[n:], unsafe.Add(at, f.offset))
		if err != nil {
			return 0, fmt.Errorf("field %s: %w", f.path, err)
		}
		n += m
	}
	return n, nil
}

func (l *layout) decodeElements(src []byte, first unsafe.Pointer, count int) (n int, err error) {
	for i := range count {
		m, err := l.element.decode(src[n:], unsafe.Add(first, uintptr(i)*l.element.size))
		if err != nil {
			return 0, fmt.Errorf("element %d: %w", i, err)
		}
		n += m
	}
	return n, nil
}

// decodeReferred reads what the value refers to, into memory of its own.
func (l *layout) decodeReferred(src []byte, at unsafe.Pointer) (int, error) {
	if l.op == opPointer {
		return l.decodePointer(src, at)
	}
	count, n, err := countOf(src, l.entryLeast())
	if err != nil || count < 0 {
		return n, err
	}
	var m int
	switch l.op {
	case opBytes:
		*(*[]byte)(at) = append(make([]byte, 0, count), src[n:n+count]...)
		m = count
	case opMap:
		m, err = l.mapping.decode(src[n:], count, (*unsafe.Pointer)(at))
	default:
		s := (*sliceHeader)(at)
		s.data, s.len, s.cap = l.newElements(count), count, count
		m, err = l.decodeElements(src[n:], s.data, count)
	}
	return n + m, err
}

// entryLeast is the size of the shortest encoding of one of the things that are counted.
func (l *layout) entryLeast() int {
	if l.op == opMap {
		return l.mapping.keys.least + l.element.least
	}
	return l.element.least
}

// countOf reads a count as appendReferred writes it, -1 for nil, and checks that so many things can follow.
func countOf(src []byte, least int) (count, n int, err error) {
	c, n := binary.Uvarint(src)
	switch {
	case n <= 0:
		return 0, 0, varintError(n)
	case c == 0:
		return -1, n, nil
	case c-1 > uint64((len(src)-n)/least):
		return 0, 0, fmt.Errorf("%w: %d elements announced, %d bytes left", ErrShort, c-1, len(src)-n)
	}
	return int(c - 1), n, nil
}

// newElements returns zeroed memory for a slice's elements.
func (l *layout) newElements(count int) unsafe.Pointer {
	switch l.element.op {
	case opString:
		return unsafe.Pointer(unsafe.SliceData(make([]string, count)))
	case opInt64, opUint64, opFloat64:
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, count)))
	case opInt32, opUint32, opFloat32:
		return unsafe.Pointer(unsafe.SliceData(make([]uint32, count)))
	}
	return reflect.MakeSlice(l.goType, count, count).UnsafePointer() // costs a slice header more
}

func (l *layout) decodePointer(src []byte, at unsafe.Pointer) (int, error) {
	there, n, err := Bool.Decode(src)
	if err != nil || !there {
		return n, err
	}
	value := reflect.New(l.goType.Elem()).UnsafePointer()
	m, err := l.element.decode(src[n:], value)
	*(*unsafe.Pointer)(at) = value
	return n + m, err
}
