package dataflow

// What has expired and is never looked at again has to go, too, or the store would grow for ever. So every so many
// writes to a table with a TTL look at a few of its rows, one after the other, round and round: more than are written,
// so that each row's turn comes.
const (
	sweepEvery  = 64  // writes
	sweepRows   = 192 // looked at each time
	sweepGroups = 16  // key groups looked into each time, at most
)

// rowSweep is how far a table's sweep has come.
type rowSweep struct {
	writes int
	from   []byte // the next row to look at; empty at the beginning of a key group
	group  int    // less the first one of the subtask
}

// wrote counts a write, and sweeps when it is time. It uses none of the table's scratch for the current key.
func (t *rowTable[K]) wrote() {
	if t.kind&tableExpires == 0 {
		return
	}
	if t.sweep.writes++; t.sweep.writes >= sweepEvery {
		t.sweep.writes = 0
		t.sweepRows(t.state.nowMillis())
	}
}

// sweepRows looks at the next rows and removes those that have expired by now.
func (t *rowTable[K]) sweepRows(now int64) {
	s := &t.sweep
	left := sweepRows
	for range min(sweepGroups, t.state.groups.Len()) {
		prefix := t.head(nil, t.state.groups.First+s.group)
		if len(s.from) == 0 {
			s.from = append(s.from, prefix...)
		}
		n, done := t.sweepSpan(s.from, afterPrefix(nil, prefix), left, now)
		if left -= n; !done {
			return
		}
		s.from, s.group = s.from[:0], (s.group+1)%t.state.groups.Len()
	}
}

// sweepSpan looks at most rows, and notes where it has stopped. done says that it has come to the end.
func (t *rowTable[K]) sweepSpan(from, to []byte, most int, now int64) (looked int, done bool) {
	rows, err := t.state.rows.Scan(from, to)
	if err != nil {
		t.state.note(t.name, err)
		return 0, false
	}
	defer func() { t.state.note(t.name, rows.Close()) }()
	var scratch []byte
	for rows.Next() {
		if looked == most {
			t.sweep.from = append(t.sweep.from[:0], rows.Row()...)
			return looked, false
		}
		looked++
		var some bool
		scratch, some, err = t.format.join(scratch[:0], rows.Row()[rowHead:], rows.Value(), now)
		if t.state.note(t.name, err); err == nil && !some {
			t.delete(rows.Row())
		}
	}
	return looked, true
}
