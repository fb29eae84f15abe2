package codec

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// layout says how the values of one Go type are encoded. It is compiled once, by reflection, and then followed over
// plain memory: layout_append.go and layout_decode.go are its two interpreters. They call each other directly and hand
// out no pointer to the value, so that the compiler sees that the value need not move to the heap.
//
// It is immutable but for the pools of maps, and safe for concurrent use.
type layout struct {
	op   op
	size uintptr // of a value in memory
	// least is the size of the shortest encoding: what a count is checked against before memory is set aside for it.
	least   int
	name    string
	fields  []field // of a struct; those of structs within it are among them
	element *layout // of a slice, an array or a pointer; the value of a map's entry
	count   int     // of an array
	goType  reflect.Type
	mapping *mapping // of a map
}

// field is a part of a struct that is not a struct itself.
type field struct {
	offset uintptr
	path   string // for errors: Address.City
	layout *layout
}

// op is the kind of encoding.
type op uint8

const (
	opBool op = iota
	opInt8
	opInt16
	opInt32
	opInt64
	opInt
	opUint8
	opUint16
	opUint32
	opUint64
	opUint
	opFloat32
	opFloat64
	opString
	opBytes
	opTime
	opStruct
	opArray
	opSlice
	opPointer
	opMap
)

// scalar are the kinds that need no more than an op. Whole numbers are varints but for those of one byte.
var scalar = map[reflect.Kind]struct {
	op    op
	least int
}{
	reflect.Bool: {opBool, 1},
	reflect.Int8: {opInt8, 1}, reflect.Int16: {opInt16, 1}, reflect.Int32: {opInt32, 1}, reflect.Int64: {opInt64, 1}, reflect.Int: {opInt, 1},
	reflect.Uint8: {opUint8, 1}, reflect.Uint16: {opUint16, 1}, reflect.Uint32: {opUint32, 1}, reflect.Uint64: {opUint64, 1}, reflect.Uint: {opUint, 1},
	reflect.Float32: {opFloat32, 4}, reflect.Float64: {opFloat64, 8},
	reflect.String: {opString, 1},
}

var timeType = reflect.TypeFor[time.Time]()

// compiler turns a type into a layout. within are the types that it is inside of, to notice one that holds itself.
type compiler struct{ within []reflect.Type }

// compile returns the layout of t, which is found at path from the type that was asked for.
func (c *compiler) compile(t reflect.Type, path string) (*layout, error) {
	for _, outer := range c.within {
		if outer == t {
			return nil, unsupported(t, path, "it holds itself, and the codec goes to a fixed depth")
		}
	}
	c.within = append(c.within, t)
	defer func() { c.within = c.within[:len(c.within)-1] }()

	l := &layout{size: t.Size(), goType: t, name: t.Kind().String()}
	if s, ok := scalar[t.Kind()]; ok {
		l.op, l.least = s.op, s.least
		return l, nil
	}
	switch {
	case t == timeType:
		l.op, l.least, l.name = opTime, 2, "time"
		return l, nil
	case t.Kind() == reflect.Struct:
		return l, c.compileStruct(l, path)
	case t.Kind() == reflect.Array:
		return l, c.compileArray(l, path)
	case t.Kind() == reflect.Slice:
		return l, c.compileSlice(l, path)
	case t.Kind() == reflect.Pointer:
		return l, c.compilePointer(l, path)
	case t.Kind() == reflect.Map:
		return l, c.compileMap(l, path)
	}
	return nil, unsupported(t, path, "values of this kind mean nothing outside of their process, or have no fixed type")
}

func unsupported(t reflect.Type, path, why string) error {
	return fmt.Errorf("%s is a %s: %s; allowed are numbers, strings, bools, times, and structs, arrays, slices, maps and pointers of them",
		path, t, why)
}

func (c *compiler) compileStruct(l *layout, path string) error {
	l.op = opStruct
	var names []string
	for i := range l.goType.NumField() {
		f := l.goType.Field(i)
		use, err := used(f, path)
		if err != nil {
			return err
		}
		if !use {
			continue
		}
		inner, err := c.compile(f.Type, path+"."+f.Name)
		if err != nil {
			return err
		}
		l.add(f.Name, f.Offset, inner)
		names = append(names, f.Name+" "+inner.name)
	}
	l.name = "struct{" + strings.Join(names, ", ") + "}"
	return nil
}

// used reports whether a field is encoded. An unexported one has to say so itself: it may be the inner workings of a
// type of somebody else's, such as a lock or a handle, that do not survive being copied.
func used(f reflect.StructField, path string) (bool, error) {
	switch tag, tagged := f.Tag.Lookup("codec"); {
	case tag == "-" || f.Name == "_":
		return false, nil
	case tagged && tag != "+":
		return false, fmt.Errorf("%s.%s has the tag codec:%q: allowed are codec:\"-\", to leave it out, and codec:\"+\", to take it", path, f.Name, tag)
	case !tagged && !f.IsExported():
		return false, fmt.Errorf("%s.%s is not exported: give it the tag codec:\"-\" to leave it out or codec:\"+\" to take it", path, f.Name)
	}
	return true, nil
}

// add puts a field into a struct, or the fields that it consists of.
func (l *layout) add(name string, offset uintptr, inner *layout) {
	l.least += inner.least
	if inner.op != opStruct {
		l.fields = append(l.fields, field{offset, name, inner})
		return
	}
	for _, f := range inner.fields {
		l.fields = append(l.fields, field{offset + f.offset, name + "." + f.path, f.layout})
	}
}

func (c *compiler) compileArray(l *layout, path string) (err error) {
	l.op, l.count = opArray, l.goType.Len()
	if l.element, err = c.compile(l.goType.Elem(), path+"[]"); err != nil {
		return err
	}
	l.least = l.count * l.element.least
	l.name = fmt.Sprintf("[%d]%s", l.count, l.element.name)
	return nil
}

func (c *compiler) compileSlice(l *layout, path string) (err error) {
	if l.element, err = c.compile(l.goType.Elem(), path+"[]"); err != nil {
		return err
	}
	if l.element.least == 0 {
		return unsupported(l.goType, path, "its elements have nothing in them")
	}
	l.op, l.least, l.name = opSlice, 1, "[]"+l.element.name
	if l.element.op == opUint8 {
		l.op, l.name = opBytes, "bytes"
	}
	return nil
}

func (c *compiler) compilePointer(l *layout, path string) (err error) {
	if l.element, err = c.compile(l.goType.Elem(), path); err != nil {
		return err
	}
	l.op, l.least, l.name = opPointer, 1, "*"+l.element.name
	return nil
}

func (c *compiler) compileMap(l *layout, path string) error {
	keys, err := c.compile(l.goType.Key(), path+"[key]")
	if err != nil {
		return err
	}
	if keys.least == 0 {
		return unsupported(l.goType, path, "its keys have nothing in them")
	}
	if l.element, err = c.compile(l.goType.Elem(), path+"[]"); err != nil {
		return err
	}
	l.op, l.least, l.name = opMap, 1, "map["+keys.name+"]"+l.element.name
	l.mapping = newMapping(l.goType, keys, l.element)
	return nil
}
