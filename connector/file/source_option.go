package file

import (
	"errors"
	"fmt"
	"time"
)

// DefaultMaxLine is the length in bytes, line end included, beyond which a line, or a record of CSV, is an error.
const DefaultMaxLine = 8 << 20

// SourceOption changes a Source.
type SourceOption func(*sourceOptions)

type sourceOptions struct {
	suffix     string
	perSecond  float64
	maxRecord  int
	splitSize  int64 // 0: files are not cut
	skipPoison bool
	watch      time.Duration // 0: the input is listed once
	csv        csvFormat
}

func defaultSourceOptions() sourceOptions {
	return sourceOptions{maxRecord: DefaultMaxLine, csv: csvFormat{comma: ','}}
}

// Suffix leaves out files whose names do not end in suffix, unless the input is a single file.
func Suffix(suffix string) SourceOption { return func(o *sourceOptions) { o.suffix = suffix } }

// LinesPerSecond bounds the rate, in lines or records, of the whole source, all subtasks together; 0 means no bound.
// The subtasks share it evenly, whether or not they have files left.
func LinesPerSecond(rate float64) SourceOption { return func(o *sourceOptions) { o.perSecond = rate } }

// MaxLine sets the length in bytes, line end included, beyond which a line, or a record of CSV, is an error.
func MaxLine(bytes int) SourceOption { return func(o *sourceOptions) { o.maxRecord = bytes } }

// SplitSize cuts larger files into ranges of so many bytes, which different subtasks read. Without it each file is
// read by one subtask. CSV needs NoQuotedNewlines for it.
func SplitSize(bytes int64) SourceOption { return func(o *sourceOptions) { o.splitSize = bytes } }

// SkipPoison skips records that cannot be read: lines that are too long, lines that are no JSON, rows of CSV with a
// wrong number of fields, and those that the decoder of T refuses. They are logged, fewer and fewer of them, and counted
// (Source.Skipped). Without it the first one fails the job, with the file, the offset, and how the record begins.
func SkipPoison() SourceOption { return func(o *sourceOptions) { o.skipPoison = true } }

// Watch makes the source look for new files in its input, a directory, every interval, without end: the stream ends
// only when the job is stopped or drained. See the package's documentation for which files are taken when, and by which
// subtask.
func Watch(interval time.Duration) SourceOption {
	return func(o *sourceOptions) { o.watch = interval }
}

// Comma sets what separates the fields of CSV.
func Comma(separator rune) SourceOption { return func(o *sourceOptions) { o.csv.comma = separator } }

// NoHeader says that files of CSV begin with a row. Where records are structs, the columns are their fields in their
// order, all of them.
func NoHeader() SourceOption { return func(o *sourceOptions) { o.csv.noHeader = true } }

// NoQuotedNewlines says that no record of CSV goes over several lines, so that files may be cut (SplitSize), and
// that a faulty record costs its line only. A line break within a field is an error.
func NoQuotedNewlines() SourceOption { return func(o *sourceOptions) { o.csv.oneLine = true } }

func (o sourceOptions) validate() error {
	switch {
	case o.maxRecord < 1:
		return fmt.Errorf("MaxLine is %d: want at least 1", o.maxRecord)
	case o.perSecond < 0:
		return fmt.Errorf("LinesPerSecond is %v: want 0, for no bound, or more", o.perSecond)
	case o.splitSize < 0:
		return fmt.Errorf("SplitSize is %d: want 0, for files in one piece, or more", o.splitSize)
	case o.watch < 0:
		return fmt.Errorf("the interval of Watch is %s: want more than 0", o.watch)
	case o.watch > 0 && o.splitSize > 0:
		return errors.New("a source that watches its input reads each file in one piece: leave out SplitSize")
	case o.csv.comma == 0 || o.csv.comma == '"' || o.csv.comma == '\r' || o.csv.comma == '\n':
		return fmt.Errorf("Comma is %q: want a character that is neither a quote nor a line break", o.csv.comma)
	}
	return nil
}
