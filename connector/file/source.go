package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"

	"cairn/connector/internal/pace"
	"cairn/dataflow"
)

// Source reads the records of files as a stream. What it has been built with is not changed, and it is safe for
// concurrent use.
type Source[T any] struct {
	input   string
	options sourceOptions
	// newRecords makes what one subtask reads records with.
	newRecords func(root string) records[T]
	err        error // options that do not go together
	skipped    atomic.Int64
}

var (
	_ dataflow.Source[string] = (*Source[string])(nil)
	_ dataflow.UnionSource    = (*Source[string])(nil)
)

// records reads the records of one split after another.
type records[T any] interface {
	// open starts reading a split at its offset.
	open(split) error
	// next returns the next record, or io.EOF behind the last one. A *poisonError is a record that cannot be read.
	next() (T, error)
	// skip goes on behind a record that next could not read. It comes before the next call of next.
	skip(*poisonError) error
	// current returns the split that was opened last. Its offset is behind the record that next returned last.
	current() split
	// name returns the path of the file that was opened last.
	name() string
	close() error
}

// NewSource returns a source of the lines, without their line ends, of all files below a directory, or of a single
// file.
func NewSource(input string, opts ...SourceOption) *Source[string] {
	s := newSource[string](input, opts)
	s.notForCSV("lines")
	s.newRecords = s.lines(func(line []byte) (string, bool, error) { return string(line), true, nil })
	return s
}

// JSONLines returns a source of JSON values, one on each line, of all files below a directory, or of a single file.
// Each is decoded into a T as encoding/json does it. Lines of nothing but white space are passed over.
func JSONLines[T any](input string, opts ...SourceOption) *Source[T] {
	s := newSource[T](input, opts)
	s.notForCSV("JSON lines")
	s.newRecords = s.lines(func(line []byte) (record T, found bool, err error) {
		if len(strings.TrimSpace(string(line))) == 0 {
			return record, false, nil
		}
		return record, true, json.Unmarshal(line, &record)
	})
	return s
}

// CSV returns a source of comma-separated values, as encoding/csv reads them, of all files below a directory, or of
// a single file. T is a struct, and each file begins with a header: a field takes the column with its name, or with the
// one in its tag `csv:"name"`; the tag `csv:"name,optional"` lets the column be missing, and `csv:"-"` leaves the
// field out. Fields are strings, numbers, bools, and types that convert themselves from and to text, such as time.Time.
// Columns without a field are passed over.
func CSV[T any](input string, opts ...SourceOption) *Source[T] {
	s := newSource[T](input, opts)
	fields, err := csvFields(reflect.TypeFor[T]())
	s.err = errors.Join(s.err, err)
	s.newRecords = s.csv(len(fields), func(columns []string) (csvDecoder[T], error) { return bindStruct[T](fields, columns) })
	return s
}

// CSVRows is as CSV, with a function that makes a record of each row, without the header. It is called from several
// goroutines at once. The row is valid until it returns, the strings in it stay.
func CSVRows[T any](input string, record func(row []string) (T, error), opts ...SourceOption) *Source[T] {
	s := newSource[T](input, opts)
	s.newRecords = s.csv(0, func([]string) (csvDecoder[T], error) { return record, nil })
	return s
}

func newSource[T any](input string, opts []SourceOption) *Source[T] {
	s := &Source[T]{input: input, options: defaultSourceOptions()}
	for _, opt := range opts {
		opt(&s.options)
	}
	s.err = s.options.validate()
	return s
}

func (s *Source[T]) notForCSV(what string) {
	if s.options.csv != (csvFormat{comma: ','}) {
		s.err = errors.Join(s.err, fmt.Errorf("a source of %s takes no options of CSV (Comma, NoHeader, NoQuotedNewlines)", what))
	}
}

func (s *Source[T]) lines(decode func([]byte) (T, bool, error)) func(string) records[T] {
	return func(root string) records[T] {
		return lineRecords[T]{lineReader: newLineReader(root, s.options.maxRecord), decode: decode}
	}
}

func (s *Source[T]) csv(fields int, bind csvBinder[T]) func(string) records[T] {
	if s.options.splitSize > 0 && !s.options.csv.oneLine {
		s.err = errors.Join(s.err, errors.New("SplitSize of a CSV source: a record may go over several lines, so that nobody "+
			"knows where one begins in the middle of a file; say NoQuotedNewlines if none does"))
	}
	return func(root string) records[T] {
		return &csvRecords[T]{csvReader: newCSVReader(root, s.options.csv, fields, s.options.maxRecord), bind: bind}
	}
}

// UnionSplits reports whether the source watches its input: which subtask reads a file then depends on its path.
func (s *Source[T]) UnionSplits() bool { return s.options.watch > 0 }

// Skipped returns how many records the subtasks in this process have skipped (SkipPoison).
func (s *Source[T]) Skipped() int64 { return s.skipped.Load() }

// Open lists the input, or takes the files to go on with from the restored state. An input that is not
// there is a permanent error.
func (s *Source[T]) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[T], error) {
	if s.err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("input %s: %w", s.input, s.err))
	}
	root, files, err := s.files(ctx)
	if err != nil {
		return nil, permanentIfMissing(fmt.Errorf("input %s: %w", s.input, err))
	}
	r := &reader[T]{
		records: s.newRecords(root), files: files, log: ctx.Logger, enough: ctx.Enough,
		pacer: pace.New(s.options.perSecond / float64(ctx.Parallelism)),
	}
	if s.options.skipPoison {
		r.skipped = &s.skipped
	}
	return r, nil
}

// files returns what the subtask has to read, and the directory that it is in.
func (s *Source[T]) files(ctx dataflow.SourceContext) (root string, files fileQueue, err error) {
	if root, err = rootOf(s.input); err != nil {
		return "", nil, err
	}
	if s.options.watch > 0 {
		files, err = s.watch(root, ctx)
		return root, files, err
	}
	b := &backlog{}
	if ctx.Restored {
		err = b.restore(ctx.Entries)
	} else {
		err = s.list(b, ctx)
	}
	ctx.Logger.Info("input opened", "input", s.input, "files", len(b.waiting), "restored", ctx.Restored)
	return root, b, err
}

// list finds the subtask's share of the input.
func (s *Source[T]) list(b *backlog, ctx dataflow.SourceContext) error {
	_, all, err := scan(s.input, s.options.suffix)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return errNoFiles(s.options.suffix)
	}
	var splits []split
	for _, file := range all {
		splits = append(splits, file.ranges(s.options.splitSize)...)
	}
	for _, split := range assign(splits, ctx.Parallelism, ctx.Subtask.Index) {
		b.waiting = append(b.waiting, split.appendTo(nil, formSplit))
	}
	return nil
}

// errNoFiles says that an input has nothing to be read: a slip in the path or the suffix, most likely, which
// would otherwise end as a job that has finished with nothing done.
func errNoFiles(suffix string) error {
	if suffix == "" {
		return dataflow.Permanent(errors.New("it holds no files"))
	}
	return dataflow.Permanent(fmt.Errorf("it holds no files whose names end in %q", suffix))
}

// permanentIfMissing marks the errors that no restart helps.
func permanentIfMissing(err error) error {
	for _, permanent := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ENOTDIR, syscall.EROFS} {
		if errors.Is(err, permanent) {
			return dataflow.Permanent(err)
		}
	}
	return err
}
