package dataflow

import (
	"encoding/binary"
	"errors"
)

// The content of a handle begins with a magic of its kind and a version, so that foreign or newer bytes are
// refused. Behind it:
//
//	list state:   count, then for each entry its length and its bytes
//	keyed state:  for each shard, until the end: key group, length of the table's name, name, kind of the table,
//	              number of rows, length of the rows, rows (tableKind says what is in one)
//	channel state: for each frame, in order: index of the subtask at the other end, its length, its bytes
//
// Numbers are varints. The content is cut into chunks at arbitrary places.
const (
	listMagic    = "CRNL"
	keyedMagic   = "CRNK"
	channelMagic = "CRNC"

	listFormatVersion = 1
	// In version 1 all tables were of single values, and their kind was not written.
	keyedFormatVersion   = 2
	channelFormatVersion = 1

	maxChunkSize = 8 << 20
)

// errState says that restored bytes do not follow the format.
var errState = errors.New("malformed state")

func (w *chunkWriter) writeList(entries [][]byte) error {
	b := binary.AppendUvarint(append([]byte(listMagic), listFormatVersion), uint64(len(entries)))
	for _, e := range entries {
		b = append(binary.AppendUvarint(b, uint64(len(e))), e...)
		if err := w.write(b); err != nil {
			return err
		}
		b = b[:0]
	}
	return w.write(b)
}

func (w *chunkWriter) writeKeyed(c capturedKeyed) error {
	w.expect(c.size())
	if err := w.write(append([]byte(keyedMagic), keyedFormatVersion)); err != nil {
		return err
	}
	for _, s := range c.shards {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		s.serve()
		if err := w.writeShard(s); err != nil {
			return err
		}
		s.recycle()
	}
	return nil
}

// writeShard writes a shard that has been serialized.
func (w *chunkWriter) writeShard(s *capturedShard) error {
	head := binary.AppendUvarint(nil, uint64(s.group))
	head = append(binary.AppendUvarint(head, uint64(len(s.table))), s.table...)
	head = binary.AppendUvarint(append(head, byte(s.kind)), uint64(s.count))
	head = binary.AppendUvarint(head, uint64(len(s.data)))
	return errors.Join(w.write(head), w.write(s.data))
}
