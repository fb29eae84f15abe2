package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"cairn/dataflow"
)

// poisonHead is how much of a record that cannot be read an error shows.
const poisonHead = 64

// errTooLong says that a record is longer than MaxLine.
var errTooLong = errors.New("the record is too long")

// poisonError is a record that cannot be read. Reading can go on behind it.
type poisonError struct {
	path   string
	offset int64 // of its first byte
	head   []byte
	cause  error
}

// newPoison takes the first bytes of the record from the file. What they cannot be read for is reported elsewhere.
func newPoison(path string, f *os.File, offset int64, cause error) *poisonError {
	head := make([]byte, poisonHead)
	n, _ := f.ReadAt(head, offset)
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	return &poisonError{path: path, offset: offset, head: line, cause: cause}
}

func (e *poisonError) Error() string {
	return fmt.Sprintf("%s:%d: record beginning with %q: %v", e.path, e.offset, e.head, e.cause)
}

func (e *poisonError) Unwrap() error { return e.cause }

// NamesPosition marks the error: it says where the record is.
func (e *poisonError) NamesPosition() {}

// placedError is an error that names a file and an offset.
type placedError struct{ error }

func (e placedError) Unwrap() error { return e.error }

// NamesPosition marks the error.
func (e placedError) NamesPosition() {}

// failedAt says where in a file reading failed.
func failedAt(path string, offset int64, err error) error {
	return placedError{fmt.Errorf("%s at offset %d: %w", path, offset, err)}
}

// fatal is the error of a source that does not skip. Another attempt would read the same bytes.
func (e *poisonError) fatal() error { return dataflow.Permanent(e) }
