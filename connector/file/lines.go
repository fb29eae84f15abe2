package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const readBufferSize = 64 << 10

// lineReader reads the lines of one split after another and knows the offset behind the last one. Its
// memory is used again for every line and every file.
type lineReader struct {
	root    string
	maxLine int
	split   split    // the one that is open; its offset is behind the last line that next returned
	file    *os.File // nil when none is open
	buf     *bufio.Reader
	long    []byte // a line that does not fit into buf
}

func newLineReader(root string, maxLine int) *lineReader {
	return &lineReader{root: root, maxLine: maxLine, buf: bufio.NewReaderSize(nil, readBufferSize)}
}

// open starts reading a split at its offset, up to the size that the file had when it was listed.
func (r *lineReader) open(s split) error {
	f, err := os.Open(filepath.Join(r.root, s.path))
	if err != nil {
		return err
	}
	r.file, r.split = f, s
	if !s.cut {
		return r.seek(s.offset)
	}
	// A line that begins at the offset is this range's, one that began earlier is not: the line end before it tells.
	if err := r.seek(s.offset - 1); err != nil {
		return err
	}
	if err := r.skip(); err != nil {
		return err
	}
	r.split.cut = false
	return nil
}

func (r *lineReader) seek(offset int64) error {
	if _, err := r.file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	r.split.offset = offset
	r.buf.Reset(io.LimitReader(r.file, r.split.size-offset))
	return nil
}

// skip goes on behind the next line end, or at the file's end, however far it is.
func (r *lineReader) skip() error {
	for {
		part, err := r.buf.ReadSlice('\n')
		r.split.offset += int64(len(part))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, io.EOF):
			return r.checkEnd()
		case !errors.Is(err, bufio.ErrBufferFull):
			return failedAt(r.name(), r.split.offset, err)
		}
	}
}

// next returns the next line without its line end ("\n" or "\r\n"), or io.EOF after the last one. The line
// is valid until the next call. Behind a line that is too long, the reader goes on after skip.
func (r *lineReader) next() ([]byte, error) {
	if r.split.remaining() == 0 {
		return nil, io.EOF
	}
	line, err := r.buf.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.nextLong(line)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, failedAt(r.name(), r.split.offset, err)
	}
	if len(line) > r.maxLine {
		return nil, r.tooLong()
	}
	if err != nil && r.split.offset+int64(len(line)) < r.split.size {
		r.split.offset += int64(len(line))
		return nil, r.checkEnd()
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

// tooLong goes back to the line's begin, so that skip finds its end.
func (r *lineReader) tooLong() error {
	if err := r.seek(r.split.offset); err != nil {
		return err
	}
	return newPoison(r.name(), r.file, r.split.offset, fmt.Errorf("%w: the line has more than %d bytes", errTooLong, r.maxLine))
}

// checkEnd returns an error when the file has become shorter.
func (r *lineReader) checkEnd() error {
	if r.split.offset < r.split.size {
		return endsEarly(r.name(), r.split.offset, r.split.size)
	}
	return nil
}

func endsEarly(path string, offset, size int64) error {
	return placedError{fmt.Errorf("%s ends at offset %d: it had %d bytes when the input was listed", path, offset, size)}
}

// name returns the path of the open file.
func (r *lineReader) name() string { return filepath.Join(r.root, r.split.path) }

// current returns the split that is or was open last.
func (r *lineReader) current() split { return r.split }

// close closes the open file, if any.
func (r *lineReader) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// lineRecords turns lines into records. A line for which decode returns false has none.
type lineRecords[T any] struct {
	*lineReader
	decode func(line []byte) (record T, found bool, err error)
}

func (r lineRecords[T]) next() (record T, err error) {
	for {
		start := r.split.offset
		line, err := r.lineReader.next()
		if err != nil {
			return record, err
		}
		record, found, err := r.decode(line)
		if err != nil {
			return record, newPoison(r.name(), r.file, start, err)
		}
		if found {
			return record, nil
		}
	}
}

// skip goes on behind a record that next could not read: only a line that is too long is still there.
func (r lineRecords[T]) skip(p *poisonError) error {
	if errors.Is(p.cause, errTooLong) {
		return r.lineReader.skip()
	}
	return nil
}
