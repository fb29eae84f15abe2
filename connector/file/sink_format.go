package file

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// sinkFormat is how records become bytes.
type sinkFormat[T any] struct {
	suffix string // of the files' names
	header []byte // at the begin of each file
	// newEncoder makes what one subtask encodes records with. It appends a whole record, line end included.
	newEncoder func() func(dst []byte, record T) ([]byte, error)
}

func lineFormat[T any](format func(dst []byte, record T) []byte) sinkFormat[T] {
	return sinkFormat[T]{newEncoder: func() func([]byte, T) ([]byte, error) {
		return func(dst []byte, record T) ([]byte, error) { return append(format(dst, record), '\n'), nil }
	}}
}

func jsonFormat[T any]() sinkFormat[T] {
	return sinkFormat[T]{suffix: jsonSuffix, newEncoder: func() func([]byte, T) ([]byte, error) {
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		return func(dst []byte, record T) ([]byte, error) {
			line.Reset()
			err := encoder.Encode(record)
			return append(dst, line.Bytes()...), err
		}
	}}
}

func csvStructFormat[T any](fields []csvField) sinkFormat[T] {
	columns := make([]string, len(fields))
	for i, f := range fields {
		columns[i] = f.column
	}
	return sinkFormat[T]{suffix: csvSuffix, header: appendCSV(nil, columns), newEncoder: func() func([]byte, T) ([]byte, error) {
		var scratch []byte
		return func(dst []byte, record T) (_ []byte, err error) {
			dst, scratch, err = appendCSVStruct(dst, scratch, fields, reflect.ValueOf(&record).Elem())
			return dst, err
		}
	}}
}

func csvRowFormat[T any](header []string, row func(dst []string, record T) []string) sinkFormat[T] {
	return sinkFormat[T]{suffix: csvSuffix, header: appendCSV(nil, header), newEncoder: func() func([]byte, T) ([]byte, error) {
		var fields []string
		return func(dst []byte, record T) ([]byte, error) {
			if fields = row(fields[:0], record); len(fields) != len(header) {
				return dst, fmt.Errorf("a row has %d fields, the header %d", len(fields), len(header))
			}
			return appendCSV(dst, fields), nil
		}
	}}
}
