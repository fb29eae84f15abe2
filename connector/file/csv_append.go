package file

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// appendCSV appends one record, line end included, as encoding/csv writes it, but for a record that is a single empty
// field: encoding/csv writes an empty line for it, which it does not read again as a record.
func appendCSV(dst []byte, row []string) []byte {
	if len(row) == 1 && row[0] == "" {
		return append(dst, "\"\"\n"...)
	}
	for i, field := range row {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCSVField(dst, field)
	}
	return append(dst, '\n')
}

func appendCSVField(dst []byte, field string) []byte {
	if !needsQuotes(field) {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for i := range len(field) {
		if field[i] == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, field[i])
	}
	return append(dst, '"')
}

// needsQuotes follows encoding/csv, and with it Postgres, for which \. alone would be the end of the data.
func needsQuotes(field string) bool {
	if field == "" {
		return false
	}
	first, _ := utf8.DecodeRuneInString(field)
	return field == `\.` || strings.ContainsAny(field, "\",\r\n") || unicode.IsSpace(first)
}

// appendCSVStruct appends the record of a struct. The scratch memory is used again.
func appendCSVStruct(dst, scratch []byte, fields []csvField, record reflect.Value) (_, _ []byte, err error) {
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		if scratch, err = f.append(scratch[:0], record.FieldByIndex(f.index)); err != nil {
			return dst, scratch, fmt.Errorf("column %q: %w", f.column, err)
		}
		if len(fields) == 1 && len(scratch) == 0 {
			dst = append(dst, `""`...)
		}
		dst = appendCSVField(dst, string(scratch))
	}
	return append(dst, '\n'), scratch, nil
}
