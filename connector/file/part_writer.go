package file

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const writeBufferSize = 64 << 10

// partWriter writes one part. It belongs to one goroutine.
type partWriter struct {
	dir  string
	part part
	file *os.File
	buf  countedWriter
	gzip *gzip.Writer // nil for a part that is not compressed
	born time.Time
	used uint64 // counts the writer's records: when this part got its last one
}

// countedWriter knows how long the file is, or will be when it is flushed.
type countedWriter struct {
	*bufio.Writer
	bytes int64
}

func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.bytes += int64(n)
	return n, err
}

// gzipWriters are large: nearly a megabyte each.
var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// createPart starts a part, in a directory that is there. A file of that name from elsewhere is never written over.
func createPart(dir string, p part) (*partWriter, error) {
	f, err := os.OpenFile(p.in(dir)+inProgressSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	w := &partWriter{dir: dir, part: p, file: f, buf: countedWriter{Writer: bufio.NewWriterSize(f, writeBufferSize)}}
	if filepath.Ext(p.suffix) == gzipSuffix {
		w.gzip = gzipWriters.Get().(*gzip.Writer)
		w.gzip.Reset(&w.buf)
	}
	return w, nil
}

func (w *partWriter) write(record []byte) error {
	if w.gzip != nil {
		_, err := w.gzip.Write(record)
		return err
	}
	_, err := w.buf.Write(record)
	return err
}

// size returns the length of the file so far, without what is still being compressed.
func (w *partWriter) size() int64 { return w.buf.bytes }

// finish makes the part's bytes durable and gives it its pending name. The name is durable after syncDirs.
func (w *partWriter) finish() error {
	var compressed error
	if w.gzip != nil {
		compressed = w.gzip.Close()
	}
	if err := errors.Join(compressed, w.buf.Flush(), w.file.Sync(), w.file.Close()); err != nil {
		return err
	}
	w.releaseGzip()
	final := w.part.in(w.dir)
	return os.Rename(final+inProgressSuffix, final+pendingSuffix)
}

// abort gives the part up.
func (w *partWriter) abort() error {
	closed := w.file.Close()
	if errors.Is(closed, fs.ErrClosed) {
		closed = nil // finish got as far as closing it
	}
	w.releaseGzip()
	return errors.Join(closed, abortPart(w.dir, w.part))
}

func (w *partWriter) releaseGzip() {
	if w.gzip != nil {
		gzipWriters.Put(w.gzip)
		w.gzip = nil
	}
}
