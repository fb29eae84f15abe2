package dataflow

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"cairn/checkpoint"
)

// stateReader reads the parts of a handle's content. Lengths are checked against size, so that damaged ones
// cannot make it allocate more than the handle has.
type stateReader struct {
	content contentReader
	in      *bufio.Reader // of content
	size    uint64
	version byte
}

// contentReader is a handle's content.
type contentReader interface {
	io.Reader
	// skip passes over the next n bytes.
	skip(n int) error
	// close ends the reading, which need not have come to the end.
	close()
}

// newStateReader returns a reader of the content, which the caller closes. It has closed the content when it fails.
func newStateReader(content contentReader, size int64, magic string, newest byte) (_ *stateReader, err error) {
	defer func() {
		if err != nil {
			content.close()
		}
	}()
	r := &stateReader{content: content, in: bufio.NewReader(content), size: uint64(size)}
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return nil, fmt.Errorf("%w: its head cannot be read: %w", errState, err)
	}
	if !bytes.Equal(head[:len(magic)], []byte(magic)) {
		return nil, fmt.Errorf("%w: it begins with %q, want %q", errState, head[:len(magic)], magic)
	}
	r.version = head[len(magic)]
	if r.version == 0 || r.version > newest {
		return nil, fmt.Errorf("%w: format %d, this build reads those up to %d", errState, r.version, newest)
	}
	return r, nil
}

// close ends the reading.
func (r *stateReader) close() { r.content.close() }

// number reads a varint that counts or measures something within the content.
func (r *stateReader) number() (int, error) {
	n, err := binary.ReadUvarint(r.in)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errState, err)
	}
	if n > r.size {
		return 0, fmt.Errorf("%w: %d in a content of %d bytes", errState, n, r.size)
	}
	return int(n), nil
}

// sized reads a length and as many bytes.
func (r *stateReader) sized() ([]byte, error) {
	n, err := r.number()
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.in, b); err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	return b, nil
}

func (r *stateReader) atEnd() bool {
	_, err := r.in.Peek(1)
	return errors.Is(err, io.EOF)
}

// skip passes over a length and as many bytes.
func (r *stateReader) skip() error {
	n, err := r.number()
	if err != nil {
		return err
	}
	buffered := min(n, r.in.Buffered())
	if _, err := r.in.Discard(buffered); err != nil {
		return err
	}
	if err := r.content.skip(n - buffered); err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	return nil
}

// list returns some of the entries of a list; the zero value of take means all. expected is their number in the
// content, unless that is not known.
func (r *stateReader) list(expected int, take checkpoint.EntryRange) ([][]byte, error) {
	count, err := r.number()
	if err != nil {
		return nil, err
	}
	if expected != checkpoint.UnknownEntries && count != expected {
		return nil, fmt.Errorf("%w: %d entries, want %d", errState, count, expected)
	}
	if take == (checkpoint.EntryRange{}) {
		take.Count = count
	}
	if take.First > count || take.Count > count-take.First {
		return nil, fmt.Errorf("%w: %d entries, want %d from %d on", errState, count, take.Count, take.First)
	}
	for range take.First {
		if err := r.skip(); err != nil {
			return nil, err
		}
	}
	entries := make([][]byte, 0, take.Count)
	for range take.Count {
		e, err := r.sized()
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	if take.Count == count && !r.atEnd() {
		return nil, fmt.Errorf("%w: bytes behind %d entries", errState, count)
	}
	return entries, nil
}

// loadFunc takes in the rows of one key group of one table.
type loadFunc func(group int, table string, kind tableKind, count int, rows []byte) error

// keyed reads shard after shard and passes those of the given key groups to load.
func (r *stateReader) keyed(groups checkpoint.KeyGroupRange, load loadFunc) error {
	for !r.atEnd() {
		group, err := r.group()
		if err != nil {
			return err
		}
		table, err := r.sized()
		if err != nil {
			return err
		}
		kind, err := r.shardKind()
		if err != nil {
			return err
		}
		count, err := r.number()
		if err != nil {
			return err
		}
		if !groups.Contains(group) {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		rows, err := r.sized()
		if err != nil {
			return err
		}
		if err := load(group, string(table), kind, count, rows); err != nil {
			return err
		}
	}
	return nil
}

// shardKind reads the kind of a shard's table.
func (r *stateReader) shardKind() (tableKind, error) {
	if r.version == 1 {
		return tableOfValues, nil
	}
	return r.tableKind()
}

func (r *stateReader) tableKind() (tableKind, error) {
	b, err := r.in.ReadByte()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errState, err)
	}
	return tableKind(b), nil
}

func (r *stateReader) group() (int, error) {
	group, err := binary.ReadUvarint(r.in)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errState, err)
	case group >= checkpoint.MaxMaxParallelism:
		return 0, fmt.Errorf("%w: key group %d", errState, group)
	}
	return int(group), nil
}
