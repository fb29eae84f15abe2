package codec

import (
	"encoding/binary"
	"math"
	"time"
	"unsafe"
)

// sliceHeader is how a slice lies in memory.
type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// append appends the encoding of the value at the address, which is one of the layout's type.
func (l *layout) append(dst []byte, at unsafe.Pointer) []byte {
	switch l.op {
	case opBool, opInt8, opUint8:
		return append(dst, *(*byte)(at)) // Go keeps a bool as 0 or 1
	case opInt16:
		return binary.AppendVarint(dst, int64(*(*int16)(at)))
	case opInt32:
		return binary.AppendVarint(dst, int64(*(*int32)(at)))
	case opInt64:
		return binary.AppendVarint(dst, *(*int64)(at))
	case opInt:
		return binary.AppendVarint(dst, int64(*(*int)(at)))
	case opUint16:
		return binary.AppendUvarint(dst, uint64(*(*uint16)(at)))
	case opUint32:
		return binary.AppendUvarint(dst, uint64(*(*uint32)(at)))
	case opUint64:
		return binary.AppendUvarint(dst, *(*uint64)(at))
	case opUint:
		return binary.AppendUvarint(dst, uint64(*(*uint)(at)))
	case opFloat32:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(*(*float32)(at)))
	case opFloat64:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(*(*float64)(at)))
	case opString:
		s := *(*string)(at)
		return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	case opTime:
		return appendTime(dst, *(*time.Time)(at))
	case opStruct:
		for i := range l.fields {
			f := &l.fields[i]
			dst = f.layout.append(dst, unsafe.Add(at, f.offset))
		}
		return dst
	case opArray:
		return l.appendElements(dst, at, l.count)
	}
	return l.appendReferred(dst, at)
}

// appendReferred appends what the value refers to. Nothing at all is told from nothing in it: 0 is nil, and n+1 stands
// for n elements.
func (l *layout) appendReferred(dst []byte, at unsafe.Pointer) []byte {
	switch l.op {
	case opPointer:
		value := *(*unsafe.Pointer)(at)
		if value == nil {
			return append(dst, 0)
		}
		return l.element.append(append(dst, 1), value)
	case opMap:
		return l.mapping.append(dst, *(*unsafe.Pointer)(at))
	}
	s := (*sliceHeader)(at)
	if s.data == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(s.len)+1)
	if l.op == opBytes {
		return append(dst, *(*[]byte)(at)...)
	}
	return l.appendElements(dst, s.data, s.len)
}

func (l *layout) appendElements(dst []byte, first unsafe.Pointer, count int) []byte {
	for i := range count {
		dst = l.element.append(dst, unsafe.Add(first, uintptr(i)*l.element.size))
	}
	return dst
}
