package dataflow

// What has expired and is never looked at again has to go, too, or the store would grow for ever. So every so many
// writes to a table with a TTL look at a few of its rows, one after the other, round and round: more than are written,
// so that each row's turn comes. Of a list the elements go that have expired.
//
// A row may be far larger than what is written to it, as an element is to its list. So bytes that are looked at are paid
// with bytes that are written, and the next look waits until they are: looking costs no more than a few times the
// writing, and a list whose elements expire becomes no more than a fraction longer than what is live of it.
const (
	sweepEvery  = 64       // writes
	sweepRows   = 192      // looked at each time
	sweepGroups = 16       // key groups looked into each time, at most
	sweepBytes  = 64 << 10 // behind so many, no further row is looked at
	sweepPays   = 4        // bytes that may be looked at for each that is written
)

// rowSweep is how far a table's sweep has come.
type rowSweep struct {
	writes int
	owed   int    // bytes looked at for which none have been written yet
	from   []byte // the next row to look at; empty at the beginning of a key group
	group  int    // less the first one of the subtask
}

// wrote counts a write of so many bytes, and sweeps when it is time. It uses none of the table's scratch for the current
// key.
func (t *rowTable[K]) wrote(bytes int) {
	if t.kind&tableExpires == 0 {
		return
	}
	s := &t.sweep
	s.owed = max(0, s.owed-sweepPays*bytes)
	if s.writes++; s.writes >= sweepEvery && s.owed == 0 {
		s.writes = 0
		t.sweepRows(t.state.nowMillis())
	}
}

// sweepRows looks at the next rows and removes what has expired by now.
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
		if looked == most || t.sweep.owed >= sweepBytes {
			t.sweep.from = append(t.sweep.from[:0], rows.Row()...)
			return looked, false
		}
		looked++
		value := rows.Value()
		t.sweep.owed += len(rows.Row()) + len(value)
		var some bool
		scratch, some, err = t.format.trim(scratch[:0], value, now)
		switch t.state.note(t.name, err); {
		case err != nil:
		case !some:
			t.delete(rows.Row())
		case len(scratch) < len(value):
			t.state.note(t.name, t.state.rows.Put(rows.Row(), scratch))
		}
	}
	return looked, true
}
