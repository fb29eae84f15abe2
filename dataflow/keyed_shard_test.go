package dataflow

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// shardHashes are hashes of keys, good ones and ones of a user with bad luck, or bad intentions.
var shardHashes = map[string]func(uint64) uint64{
	"spread":        func(k uint64) uint64 { return (k ^ k>>7) * 0x9e3779b97f4a7c15 },
	"same pages":    func(k uint64) uint64 { return k << 16 },
	"same homes":    func(k uint64) uint64 { return k << 40 },
	"all the same":  func(uint64) uint64 { return 1 << 63 },
	"in few places": func(k uint64) uint64 { return k % 5 * 0x9e3779b97f4a7c15 },
}

// newTestShard returns a shard of counts, the only one of its table.
func newTestShard(hash func(uint64) uint64) *shard[uint64, uint64, int64] {
	state := newKeyedState(codec.Uint64, checkpoint.KeyGroupRange{}, 1, time.Now)
	format := &valueFormat[uint64, int64]{keys: codec.Uint64, values: codec.Int64}
	return &newMemoryTable(state, "count", tableOfValues, format, hash).shards[0]
}

// shardModel is a shard beside a plain map of what it should hold.
type shardModel struct {
	s     *shard[uint64, uint64, int64]
	rows  map[uint64]int64
	taken []*takenShard
}

// takenShard is a capture, what it should hold, and how far it has been served.
type takenShard struct {
	*capturedShard
	rows  map[uint64]int64
	at    uint64
	block int
}

func (m *shardModel) put(k uint64, v int64) {
	c, added := m.s.upsert(m.s.table.hash(k), k)
	if _, had := m.rows[k]; had == added {
		panic(fmt.Sprintf("row %d: added %v, had %v", k, added, had))
	}
	*c, m.rows[k] = v, v
}

func (m *shardModel) delete(k uint64) {
	m.s.delete(m.s.table.hash(k), k)
	delete(m.rows, k)
}

// change does things at random to rows below a limit.
func (m *shardModel) change(rng *rand.Rand, steps int, limit uint64) {
	deletes := rng.IntN(4) // of 4 steps
	for range steps {
		if k := rng.Uint64N(limit); rng.IntN(4) < deletes {
			m.delete(k)
		} else {
			m.put(k, rng.Int64N(1000))
		}
	}
}

func (m *shardModel) capture() {
	if m.s.pages.rows > 0 {
		m.taken = append(m.taken, &takenShard{capturedShard: m.s.capture(0, 0), rows: maps.Clone(m.rows)})
	}
}

// serveSome lets the upload of a capture come some blocks further.
func (m *shardModel) serveSome(c *takenShard, blocks int) {
	for range blocks {
		next, n := m.s.serveNext(c.capturedShard, c.at, c.block)
		if c.block++; c.block < n {
			continue
		}
		if next == 0 {
			return // serve finds nothing left to do
		}
		c.at, c.block = next, 0
	}
}

// finish serves the rest of a capture and compares it.
func (m *shardModel) finish(t fatal, c *takenShard) {
	t.Helper()
	m.taken = slices.DeleteFunc(m.taken, func(other *takenShard) bool { return other == c })
	c.serve()
	got, rest := make(map[uint64]int64), c.data
	for range c.count {
		k, n, keyErr := codec.Uint64.Decode(rest)
		v, size, valueErr := codec.Int64.Decode(rest[n:])
		if _, twice := got[k]; twice || keyErr != nil || valueErr != nil {
			t.Fatalf("row %d: twice %v, %v, %v", k, twice, keyErr, valueErr)
		}
		got[k], rest = v, rest[n+size:]
	}
	if len(rest) != 0 || !maps.Equal(got, c.rows) {
		t.Fatalf("a capture of %d rows has %d others, and %d bytes behind them", len(c.rows), len(got), len(rest))
	}
	c.recycle()
}

// check compares the rows, those found by key and those gone through, up to a limit of keys.
func (m *shardModel) check(t fatal, limit uint64) {
	t.Helper()
	for k := range limit {
		got, found := m.s.get(m.s.table.hash(k), k)
		want, has := m.rows[k]
		same(t, fmt.Sprint(k), "row", pairOf(got, found), pairOf(want, has))
	}
	all := slices.Sorted(m.s.pages.each())
	if want := slices.Sorted(maps.Keys(m.rows)); !slices.Equal(all, want) || m.s.pages.rows != len(want) {
		t.Fatalf("%d rows are gone through, %d counted, want %d", len(all), m.s.pages.rows, len(want))
	}
}

// TestShardAgainstModel does things at random to a shard and to a plain map, with captures that are served bit by bit,
// as a whole, or given up, at any time.
func TestShardAgainstModel(t *testing.T) {
	for name, hash := range shardHashes {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := &shardModel{s: newTestShard(hash), rows: make(map[uint64]int64)}
				limit := rapid.SampledFrom([]uint64{10, 300, 3000}).Draw(t, "keys")
				rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
				switch name {
				case "all the same", "in few places":
					limit = min(limit, 400) // each search goes through all of them
				case "same homes":
					limit = min(limit, 1000)
				}
				t.Repeat(map[string]func(*rapid.T){
					"few":  func(t *rapid.T) { m.change(rng, 3, limit) },
					"many": func(t *rapid.T) { m.change(rng, int(limit), limit) },
					"capture": func(t *rapid.T) {
						if len(m.taken) < 4 {
							m.capture()
						}
					},
					"serve some": func(t *rapid.T) {
						if len(m.taken) > 0 {
							m.serveSome(rapid.SampledFrom(m.taken).Draw(t, "of"), rapid.IntRange(1, 50).Draw(t, "blocks"))
						}
					},
					"finish": func(t *rapid.T) {
						if len(m.taken) > 0 {
							m.finish(t, rapid.SampledFrom(m.taken).Draw(t, "which"))
						}
					},
					"drop": func(t *rapid.T) {
						if len(m.taken) > 0 {
							m.taken[0].drop()
							m.taken = m.taken[1:]
						}
					},
				})
				m.check(t, limit)
				for len(m.taken) > 0 {
					m.finish(t, m.taken[len(m.taken)-1])
				}
				if n := len(m.s.mu.captures); n != 0 {
					t.Fatalf("%d captures still wait", n)
				}
			})
		})
	}
}

// TestWriteServesOneBlock: behind a capture a write pays for its own block, not for the others, and once.
func TestWriteServesOneBlock(t *testing.T) {
	m := &shardModel{s: newTestShard(shardHashes["spread"]), rows: make(map[uint64]int64)}
	for k := range uint64(10_000) {
		m.put(k, 1)
	}
	m.capture()
	c := m.taken[0]
	m.put(77, 2)
	once := c.count
	if once < 1 || once > blockSlots {
		t.Errorf("a write serializes %d rows, want those of one block, at most %d", once, blockSlots)
	}
	m.put(77, 3)
	if c.count != once {
		t.Errorf("the second write to a block serializes %d rows", c.count-once)
	}
	m.finish(t, c)
}

// TestRemovedRowsLeaveNothingBehind: rows that come and go need no more room than those that are there at a time, and no
// memory.
func TestRemovedRowsLeaveNothingBehind(t *testing.T) {
	s := newTestShard(shardHashes["spread"])
	next := uint64(0)
	turn := func() {
		c, _ := s.upsert(s.table.hash(next), next)
		*c = 1
		if next >= 100 {
			s.delete(s.table.hash(next-100), next-100)
		}
		next++
	}
	for range 1000 {
		turn()
	}
	if n := testing.AllocsPerRun(10_000, turn); n != 0 {
		t.Errorf("%v allocations for a row that comes and one that goes", n)
	}
	if p := s.pages.of(0); len(s.pages.directory) != 1 || len(p.tags) > 256 {
		t.Errorf("%d pages, the first with %d slots, for 100 rows", len(s.pages.directory), len(p.tags))
	}
}

// TestHashesThatBeginAlike: the directory does not grow for rows that it cannot tell apart.
func TestHashesThatBeginAlike(t *testing.T) {
	for name, hash := range shardHashes {
		m := &shardModel{s: newTestShard(hash), rows: make(map[uint64]int64)}
		for k := range uint64(4000) {
			m.put(k, int64(k))
		}
		if ways := len(m.s.pages.directory); ways > 2*4000 {
			t.Errorf("%s: a directory of %d for 4000 rows", name, ways)
		}
		m.check(t, 4000)
	}
}
