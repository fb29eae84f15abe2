package dataflow

import (
	"fmt"
	"reflect"
	"strings"
)

// typeName returns the name of a value's type, with the import path of its package. What the type is made of does not
// show.
func typeName(v any) string {
	t, stars := reflect.TypeOf(v), ""
	if t == nil {
		return "nothing"
	}
	for t.Kind() == reflect.Pointer && t.Name() == "" {
		t, stars = t.Elem(), stars+"*"
	}
	return stars + qualified(t)
}

func qualified(t reflect.Type) string {
	if t.PkgPath() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

// typeTextFor describes T as typeText does.
func typeTextFor[T any]() string { return typeText(reflect.TypeFor[T]()) }

// typeText describes a type of records down to the exported fields of its structs: two builds that write it in the same
// way agree on what they send each other. Types whose form is up to a codec (interfaces, functions) show their names
// only.
func typeText(t reflect.Type) string {
	x := typeTexts{seen: make(map[reflect.Type]bool)}
	x.write(t)
	return x.text.String()
}

// typeTexts writes each named type out once, so that recursive types come to an end.
type typeTexts struct {
	text strings.Builder
	seen map[reflect.Type]bool
}

func (x *typeTexts) write(t reflect.Type) {
	if t.PkgPath() == "" {
		x.writeLayout(t)
		return
	}
	x.text.WriteString(qualified(t))
	if x.seen[t] || t.Kind() == reflect.Interface {
		return
	}
	x.seen[t] = true
	if t.Kind() == reflect.Struct {
		x.writeFields(t)
		return
	}
	x.text.WriteByte('(')
	x.writeLayout(t)
	x.text.WriteByte(')')
}

// writeLayout writes what a type is made of, apart from its name.
func (x *typeTexts) writeLayout(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		x.text.WriteByte('*')
		x.write(t.Elem())
	case reflect.Slice:
		x.text.WriteString("[]")
		x.write(t.Elem())
	case reflect.Array:
		fmt.Fprintf(&x.text, "[%d]", t.Len())
		x.write(t.Elem())
	case reflect.Map:
		x.text.WriteString("map[")
		x.write(t.Key())
		x.text.WriteByte(']')
		x.write(t.Elem())
	case reflect.Struct:
		x.text.WriteString("struct")
		x.writeFields(t)
	case reflect.Interface, reflect.Func, reflect.Chan:
		x.text.WriteString(t.String())
	default:
		x.text.WriteString(t.Kind().String())
	}
}

func (x *typeTexts) writeFields(t reflect.Type) {
	x.text.WriteByte('{')
	first := true
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		if !first {
			x.text.WriteString("; ")
		}
		first = false
		x.text.WriteString(f.Name + " ")
		x.write(f.Type)
	}
	x.text.WriteByte('}')
}
