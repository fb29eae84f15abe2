package pebblestate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/dataflow/rowstore"
)

// Open implements rowstore.Backend. The largest part becomes the store: the rows that are not wanted are excised, by
// span, whatever their number. The rows of the other parts, whose spans are others, are copied into tables as they are
// and put beside them.
func (b *Backend) Open(dir string, parts []rowstore.Part, fail func(error)) (opened rowstore.Store, err error) {
	s := newStore(dir, b.opts.MemTableSize, fail)
	largest := -1
	for i, p := range parts {
		if largest < 0 || p.Size() > parts[largest].Size() {
			largest = i
		}
	}
	if largest >= 0 {
		if err := moveFiles(parts[largest], dir); err != nil {
			return nil, err
		}
	}
	o := b.options(dir, s.fault, s.made)
	if s.db, err = pebble.Open(dir, o); err != nil {
		return nil, s.fault.or(err)
	}
	defer func() {
		if err = s.fault.or(err); err != nil {
			opened, err = nil, errors.Join(err, s.Close())
		}
	}()
	if largest >= 0 {
		if err := keepSpan(s.db, parts[largest]); err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", largest+1, len(parts), err)
		}
	}
	for i, p := range parts {
		if i == largest {
			continue
		}
		if err := copySpan(s.db, o, p); err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", i+1, len(parts), err)
		}
	}
	return s, nil
}

// moveFiles makes the files of a part those of a store to be opened.
func moveFiles(p rowstore.Part, dir string) error {
	for _, f := range p.Files {
		if err := os.Rename(filepath.Join(p.Dir, f.Name), filepath.Join(dir, f.Name)); err != nil {
			return err
		}
	}
	return nil
}

// The rows of all key groups lie between these two.
var (
	firstRow = []byte{0}
	lastRow  = []byte{0xff, 0xff, 0xff}
)

// keepSpan removes the rows that are not to be restored.
func keepSpan(db *pebble.DB, p rowstore.Part) error {
	if p.All {
		return nil
	}
	return errors.Join(
		db.Excise(context.Background(), pebble.KeyRange{Start: firstRow, End: p.From}),
		db.Excise(context.Background(), pebble.KeyRange{Start: p.To, End: lastRow}),
	)
}

// copySpan copies the rows to be restored into tables, which db takes over as they are.
func copySpan(db *pebble.DB, options *pebble.Options, p rowstore.Part) (err error) {
	reading := options.Clone()
	reading.ReadOnly = true
	from, err := pebble.Open(p.Dir, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	rows, err := scanOf(from, p.From, p.To)
	if err != nil {
		return err
	}
	tables := &tableWriter{options: options.Clone(), dir: p.Dir}
	tables.options.EnsureDefaults()
	for err == nil && rows.Next() {
		err = tables.add(rows.Row(), rows.Value())
	}
	if err = errors.Join(err, rows.Close(), tables.finish()); err != nil || len(tables.paths) == 0 {
		return err
	}
	return db.Ingest(context.Background(), tables.paths)
}

// tableWriter writes rows, which come in order, into tables.
type tableWriter struct {
	options *pebble.Options
	dir     string
	table   *sstable.Writer // nil when the next row begins a new one
	size    int
	paths   []string // of all tables
}

func (w *tableWriter) add(row, value []byte) error {
	if w.table == nil {
		path := filepath.Join(w.dir, fmt.Sprintf("copied-%d.sst", len(w.paths)))
		file, err := w.options.FS.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		w.paths, w.size = append(w.paths, path), 0
		w.table = sstable.NewWriter(objstorageprovider.NewFileWritable(file), w.options.MakeWriterOptions(0, format.MaxTableFormat()))
	}
	w.size += len(row) + len(value)
	err := w.table.Set(row, value)
	if w.size >= tableSize {
		err = errors.Join(err, w.finish())
	}
	return err
}

// finish ends the table that is being written.
func (w *tableWriter) finish() error {
	if w.table == nil {
		return nil
	}
	table := w.table
	w.table = nil
	return table.Close()
}
