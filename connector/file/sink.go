package file

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"cairn/dataflow"
)

// Sink writes records to files in a directory. It is not changed after it has been made and safe for concurrent use.
type Sink[T any] struct {
	dir     string
	format  sinkFormat[T]
	bucket  func(T) string // nil: everything goes into dir itself
	options sinkOptions
	err     error // a type or options that do not do
}

var _ dataflow.Sink[string] = (*Sink[string])(nil)

// NewSink returns a sink that writes each record as a line into files in dir, which is created when it is not there.
// format appends a record's line, without a line end, to dst; it is called from several goroutines at once.
func NewSink[T any](dir string, format func(dst []byte, record T) []byte, opts ...SinkOption) *Sink[T] {
	return newSink(dir, lineFormat(format), opts)
}

// NewJSONSink returns a sink that writes each record as a line of JSON, as encoding/json encodes it, into files in dir,
// which is created when it is not there. Their names end in ".jsonl".
func NewJSONSink[T any](dir string, opts ...SinkOption) *Sink[T] {
	return newSink(dir, jsonFormat[T](), opts)
}

// NewCSVSink returns a sink that writes each record, a struct, as one of comma-separated values into files in dir, which
// is created when it is not there. Fields and columns belong together as in CSV; each file begins with a header. The
// names of the files end in ".csv". What encoding/csv reads from them are the same values, but for a carriage return
// before a line feed within a field, which gets lost.
func NewCSVSink[T any](dir string, opts ...SinkOption) *Sink[T] {
	fields, err := csvFields(reflect.TypeFor[T]())
	s := newSink(dir, csvStructFormat[T](fields), opts)
	s.err = errors.Join(err, s.err)
	return s
}

// NewCSVRowSink is as NewCSVSink, with a function that appends a record's fields to dst, as many as the header has. It
// is called from several goroutines at once.
func NewCSVRowSink[T any](dir string, header []string, row func(dst []string, record T) []string, opts ...SinkOption) *Sink[T] {
	s := newSink(dir, csvRowFormat(header, row), opts)
	if len(header) == 0 {
		s.err = errors.Join(errors.New("the header of CSV has no columns: name them, also where WithoutHeader leaves it out"), s.err)
	}
	return s
}

func newSink[T any](dir string, format sinkFormat[T], opts []SinkOption) *Sink[T] {
	s := &Sink[T]{dir: dir, format: format, options: sinkOptions{maxOpen: DefaultMaxOpenParts}}
	for _, opt := range opts {
		opt(&s.options)
	}
	s.err = s.options.validate()
	return s
}

// Bucket returns a sink that writes each record into the directory, below the sink's own, that the function names:
// "2024-05-17", say, or "de/2024-05-17". Names are separated by slashes; one that is empty, begins with a dot or "part-",
// or holds a backslash or control characters, fails the job, so that no record leads out of the sink's directory. The
// function is called from several goroutines at once, and must return the same for the same record.
func (s *Sink[T]) Bucket(of func(record T) string) *Sink[T] {
	bucketed := *s
	bucketed.bucket = of
	return &bucketed
}

// Open makes the directory ready for one subtask.
func (s *Sink[T]) Open(ctx dataflow.SinkContext) (dataflow.SinkWriter[T], error) {
	if s.err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("output directory %s: %w", s.dir, s.err))
	}
	if err := makeDir(s.dir); err != nil {
		return nil, permanentIfMissing(fmt.Errorf("output directory: %w", err))
	}
	suffix := s.format.suffix
	if s.options.gzip {
		suffix += gzipSuffix
	}
	return &writer[T]{
		sink: s, log: ctx.Logger, encode: s.format.newEncoder(), restored: ctx.Restored, parallel: max(1, ctx.Parallelism), open: make(map[string]*partWriter),
		next: part{job: jobOf(ctx.Job), subtask: ctx.Subtask.Index, attempt: ctx.Attempt, suffix: suffix},
	}, nil
}

// DefaultMaxOpenParts is how many files one subtask writes at the same time.
const DefaultMaxOpenParts = 64

// SinkOption changes a Sink.
type SinkOption func(*sinkOptions)

type sinkOptions struct {
	rollSize      int64         // 0: no bound
	rollEvery     time.Duration // 0: no bound
	gzip          bool
	withoutHeader bool
	maxOpen       int
}

// RollSize begins a new file when one has so many bytes. Without it, and without RollEvery, each checkpoint ends a
// file, and nothing else does.
func RollSize(bytes int64) SinkOption { return func(o *sinkOptions) { o.rollSize = bytes } }

// RollEvery begins a new file when one is so old. Ages are looked at when a record is written.
func RollEvery(age time.Duration) SinkOption { return func(o *sinkOptions) { o.rollEvery = age } }

// Gzip compresses each file; their names end in ".gz". RollSize then counts compressed bytes.
func Gzip() SinkOption { return func(o *sinkOptions) { o.gzip = true } }

// WithoutHeader leaves out the header of CSV.
func WithoutHeader() SinkOption { return func(o *sinkOptions) { o.withoutHeader = true } }

// MaxOpenParts sets how many files one subtask writes at the same time, one in each bucket. When a record needs one
// more, the file that has waited longest for a record is ended. Each takes 64 KiB of memory, and nearly 1 MiB with Gzip.
func MaxOpenParts(files int) SinkOption { return func(o *sinkOptions) { o.maxOpen = files } }

func (o sinkOptions) validate() error {
	switch {
	case o.rollSize < 0:
		return fmt.Errorf("RollSize is %d: want 0, for no bound, or more", o.rollSize)
	case o.rollEvery < 0:
		return fmt.Errorf("RollEvery is %s: want 0, for no bound, or more", o.rollEvery)
	case o.maxOpen < 1:
		return fmt.Errorf("MaxOpenParts is %d: want at least 1", o.maxOpen)
	}
	return nil
}
