package file

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"cairn/dataflow"
)

// csvFormat is how the CSV of an input is written.
type csvFormat struct {
	comma    rune
	noHeader bool // the first record of a file is a row, not the names of the columns
	oneLine  bool // no record goes over several lines
}

// csvReader reads the records of one split after another and knows the offset behind the last one.
//
// The parser of encoding/csv keeps nothing from one record to the next but the number of fields, and that is the
// header's. So reading that begins anew at the offset of any record gives the same records from there on.
type csvReader struct {
	root      string
	format    csvFormat
	maxRecord int
	fields    int // of records without a header; 0 means any number

	split   split // the one that is open; its offset is behind the last record that next returned
	file    *os.File
	buf     *bufio.Reader // the parser reads from it directly: what lies between two records can be taken out
	source  csvSource
	parser  *csv.Reader
	base    int64    // what has to be added to the parser's offset to get the file's
	columns []string // of the open file; nil without a header
}

func newCSVReader(root string, format csvFormat, fields, maxRecord int) *csvReader {
	return &csvReader{
		root: root, format: format, fields: fields, maxRecord: maxRecord, buf: bufio.NewReaderSize(nil, readBufferSize),
	}
}

// open reads the header of a split's file and goes to the split's offset.
func (r *csvReader) open(s split) error {
	f, err := os.Open(filepath.Join(r.root, s.path))
	if err != nil {
		return err
	}
	r.file, r.split, r.columns = f, s, nil
	first, err := r.readHeader()
	if err != nil {
		return err
	}
	switch {
	case s.offset <= first:
		return r.seek(first)
	case s.cut:
		return r.seekLineBehind(s.offset - 1)
	}
	return r.seek(s.offset)
}

// readHeader returns the offset behind the header and a byte order mark.
func (r *csvReader) readHeader() (int64, error) {
	if err := r.seek(0); err != nil {
		return 0, err
	}
	if mark, _ := r.buf.Peek(3); string(mark) == "\ufeff" {
		if err := r.seek(3); err != nil {
			return 0, err
		}
	}
	if r.format.noHeader {
		return r.offset(), nil
	}
	names, err := r.parser.Read()
	switch {
	case errors.Is(err, io.EOF):
		return r.split.size, nil
	case isParseError(err):
		return 0, newPoison(r.name(), r.file, 0, fmt.Errorf("the header: %w", causeOf(err))).fatal()
	case err != nil:
		return 0, r.failure(err)
	}
	r.columns = append([]string{}, names...)
	return r.offset(), nil
}

// seek goes to an offset at which a record begins.
func (r *csvReader) seek(offset int64) error {
	if _, err := r.file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	r.split.offset, r.split.cut, r.base = offset, false, offset
	r.source = csvSource{file: r.file, offset: offset, size: r.split.size, record: offset, most: int64(r.maxRecord) + readBufferSize}
	r.buf.Reset(&r.source)
	r.parser = csv.NewReader(r.buf)
	r.parser.Comma, r.parser.ReuseRecord, r.parser.FieldsPerRecord = r.format.comma, true, -1
	if len(r.columns) > 0 {
		r.parser.FieldsPerRecord = len(r.columns)
	} else if r.fields > 0 && r.format.noHeader {
		r.parser.FieldsPerRecord = r.fields
	}
	return nil
}

// seekLineBehind goes behind the next line end, counted from offset.
func (r *csvReader) seekLineBehind(offset int64) error {
	lines := lineReader{root: r.root, split: r.split, file: r.file, buf: r.buf}
	if err := lines.seek(offset); err != nil {
		return err
	}
	if err := lines.skip(); err != nil {
		return err
	}
	return r.seek(lines.split.offset)
}

// offset returns where the parser is in the file.
func (r *csvReader) offset() int64 { return r.base + r.parser.InputOffset() }

// next returns the next record, or io.EOF after the last one. Its slice is valid until the next call.
func (r *csvReader) next() ([]string, error) {
	if r.split.remaining() > 0 {
		r.skipBlankLines()
	}
	if r.split.remaining() == 0 {
		return nil, io.EOF
	}
	start := r.split.offset
	record, err := r.parser.Read()
	if errors.Is(err, io.EOF) {
		r.split.offset = r.split.end
		return nil, io.EOF
	}
	if err != nil && !isParseError(err) {
		return nil, r.failure(err)
	}
	r.split.offset = r.offset()
	if err == nil {
		err = r.check(record, r.split.offset-start)
	}
	if err != nil {
		return nil, newPoison(r.name(), r.file, start, causeOf(err))
	}
	return record, nil
}

// skipBlankLines goes to where the next record begins, which tells whether it is this range's. The parser would pass
// over the lines, too, but not say where.
func (r *csvReader) skipBlankLines() {
	for {
		r.source.record = r.split.offset
		n := 0
		if next, _ := r.buf.Peek(2); len(next) > 0 && next[0] == '\n' {
			n = 1
		} else if string(next) == "\r\n" {
			n = 2
		}
		if n == 0 {
			return
		}
		_, _ = r.buf.Discard(n) // they are there
		r.base += int64(n)
		r.split.offset += int64(n)
	}
}

// check returns an error for a record that the parser takes and the format does not.
func (r *csvReader) check(record []string, length int64) error {
	if length > int64(r.maxRecord) {
		return fmt.Errorf("%w: %d bytes, allowed are %d", errTooLong, length, r.maxRecord)
	}
	if r.format.oneLine {
		for _, field := range record {
			if strings.Contains(field, "\n") {
				return errors.New("a field holds a line break, and the source was told that none does (NoQuotedNewlines)")
			}
		}
	}
	return nil
}

// failure adds the place to an error behind which reading cannot go on.
func (r *csvReader) failure(err error) error {
	switch {
	case errors.Is(err, errTooLong):
		cause := fmt.Errorf("%w: more than %d bytes, perhaps for a quote that is not closed", errTooLong, r.maxRecord)
		return newPoison(r.name(), r.file, r.split.offset, cause)
	case errors.Is(err, errEndsEarly):
		return endsEarly(r.name(), r.source.offset, r.split.size)
	}
	return failedAt(r.name(), r.split.offset, err)
}

// skip goes on behind a record that next could not read. The parser is behind the line with the fault already; where no
// record goes over several lines, everything it took beyond the first one comes again.
func (r *csvReader) skip(p *poisonError) error {
	switch {
	case r.format.oneLine:
		return r.seekLineBehind(p.offset)
	case errors.Is(r.source.err, errTooLong):
		return dataflow.Permanent(fmt.Errorf("%w; it cannot be skipped, since nobody knows where it ends", p))
	}
	return nil
}

func (r *csvReader) name() string { return filepath.Join(r.root, r.split.path) }

// current returns the split that is or was open last.
func (r *csvReader) current() split { return r.split }

// close closes the open file, if any.
func (r *csvReader) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

func isParseError(err error) bool {
	var p *csv.ParseError
	return errors.As(err, &p)
}

// causeOf leaves out the line of a parse error: it counts from where the reader went to, not from the file's begin.
func causeOf(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
