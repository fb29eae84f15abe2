package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// writer writes one subtask's files. A transaction is the files that records have gone to between two barriers: one in
// each bucket at a time, and those that were ended before.
type writer[T any] struct {
	sink     *Sink[T]
	log      *slog.Logger
	encode   func(dst []byte, record T) ([]byte, error)
	restored bool
	parallel int                    // subtasks of the sink
	next     part                   // the file that is begun next, but for its bucket
	open     map[string]*partWriter // by bucket
	ended    []part                 // files of the open transaction that are pending already
	rollAt   time.Time              // when the oldest open file is old enough; zero when none is open
	records  uint64
	line     []byte // used again for every record
}

// Recover commits the restored files, whichever job and subtask wrote them, and removes those that earlier attempts were
// writing. On a fresh start nothing is restored by anybody, so that whatever earlier attempts have left goes, and the
// directory must not hold output: it would be taken for the job's own.
func (w *writer[T]) Recover(_ context.Context, handles [][]byte) error {
	dir := w.sink.dir
	for _, handle := range handles {
		parts, err := decodeTransaction(handle)
		if err != nil {
			return dataflow.Permanent(fmt.Errorf("restored handle: %w", err))
		}
		if err := recoverParts(dir, w.log, parts...); err != nil {
			return err
		}
	}
	found, err := leftovers(dir)
	if err != nil {
		return err
	}
	if !w.restored {
		if err := checkUnused(dir, found); err != nil {
			return dataflow.Permanent(err)
		}
	}
	return sweep(dir, found, w.next, w.parallel, !w.restored)
}

var _ dataflow.SettlingWriter = (*writer[string])(nil)

// Settle removes what earlier attempts have left pending: every subtask has recovered, so nobody is going to commit it.
func (w *writer[T]) Settle(context.Context) error {
	found, err := leftovers(w.sink.dir)
	if err != nil {
		return err
	}
	return sweep(w.sink.dir, found, w.next, w.parallel, true)
}

// Write adds a record to the open file of its bucket.
func (w *writer[T]) Write(record T) (err error) {
	if w.line, err = w.encode(w.line[:0], record); err != nil {
		return dataflow.Permanent(fmt.Errorf("encoding a record: %w", err))
	}
	if err := w.rollOld(); err != nil {
		return err
	}
	bucket := ""
	if w.sink.bucket != nil {
		bucket = w.sink.bucket(record)
	}
	p := w.open[bucket]
	if p == nil {
		if p, err = w.begin(bucket); err != nil {
			return err
		}
	}
	w.records++
	p.used = w.records
	if err := p.write(w.line); err != nil {
		return err
	}
	if most := w.sink.options.rollSize; most > 0 && p.size() >= most {
		return w.end(p)
	}
	return nil
}

// begin opens a file in a bucket.
func (w *writer[T]) begin(bucket string) (*partWriter, error) {
	if err := checkBucket(bucket); err != nil {
		return nil, dataflow.Permanent(err)
	}
	if err := w.makeRoom(); err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Join(w.sink.dir, filepath.FromSlash(bucket))); err != nil {
		return nil, err
	}
	name := w.next
	name.bucket = bucket
	p, err := createPart(w.sink.dir, name)
	if err != nil {
		return nil, err
	}
	w.next.seq++
	w.open[bucket] = p
	if every := w.sink.options.rollEvery; every > 0 {
		p.born = time.Now()
		if w.rollAt.IsZero() {
			w.rollAt = p.born.Add(every)
		}
	}
	if w.sink.options.withoutHeader {
		return p, nil
	}
	return p, p.write(w.sink.format.header)
}

// makeRoom ends the file that has waited longest for a record when too many are open.
func (w *writer[T]) makeRoom() error {
	if len(w.open) < w.sink.options.maxOpen {
		return nil
	}
	var idle *partWriter
	for _, p := range w.open {
		if idle == nil || p.used < idle.used {
			idle = p
		}
	}
	return w.end(idle)
}

// end makes an open file pending. It stays in the transaction.
func (w *writer[T]) end(p *partWriter) error {
	if err := p.finish(); err != nil {
		return fmt.Errorf("output file %s: %w", p.part, err)
	}
	delete(w.open, p.part.bucket)
	w.ended = append(w.ended, p.part)
	return nil
}

// rollOld ends the open files that are old enough.
func (w *writer[T]) rollOld() error {
	if w.rollAt.IsZero() {
		return nil
	}
	now := time.Now()
	if now.Before(w.rollAt) {
		return nil
	}
	w.rollAt = time.Time{}
	for _, p := range w.openParts() {
		due := p.born.Add(w.sink.options.rollEvery)
		if !now.Before(due) {
			if err := w.end(p); err != nil {
				return err
			}
		} else if w.rollAt.IsZero() || due.Before(w.rollAt) {
			w.rollAt = due
		}
	}
	return nil
}

// openParts returns the open files, in the order in which they were begun.
func (w *writer[T]) openParts() []*partWriter {
	parts := make([]*partWriter, 0, len(w.open))
	for _, p := range w.open {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b *partWriter) int { return cmp.Compare(a.part.seq, b.part.seq) })
	return parts
}

// PreCommit ends all open files, and makes the names of all files of the transaction durable.
func (w *writer[T]) PreCommit(_ context.Context, id checkpoint.ID) ([]byte, error) {
	for _, p := range w.openParts() {
		if err := w.end(p); err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", id, err)
		}
	}
	if len(w.ended) == 0 {
		return nil, nil
	}
	if err := syncDirs(w.sink.dir, w.ended); err != nil {
		return nil, fmt.Errorf("checkpoint %d: output: %w", id, err)
	}
	handle := encodeTransaction(w.ended)
	w.ended, w.rollAt = nil, time.Time{}
	return handle, nil
}

// Commit gives the pending files of a transaction their final names.
func (w *writer[T]) Commit(_ context.Context, handle []byte) error {
	parts, err := decodeTransaction(handle)
	if err != nil {
		return err
	}
	err = commitParts(w.sink.dir, parts...)
	if errors.Is(err, errNeither) {
		// This task has made the file pending itself, and nobody may move it before it is published: records are lost.
		err = dataflow.Permanent(fmt.Errorf("%w: output is lost", err))
	}
	return err
}

// Close removes the files of the open transaction; those of pre-committed ones stay.
func (w *writer[T]) Close() error {
	var errs []error
	for _, p := range w.openParts() {
		errs = append(errs, p.abort())
	}
	for _, p := range w.ended {
		errs = append(errs, abortPart(w.sink.dir, p))
	}
	clear(w.open)
	w.ended = nil
	return errors.Join(errs...)
}
