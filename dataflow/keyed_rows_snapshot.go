package dataflow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/rowstore"
)

// capturedRows are the rows of an operator's store as a snapshot captured them, to be written in the canonical format,
// which any backend reads.
type capturedRows struct {
	groups checkpoint.KeyGroupRange
	tables []rowTableInfo
	rows   rowstore.Snapshot
	now    int64 // processing time of the capture
}

// rowTableInfo is a table as a goroutine other than the task's sees it.
type rowTableInfo struct {
	name   string
	kind   tableKind
	format rowFormat
}

func (t *rowTable[K]) info() rowTableInfo { return rowTableInfo{t.name, t.kind, t.format} }

// infos are the tables of keyed state on disk.
func (s *keyedState[K]) infos() []rowTableInfo {
	infos := make([]rowTableInfo, len(s.tables))
	for i, t := range s.tables {
		infos[i] = t.(interface{ info() rowTableInfo }).info()
	}
	return infos
}

// maxShardSize bounds how much of a key group is written at a time: its rows may be more than memory.
const maxShardSize = 1 << 20

// writeRows writes rows in the canonical format. A key group of a table may come in several parts.
func (w *chunkWriter) writeRows(c capturedRows) error {
	if err := w.write(append([]byte(keyedMagic), keyedFormatVersion)); err != nil {
		return err
	}
	for group := c.groups.First; group <= c.groups.Last; group++ {
		for _, t := range c.tables {
			if err := w.writeTable(c, group, t); err != nil {
				return fmt.Errorf("state %s: %w", t.name, err)
			}
		}
	}
	return nil
}

func (w *chunkWriter) writeTable(c capturedRows, group int, t rowTableInfo) (err error) {
	prefix := binary.BigEndian.AppendUint32(appendGroup(nil, group), tableID(t.name))
	rows, err := c.rows.Scan(prefix, afterPrefix(nil, prefix))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	s := capturedShard{table: t.name, kind: t.kind, group: group}
	for rows.Next() {
		var some bool
		if s.data, some, err = t.format.join(s.data, rows.Row()[rowHead:], rows.Value(), c.now); err != nil {
			return err
		}
		if some {
			s.count++
		}
		if len(s.data) >= maxShardSize {
			if err := errors.Join(w.ctx.Err(), w.writeShard(&s)); err != nil {
				return err
			}
			s.data, s.count = s.data[:0], 0
		}
	}
	if s.count == 0 {
		return w.ctx.Err()
	}
	return w.writeShard(&s)
}

// captureRows adds what is in the store to a snapshot: in the canonical format to a savepoint, otherwise as files.
// Nothing is added when the store is empty.
func (o *keyedOperator[K]) captureRows(s *snapshot) error {
	empty, err := o.keyed.empty()
	if err != nil || empty {
		return err
	}
	id, groups := o.chain.ids[o.at], o.keyed.groups
	if s.barrier.Kind == checkpoint.KindSavepoint {
		rows, err := o.keyed.rows.Snapshot()
		if err != nil {
			return err
		}
		s.addRows(id, capturedRows{groups: groups, tables: o.keyed.infos(), rows: rows, now: o.keyed.nowMillis()})
		return nil
	}
	capture, err := o.keyed.rows.Capture()
	if err != nil {
		return err
	}
	s.addRowFiles(id, capturedFiles{groups: groups, tables: o.keyed.infos(), capture: capture, stored: o.stored, full: s.barrier.Full})
	return nil
}

// empty reports whether the store has no rows.
func (s *keyedState[K]) empty() (bool, error) {
	rows, err := s.rows.Scan(rowSpan(s.groups))
	if err != nil {
		return false, err
	}
	some := rows.Next()
	return !some, rows.Close()
}
