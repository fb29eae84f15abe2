package file

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// csvField is how one field of a struct is read from and written to a column.
type csvField struct {
	column   string
	optional bool
	index    []int
	parse    func(field reflect.Value, text string) error
	append   func(dst []byte, field reflect.Value) ([]byte, error)
}

// csvFields returns the fields of a struct that have columns: the exported ones, those of embedded structs among them.
// A field's column has its name, or the one in its tag `csv:"name"`; `csv:"-"` leaves a field out, and
// `csv:"name,optional"` lets the column be missing.
func csvFields(t reflect.Type) ([]csvField, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("CSV records of type %s: want a struct, or a function for rows", t)
	}
	var fields []csvField
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct && !isText(f.Type) {
			continue // what an embedded struct holds comes by itself
		}
		field, err := newCSVField(f)
		switch {
		case behindPointer(t, f.Index):
			return nil, fmt.Errorf("field %s of %s: it is in an embedded pointer, which would be nil", f.Name, t)
		case err != nil:
			return nil, fmt.Errorf("field %s of %s: %w", f.Name, t, err)
		case field.column == "-":
			continue
		case slices.ContainsFunc(fields, func(o csvField) bool { return o.column == field.column }):
			return nil, fmt.Errorf("field %s of %s: another one has the column %q, too", f.Name, t, field.column)
		}
		fields = append(fields, field)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("CSV records of type %s: it has no exported fields", t)
	}
	return fields, nil
}

// behindPointer reports whether the way to a field leads through a pointer.
func behindPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

func newCSVField(f reflect.StructField) (csvField, error) {
	name, options, _ := strings.Cut(f.Tag.Get("csv"), ",")
	if name == "" {
		name = f.Name
	}
	field := csvField{column: name, index: f.Index, optional: options == "optional"}
	if name == "-" {
		return field, nil
	}
	if options != "" && !field.optional {
		return field, fmt.Errorf("tag option %q: the only one is \"optional\"", options)
	}
	return field, field.setConversions(f.Type)
}

var (
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
)

// isText reports whether values convert themselves to text and back.
func isText(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(textUnmarshaler) && t.Implements(textMarshaler)
}

func (f *csvField) setConversions(t reflect.Type) error {
	if isText(t) {
		f.parse = func(v reflect.Value, text string) error {
			return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
		}
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) {
			text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			return append(dst, text...), err
		}
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		f.parse = func(v reflect.Value, text string) error { v.SetString(text); return nil }
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) { return append(dst, v.String()...), nil }
	case reflect.Bool:
		f.parse = parsed(strconv.ParseBool, reflect.Value.SetBool)
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(dst, v.Bool()), nil }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.parse = parsed(func(s string) (int64, error) { return strconv.ParseInt(s, 10, t.Bits()) }, reflect.Value.SetInt)
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(dst, v.Int(), 10), nil }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.parse = parsed(func(s string) (uint64, error) { return strconv.ParseUint(s, 10, t.Bits()) }, reflect.Value.SetUint)
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) { return strconv.AppendUint(dst, v.Uint(), 10), nil }
	case reflect.Float32, reflect.Float64:
		f.parse = parsed(func(s string) (float64, error) { return strconv.ParseFloat(s, t.Bits()) }, reflect.Value.SetFloat)
		f.append = func(dst []byte, v reflect.Value) ([]byte, error) {
			return strconv.AppendFloat(dst, v.Float(), 'g', -1, t.Bits()), nil
		}
	default:
		return fmt.Errorf("type %s: want a string, number, bool, or one that implements encoding.TextMarshaler and TextUnmarshaler", t)
	}
	return nil
}

func parsed[V any](parse func(string) (V, error), set func(reflect.Value, V)) func(reflect.Value, string) error {
	return func(field reflect.Value, text string) error {
		v, err := parse(text)
		if err != nil {
			var number *strconv.NumError
			if errors.As(err, &number) {
				err = number.Err // it names the text once more
			}
			return err
		}
		set(field, v)
		return nil
	}
}

// bindStruct returns the decoder of a file with these columns, in any order; columns without a field are passed over.
// Without a header, the columns are the fields in their order.
func bindStruct[T any](fields []csvField, columns []string) (csvDecoder[T], error) {
	at := make([]int, len(fields)) // the column of each field, -1 for none
	for i, f := range fields {
		switch at[i] = slices.Index(columns, f.column); {
		case columns == nil:
			at[i] = i
		case at[i] < 0 && !f.optional:
			return nil, fmt.Errorf("the header has no column %q; it has %q", f.column, columns)
		}
	}
	return func(row []string) (record T, err error) {
		v := reflect.ValueOf(&record).Elem()
		for i, column := range at {
			if column < 0 {
				continue
			}
			if err := fields[i].parse(v.FieldByIndex(fields[i].index), row[column]); err != nil {
				return record, fmt.Errorf("column %q, %q: %w", fields[i].column, row[column], err)
			}
		}
		return record, nil
	}, nil
}
