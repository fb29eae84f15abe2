package file

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"
	"time"

	"cairn/dataflow"
)

// DefaultMaxLine is the length in bytes, line end included, beyond which a line is an error.
const DefaultMaxLine = 8 << 20

// linesPerCall bounds how long a checkpoint waits for the reader.
const linesPerCall = 256

// Source reads the lines of files, without their line ends, as a stream of strings. It is not changed after
// NewSource and safe for concurrent use.
type Source struct {
	input     string
	suffix    string
	perSecond float64
	maxLine   int
}

var _ dataflow.Source[string] = (*Source)(nil)

// SourceOption changes a Source.
type SourceOption func(*Source)

// Suffix leaves out files whose names do not end in suffix, unless the input is a single file.
func Suffix(suffix string) SourceOption { return func(s *Source) { s.suffix = suffix } }

// LinesPerSecond bounds the rate of the whole source, all subtasks together; 0 means no bound. The subtasks
// share it evenly, whether or not they have files left.
func LinesPerSecond(rate float64) SourceOption { return func(s *Source) { s.perSecond = rate } }

// MaxLine sets the length in bytes, line end included, beyond which a line is an error.
func MaxLine(bytes int) SourceOption { return func(s *Source) { s.maxLine = bytes } }

// NewSource returns a source of the lines of all files below a directory, or of a single file.
func NewSource(input string, opts ...SourceOption) *Source {
	s := &Source{input: input, maxLine: DefaultMaxLine}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Open lists the input, or takes the files to go on with from the restored state. An input that is not
// there is a permanent error.
func (s *Source) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[string], error) {
	root, splits, err := s.splits(ctx)
	if err != nil {
		return nil, permanentIfMissing(fmt.Errorf("input %s: %w", s.input, err))
	}
	r := &reader{
		lines: newLineReader(root, s.maxLine),
		pacer: pacer{perSecond: s.perSecond / float64(ctx.Parallelism)},
	}
	var bytes int64
	for _, split := range splits {
		r.waiting = append(r.waiting, split.appendTo(nil))
		bytes += split.remaining()
	}
	ctx.Logger.Info("input opened", "input", s.input, "files", len(splits), "bytes", bytes, "restored", ctx.Restored)
	return r, nil
}

func (s *Source) splits(ctx dataflow.SourceContext) (root string, splits []split, err error) {
	if !ctx.Restored {
		root, all, err := scan(s.input, s.suffix)
		if err == nil && len(all) == 0 {
			err = errNoFiles(s.suffix)
		}
		return root, assign(all, ctx.Parallelism, ctx.Subtask.Index), err
	}
	if root, err = rootOf(s.input); err != nil {
		return "", nil, err
	}
	for _, entry := range ctx.Entries {
		split, err := decodeSplit(entry)
		if err != nil {
			return "", nil, fmt.Errorf("restored state: %w", err)
		}
		splits = append(splits, split)
	}
	return root, splits, nil
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

// reader reads one subtask's files, one after the other.
type reader struct {
	lines *lineReader
	pacer pacer
	// waiting are the files that have not been opened, in the form that is kept in state: they are encoded
	// once, not at every checkpoint.
	waiting [][]byte
}

// Next emits up to a few hundred lines.
func (r *reader) Next(emit func(string)) (dataflow.ReadStatus, error) {
	allowed, due := r.pacer.allow(time.Now(), linesPerCall)
	if allowed == 0 {
		return dataflow.IdleUntil(due), nil
	}
	for n := range allowed {
		line, err := r.nextLine()
		if errors.Is(err, io.EOF) {
			r.pacer.spent(n)
			return dataflow.End(), nil
		}
		if err != nil {
			return dataflow.ReadStatus{}, err
		}
		emit(string(line))
	}
	r.pacer.spent(allowed)
	return dataflow.Ready(), nil
}

// nextLine returns the next line of this file or the next ones, and io.EOF behind the last.
func (r *reader) nextLine() ([]byte, error) {
	for {
		line, err := r.lines.next()
		if !errors.Is(err, io.EOF) {
			return line, err
		}
		if err := r.lines.close(); err != nil {
			return nil, err
		}
		if len(r.waiting) == 0 {
			return nil, io.EOF
		}
		next, err := decodeSplit(r.waiting[0])
		if err != nil {
			return nil, err
		}
		if err := r.lines.open(next); err != nil {
			return nil, permanentIfMissing(err)
		}
		r.waiting = r.waiting[1:]
	}
}

// Snapshot returns one entry per file that has not been read to its end.
func (r *reader) Snapshot() ([][]byte, error) {
	entries := make([][]byte, 0, 1+len(r.waiting))
	if r.lines.split.remaining() > 0 {
		entries = append(entries, r.lines.split.appendTo(nil))
	}
	return append(entries, r.waiting...), nil
}

// Position names the file that is being read and the offset behind the last line.
func (r *reader) Position() string {
	if r.lines.split.path == "" {
		return "before the first file"
	}
	return fmt.Sprintf("%s offset %d", r.lines.name(), r.lines.split.offset)
}

// Close closes the file that is being read.
func (r *reader) Close() error { return r.lines.close() }
