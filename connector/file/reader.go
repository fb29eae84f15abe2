package file

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"

	"cairn/connector/internal/pace"
	"cairn/dataflow"
)

// linesPerCall bounds how long a checkpoint waits for the reader.
const linesPerCall = 256

// fileQueue holds what one subtask has to read. It belongs to the subtask's goroutine.
type fileQueue interface {
	// next takes the split to be read next, and reports whether there is one.
	next() (split, bool, error)
	// finished says that the split which next returned last has been read to its end.
	finished(split)
	// appendEntries appends the state of all splits but the one that is being read, whose entry begins with form. They
	// are not changed afterwards.
	appendEntries(entries [][]byte) [][]byte
	form() byte
	// exhausted is the status of the reader when there is no split.
	exhausted() dataflow.ReadStatus
	close()
}

// reader reads one subtask's files, one after the other.
type reader[T any] struct {
	records records[T]
	files   fileQueue
	pacer   pace.Pacer
	log     *slog.Logger
	enough  func() bool   // the runtime's: Next is to return
	skipped *atomic.Int64 // nil when records are not skipped
	reading bool          // a split is open
}

// Next emits up to a few hundred records.
func (r *reader[T]) Next(emit func(T)) (dataflow.ReadStatus, error) {
	allowed, due := r.pacer.Allow(time.Now(), linesPerCall)
	if allowed == 0 {
		return dataflow.IdleUntil(due), nil
	}
	n := 0
	for n < allowed {
		if !r.reading {
			opened, err := r.openNext()
			if err != nil {
				return dataflow.ReadStatus{}, err
			}
			if !opened {
				r.pacer.Spent(n)
				return r.files.exhausted(), nil
			}
		}
		record, err := r.records.next()
		if errors.Is(err, io.EOF) {
			if err := r.closeCurrent(); err != nil {
				return dataflow.ReadStatus{}, err
			}
			continue
		}
		n++
		if err == nil {
			emit(record)
			if r.enough() {
				break
			}
		} else if err := r.skip(err); err != nil {
			return dataflow.ReadStatus{}, err
		}
	}
	r.pacer.Spent(n)
	return dataflow.Ready(), nil
}

func (r *reader[T]) openNext() (opened bool, err error) {
	s, found, err := r.files.next()
	if err != nil || !found {
		return false, err
	}
	if err := r.records.open(s); err != nil {
		return false, permanentIfMissing(asFatal(err))
	}
	r.reading = true
	return true, nil
}

func (r *reader[T]) closeCurrent() error {
	r.reading = false
	r.files.finished(r.records.current())
	return r.records.close()
}

// skip goes on behind a record that cannot be read, if that is what to do about it.
func (r *reader[T]) skip(err error) error {
	var p *poisonError
	if !errors.As(err, &p) || r.skipped == nil {
		return asFatal(err)
	}
	if err := r.records.skip(p); err != nil {
		return err
	}
	if n := r.skipped.Add(1); bits.OnesCount64(uint64(n)) == 1 {
		r.log.Warn("skipped a record that cannot be read", "error", p, "skipped", n)
	}
	return nil
}

func asFatal(err error) error {
	var p *poisonError
	if errors.As(err, &p) {
		return p.fatal()
	}
	return err
}

// Snapshot returns one entry per split that has not been read to its end, and what the queue wants to remember.
func (r *reader[T]) Snapshot() ([][]byte, error) {
	var entries [][]byte
	if r.reading && r.records.current().remaining() == 0 {
		// Nobody needs to open the file again, which may be gone by then.
		if err := r.closeCurrent(); err != nil {
			return nil, err
		}
	}
	if r.reading {
		entries = append(entries, r.records.current().appendTo(nil, r.files.form()))
	}
	return r.files.appendEntries(entries), nil
}

// Position names the file that is being read and the offset behind the last record.
func (r *reader[T]) Position() string {
	if r.records.current().path == "" {
		return "before the first file"
	}
	return fmt.Sprintf("%s offset %d", r.records.name(), r.records.current().offset)
}

// Close closes the file that is being read.
func (r *reader[T]) Close() error {
	r.files.close()
	return r.records.close()
}

// backlog is the queue of a source that lists its input once.
type backlog struct {
	// waiting are the splits that have not been opened, in the form that is kept in state: they are encoded
	// once, not at every checkpoint.
	waiting [][]byte
}

var _ fileQueue = (*backlog)(nil)

// restore takes the entries of a checkpoint. One that cannot be read is found now, not hours later.
func (b *backlog) restore(entries [][]byte) error {
	for _, entry := range entries {
		if _, err := decodeSplit(entry, formSplit); err != nil {
			return dataflow.Permanent(fmt.Errorf("restored state: %w", err))
		}
	}
	b.waiting = entries
	return nil
}

func (b *backlog) next() (split, bool, error) {
	if len(b.waiting) == 0 {
		return split{}, false, nil
	}
	s, err := decodeSplit(b.waiting[0], formSplit)
	b.waiting = b.waiting[1:]
	return s, err == nil, err
}

func (b *backlog) finished(split) {}

func (b *backlog) appendEntries(entries [][]byte) [][]byte { return append(entries, b.waiting...) }

func (b *backlog) form() byte { return formSplit }

func (b *backlog) exhausted() dataflow.ReadStatus { return dataflow.End() }

func (b *backlog) close() {}
