package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// Sink writes each record as a line to files in a directory. It is not changed after NewSink and safe for
// concurrent use.
type Sink[T any] struct {
	dir    string
	format func(dst []byte, record T) []byte
}

var _ dataflow.Sink[string] = (*Sink[string])(nil)

// NewSink returns a sink that writes into dir, which is created when it is not there. format appends a
// record's line, without a line end, to dst; it is called from several goroutines at once.
func NewSink[T any](dir string, format func(dst []byte, record T) []byte) *Sink[T] {
	return &Sink[T]{dir: dir, format: format}
}

// Open makes the directory ready for one subtask.
func (s *Sink[T]) Open(ctx dataflow.SinkContext) (dataflow.SinkWriter[T], error) {
	if err := makeDir(s.dir); err != nil {
		return nil, permanentIfMissing(fmt.Errorf("output directory: %w", err))
	}
	return &writer[T]{
		dir: s.dir, format: s.format, restored: ctx.Restored,
		next: part{job: jobOf(ctx.Job), subtask: ctx.Subtask.Index, attempt: ctx.Attempt},
	}, nil
}

// writer writes one subtask's files. A transaction is a file, and its handle the file's final name.
type writer[T any] struct {
	dir      string
	format   func(dst []byte, record T) []byte
	restored bool
	next     part        // the file that the next transaction gets
	open     *partWriter // nil while there is none
	line     []byte      // used again for every record
}

// Recover commits the restored files, whichever job and subtask wrote them, and removes the other ones that earlier
// attempts of this subtask have not committed. On a fresh start the directory must not hold output: it would be taken for the job's own.
func (w *writer[T]) Recover(_ context.Context, handles [][]byte) error {
	keep := make(map[part]bool, len(handles))
	for _, handle := range handles {
		p, err := parsePart(string(handle))
		if err != nil {
			return dataflow.Permanent(fmt.Errorf("restored handle: %w", err))
		}
		if err := commitPart(w.dir, p); err != nil {
			return err
		}
		keep[p] = true
	}
	found, err := leftovers(w.dir)
	if err != nil {
		return err
	}
	if !w.restored {
		if err := checkUnused(w.dir, found); err != nil {
			return dataflow.Permanent(err)
		}
	}
	return sweep(w.dir, found, w.next, keep)
}

// Write adds a line to the open file.
func (w *writer[T]) Write(record T) error {
	if w.open == nil {
		open, err := createPart(w.dir, w.next)
		if err != nil {
			return err
		}
		w.open = open
		w.next.seq++
	}
	w.line = append(w.format(w.line[:0], record), '\n')
	return w.open.write(w.line)
}

// PreCommit makes the open file durable under its pending name.
func (w *writer[T]) PreCommit(_ context.Context, id checkpoint.ID) ([]byte, error) {
	if w.open == nil {
		return nil, nil
	}
	if err := w.open.finish(); err != nil {
		return nil, fmt.Errorf("checkpoint %d: output file %s: %w", id, w.open.part, err)
	}
	handle := []byte(w.open.part.String())
	w.open = nil
	return handle, nil
}

// Commit gives a pending file its final name.
func (w *writer[T]) Commit(_ context.Context, handle []byte) error {
	p, err := parsePart(string(handle))
	if err != nil {
		return err
	}
	return commitPart(w.dir, p)
}

// Close removes the file that is being written; pending files stay.
func (w *writer[T]) Close() error {
	if w.open == nil {
		return nil
	}
	err := w.open.abort()
	w.open = nil
	return err
}

// makeDir creates a directory and those above it, durably. Several subtasks may do so at once.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}
