package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"cairn/dataflow"
)

const readBufferSize = 64 << 10

// lineReader reads the lines of one split after another and knows the offset behind the last one. Its
// memory is used again for every line and every file.
type lineReader struct {
	root    string
	maxLine int

	split split    // the one that is open; its offset is behind the last line that next returned
	file  *os.File // nil when none is open
	buf   *bufio.Reader
	long  []byte // a line that does not fit into buf
}

func newLineReader(root string, maxLine int) *lineReader {
	return &lineReader{root: root, maxLine: maxLine, buf: bufio.NewReaderSize(nil, readBufferSize)}
}

// open starts reading a split at its offset, up to the size that it had when it was listed.
func (r *lineReader) open(s split) error {
	f, err := os.Open(filepath.Join(r.root, s.path))
	if err != nil {
		return err
	}
	if _, err := f.Seek(s.offset, io.SeekStart); err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.split = f, s
	r.buf.Reset(io.LimitReader(f, s.remaining()))
	return nil
}

// next returns the next line without its line end ("\n" or "\r\n"), or io.EOF after the last one. The line
// is valid until the next call.
func (r *lineReader) next() ([]byte, error) {
	if r.split.remaining() == 0 {
		return nil, io.EOF
	}
	line, err := r.buf.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.nextLong(line)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s at offset %d: %w", r.name(), r.split.offset, err)
	}
	if len(line) > r.maxLine {
		return nil, r.tooLong()
	}
	if err != nil && int64(len(line)) < r.split.remaining() {
		return nil, fmt.Errorf("%s ends at offset %d: it had %d bytes when the input was listed",
			r.name(), r.split.offset+int64(len(line)), r.split.size)
	}
	r.split.offset += int64(len(line))
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}

// nextLong reads the rest of a line that begins with start, up to a little more than the bound.
func (r *lineReader) nextLong(start []byte) ([]byte, error) {
	r.long = append(r.long[:0], start...)
	for len(r.long) <= r.maxLine {
		part, err := r.buf.ReadSlice('\n')
		r.long = append(r.long, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return r.long, err
		}
	}
	return r.long, nil
}

func (r *lineReader) tooLong() error {
	return dataflow.Permanent(fmt.Errorf("%s: the line at offset %d is longer than %d bytes", r.name(), r.split.offset, r.maxLine))
}

// name returns the path of the open file.
func (r *lineReader) name() string { return filepath.Join(r.root, r.split.path) }

// close closes the open file, if any.
func (r *lineReader) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
