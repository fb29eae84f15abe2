package dataflow

import (
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// rowBytes are the bytes of all rows of an operator, of which it decodes none.
func rowBytes(t *testing.T, o *keyedOperator[string]) (n int) {
	t.Helper()
	rows, err := o.keyed.rows.Scan(rowSpan(o.keyed.groups))
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		n += len(rows.Row()) + len(rows.Value())
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestListsThatNobodyReadsAreTrimmed: elements that have expired leave lists which are only appended to, whether those are
// few and long or many and short, and the files of captures do not grow either.
func TestListsThatNobodyReadsAreTrimmed(t *testing.T) {
	const (
		ttl    = time.Second
		live   = 2000 // elements that are written within the TTL
		rounds = 12   // of the TTL
	)
	for _, keys := range []int{1, 10, 1000} {
		t.Run(fmt.Sprint(keys, " keys"), func(t *testing.T) {
			store := newMemoryStore()
			now := time.UnixMilli(1_700_000_000_000)
			o := keyedOperatorIn(rowHome{backend: newPebble(t), dir: t.TempDir()}, 0, 1, 16, func() time.Time { return now })
			var list *ListState[string, []byte]
			openOperator(t, o, store, checkpoint.SubtaskState{}, func(ctx *ProcessContext[string]) {
				list = NewListState(ctx, "seen", codec.Bytes, TTL(ttl))
			})
			defer closeOperator(t, o)
			element := make([]byte, 100)
			var most, captured int64
			for i := range live * rounds {
				now = now.Add(ttl / live)
				if err := o.keyed.setKey(fmt.Sprint("key ", i*7919%keys)); err != nil {
					t.Fatal(err)
				}
				list.Add(element)
				if o.chain.err != nil {
					t.Fatal(o.chain.err)
				}
				if i%live == live-1 && i >= 5*live {
					most = max(most, int64(rowBytes(t, o)))
					captured = max(captured, uploadSnapshot(t, captureOperator(t, o, barrier(checkpoint.ID(i))), store, 0).Size())
				}
			}
			const is = live * 110 // bytes of what is live, give or take
			if most > 3*is {
				t.Errorf("the rows take up to %d bytes, what is live of them %d", most, is)
			}
			if captured > 8*is { // Pebble keeps some of what was written over until it merges its files
				t.Errorf("captures take up to %d bytes, what is live %d", captured, is)
			}
			t.Logf("live %d, rows up to %d, captures up to %d", is, most, captured)
			if err := o.keyed.setKey("key 0"); err != nil {
				t.Fatal(err)
			}
			kept := 0
			for range list.All() {
				kept++
			}
			if kept == 0 || kept > live {
				t.Errorf("the last list has %d live elements", kept)
			}
		})
	}
}

// TestSweepIsPaidByWrites: a long list whose elements live is not looked at with every few elements that are added.
func TestSweepIsPaidByWrites(t *testing.T) {
	o := keyedOperatorIn(rowHome{backend: newPebble(t), dir: t.TempDir()}, 0, 1, 1, time.Now)
	var list *ListState[string, []byte]
	openOperator(t, o, newMemoryStore(), checkpoint.SubtaskState{}, func(ctx *ProcessContext[string]) {
		list = NewListState(ctx, "seen", codec.Bytes, TTL(time.Hour))
	})
	defer closeOperator(t, o)
	if err := o.keyed.setKey("key"); err != nil {
		t.Fatal(err)
	}
	table := o.keyed.tables[0].(rowLists[string, stamped[[]byte]]).rowTable
	element, written, looked, owed := make([]byte, 100), 0, 0, 0
	for range 20_000 {
		list.Add(element)
		written += 100
		if table.sweep.owed > owed {
			looked += table.sweep.owed - owed
		}
		owed = table.sweep.owed
	}
	if looked == 0 || looked > 2*sweepPays*written {
		t.Errorf("%d bytes were looked at for %d that were written", looked, written)
	}
}
