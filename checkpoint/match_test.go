package checkpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// chain returns a vertex of the given operators.
func chain(parallelism, maxParallelism int, ops ...OperatorID) Vertex {
	return Vertex{ID: VertexID(ops[0]), Operators: ops, Parallelism: parallelism, MaxParallelism: maxParallelism}
}

// line returns a job whose vertices follow one another.
func line(vertices ...Vertex) Topology {
	t := Topology{Vertices: vertices}
	for i := range len(vertices) - 1 {
		t.Edges = append(t.Edges, Edge{From: i, To: i + 1, Partitioning: Hash})
	}
	return t
}

// chunk returns a chunk that is named by what it holds.
func chunk(size int64, parts ...any) []ChunkRef {
	var id ChunkID
	copy(id[:], fmt.Sprint(parts...))
	return []ChunkRef{{ID: id, Size: size}}
}

func keyed(op OperatorID, s, maxP, p int) Handle {
	return Handle{Operator: op, Kind: KeyedState, KeyGroups: RangeOf(s, maxP, p), Chunks: chunk(100, op, "/", s)}
}

func list(op OperatorID, kind HandleKind, s, entries int) Handle {
	return Handle{Operator: op, Name: kind.String(), Kind: kind, Entries: entries, Chunks: chunk(1000, op, "/", kind, "/", s)}
}

// manifestOf returns the manifest of a job; state gives each operator's handles on each subtask.
func manifestOf(state func(v Vertex, op OperatorID, index int) []Handle, vertices ...Vertex) Manifest {
	m := Manifest{Job: JobID{1}, ID: 7, Vertices: vertices}
	for _, v := range vertices {
		for i := range v.Parallelism {
			s := SubtaskState{Subtask: SubtaskID{Vertex: v.ID, Index: i}}
			for _, op := range v.Operators {
				s.Handles = append(s.Handles, state(v, op, i)...)
			}
			m.Subtasks = append(m.Subtasks, s)
		}
	}
	return m
}

func keyedEverywhere(v Vertex, op OperatorID, i int) []Handle {
	return []Handle{keyed(op, i, v.MaxParallelism, v.Parallelism)}
}

func listEverywhere(_ Vertex, op OperatorID, i int) []Handle {
	return []Handle{list(op, ListState, i, 3)}
}

func mustMatch(t testing.TB, m Manifest, topology Topology) Match {
	t.Helper()
	match, err := MatchState(m, topology, false)
	if err != nil {
		t.Fatal(err)
	}
	return match
}

// Whatever the parallelism was and becomes, each key group is read once, by its new owner, from the chunk that has it.
func TestR1_EachKeyGroupArrivesOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		maxP := rapid.IntRange(1, 300).Draw(t, "maxParallelism")
		was, is := rapid.IntRange(1, maxP).Draw(t, "was"), rapid.IntRange(1, maxP).Draw(t, "is")
		m := manifestOf(keyedEverywhere, chain(was, maxP, "count"))
		match, err := MatchState(m, line(chain(is, maxP, "count")), false)
		if err != nil {
			t.Fatal(err)
		}
		owner := make(map[int]int)
		for i, s := range match.Subtasks {
			for _, h := range s.Handles {
				for group := h.KeyGroups.First; group <= h.KeyGroups.Last; group++ {
					if before, twice := owner[group]; twice {
						t.Fatalf("key group %d arrives at %d and at %d", group, before, i)
					}
					owner[group] = i
					if OwnerOf(group, maxP, is) != i {
						t.Fatalf("key group %d arrives at %d", group, i)
					}
					if want := keyed("count", OwnerOf(group, maxP, was), maxP, was).Chunks; !slices.Equal(h.Chunks, want) {
						t.Fatalf("key group %d is read from %v, it is in %v", group, h.Chunks, want)
					}
				}
			}
		}
		if len(owner) != maxP {
			t.Fatalf("%d of %d key groups arrive", len(owner), maxP)
		}
	})
}

// entryOf is an entry of a list: its position in the content that a chunk names.
type entryOf struct {
	chunk ChunkID
	at    int
}

// entriesOf returns what a subtask reads of a kind, in order.
func entriesOf(t *testing.T, s SubtaskState, kind HandleKind) (entries []entryOf, handles int) {
	for _, h := range s.Handles {
		if h.Kind != kind {
			continue
		}
		handles++
		take := h.Take
		if take == (EntryRange{}) {
			take.Count = h.Entries
		}
		if take.First < 0 || take.First+take.Count > h.Entries || take.Count > 0 && len(h.Chunks) != 1 {
			t.Fatalf("%+v asks for entries that are not there", h)
		}
		for at := range take.Count {
			entries = append(entries, entryOf{h.Chunks[0].ID, take.First + at})
		}
	}
	return entries, handles
}

func TestR4_RandomRedistributions(t *testing.T) {
	kinds := []HandleKind{ListState, UnionState, BroadcastState}
	uneven := 0
	for seed := range uint64(10_000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		was, is := 1+rng.IntN(9), 1+rng.IntN(13)
		m := manifestOf(func(_ Vertex, op OperatorID, i int) []Handle {
			var all []Handle
			for _, kind := range kinds {
				if rng.IntN(4) > 0 {
					all = append(all, list(op, kind, i, rng.IntN(6)))
				}
			}
			return all
		}, chain(was, 128, "op"))
		match := mustMatch(t, m, line(chain(is, 128, "op")))
		before := make(map[HandleKind][]entryOf)
		parts := make(map[HandleKind]int)
		for _, s := range m.Subtasks {
			for _, kind := range kinds {
				entries, handles := entriesOf(t, s, kind)
				before[kind] = append(before[kind], entries...)
				parts[kind] += handles
			}
		}
		var dealt []entryOf
		least, most := len(before[ListState]), 0
		for i, s := range match.Subtasks {
			share, handles := entriesOf(t, s, ListState)
			dealt = append(dealt, share...)
			least, most = min(least, len(share)), max(most, len(share))
			if parts[ListState] > 0 && is != was && handles == 0 {
				t.Errorf("seed %d: subtask %d does not learn that there was a list", seed, i)
			}
			if union, _ := entriesOf(t, s, UnionState); !slices.Equal(union, before[UnionState]) {
				t.Errorf("seed %d: subtask %d has %d entries of %d of the union", seed, i, len(union), len(before[UnionState]))
			}
			if _, copies := entriesOf(t, s, BroadcastState); copies != min(1, parts[BroadcastState]) {
				t.Errorf("seed %d: subtask %d has %d copies of the broadcast state", seed, i, copies)
			}
		}
		if !slices.Equal(dealt, before[ListState]) {
			t.Errorf("seed %d: %d entries dealt out, there were %d, or in another order", seed, len(dealt), len(before[ListState]))
		}
		if is != was && most-least > 1 {
			t.Errorf("seed %d: shares of %d to %d entries", seed, least, most)
		}
		if is != was && most != least {
			uneven++
		}
	}
	if uneven < 1000 {
		t.Errorf("only %d redistributions were uneven at all: the test has lost its teeth", uneven)
	}
}

// Broadcast state is read from different copies.
func TestBroadcastSpreadsItsReaders(t *testing.T) {
	m := manifestOf(func(_ Vertex, op OperatorID, i int) []Handle {
		return []Handle{list(op, BroadcastState, i, 1)}
	}, chain(3, 128, "op"))
	read := make(map[ChunkID]int)
	for _, s := range mustMatch(t, m, line(chain(6, 128, "op"))).Subtasks {
		read[s.Handles[0].Chunks[0].ID]++
	}
	for id, n := range read {
		if n != 2 {
			t.Errorf("copy %s is read %d times", id, n)
		}
	}
	if len(read) != 3 {
		t.Errorf("%d of 3 copies are read", len(read))
	}
}

// State finds its operator wherever it is chained now; what is new starts empty.
func TestR2_StateIsMatchedByOperator(t *testing.T) {
	m := manifestOf(func(v Vertex, op OperatorID, i int) []Handle {
		switch op {
		case "count":
			return keyedEverywhere(v, op, i)
		case "filter":
			return nil
		}
		return listEverywhere(v, op, i)
	}, chain(2, 128, "read", "filter", "enrich"), chain(2, 128, "count", "write"))
	is := line(chain(2, 128, "read"), chain(4, 128, "fresh", "enrich"), chain(4, 128, "count"), chain(1, 128, "write"))
	match := mustMatch(t, m, is)
	sources := make(map[string][]string)
	for i, s := range is.Subtasks() {
		if match.Subtasks[i].Subtask != s {
			t.Fatalf("state of %s in the place of %s", match.Subtasks[i].Subtask, s)
		}
		for _, h := range match.Subtasks[i].Handles {
			name := "none"
			if len(h.Chunks) > 0 {
				name = strings.TrimRight(string(h.Chunks[0].ID[:]), "\x00")
			}
			sources[s.String()] = append(sources[s.String()], fmt.Sprintf("%s of %s %v", h.Operator, name, h.Take))
		}
	}
	want := map[string][]string{
		"read[0]":  {"read of read/list/0 {0 0}"},
		"read[1]":  {"read of read/list/1 {0 0}"},
		"fresh[0]": {"enrich of enrich/list/0 {0 1}"}, // 6 entries among 4: 1, 2, 1, 2
		"fresh[1]": {"enrich of enrich/list/0 {1 2}"},
		"fresh[2]": {"enrich of enrich/list/1 {0 1}"},
		"fresh[3]": {"enrich of enrich/list/1 {1 2}"},
		"count[0]": {"count of count/0 {0 0}"},
		"count[1]": {"count of count/0 {0 0}"},
		"count[2]": {"count of count/1 {0 0}"},
		"count[3]": {"count of count/1 {0 0}"},
		"write[0]": {"write of write/list/0 {0 0}", "write of write/list/1 {0 0}"},
	}
	if !reflect.DeepEqual(sources, want) {
		t.Errorf("got  %v\nwant %v", sources, want)
	}
}

func TestR2_UnmatchedStateIsAnErrorUnlessAllowed(t *testing.T) {
	m := manifestOf(func(v Vertex, op OperatorID, i int) []Handle {
		if op == "stateless" || op == "empty" {
			return []Handle{{Operator: op, Name: "l", Kind: ListState}}
		}
		return listEverywhere(v, op, i)
	}, chain(2, 128, "read", "stateless"), chain(1, 128, "empty", "sum", "audit"))
	is := line(chain(2, 128, "read"))
	_, err := MatchState(m, is, false)
	if !errors.Is(err, ErrStateMismatch) || !strings.Contains(err.Error(), "operators audit, sum") ||
		!strings.Contains(err.Error(), "--allow-non-restored-state") {
		t.Errorf("error %v, want one that names audit, sum and the flag", err)
	}
	match, err := MatchState(m, is, true)
	if err != nil || !slices.Equal(match.NonRestored, []OperatorID{"audit", "sum"}) || len(match.Subtasks[0].Handles) != 1 {
		t.Errorf("allowed: %+v, %v", match, err)
	}
}

func TestR5_MaxParallelismOfKeyedStateCannotChange(t *testing.T) {
	m := manifestOf(keyedEverywhere, chain(2, 128, "count"))
	for want, v := range map[string]Vertex{
		"operator count has max parallelism 256, but its keyed state was taken with 128, which can never change: set it to 128": chain(2, 256, "count"),
		"set it to 128, and the parallelism of 200 to at most that":                                                             chain(200, 256, "count"),
	} {
		if _, err := MatchState(m, line(v), false); !errors.Is(err, ErrStateMismatch) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	// Only keyed state lives in key groups.
	mustMatch(t, manifestOf(listEverywhere, chain(2, 128, "read")), line(chain(200, 256, "read")))
}

// A version 1 manifest did not count entries: each subtask may get its own, but nothing can be dealt out.
func TestUncountedListsKeepTheirParallelism(t *testing.T) {
	m := manifestOf(func(_ Vertex, op OperatorID, i int) []Handle {
		return []Handle{list(op, ListState, i, UnknownEntries), list(op, UnionState, i, UnknownEntries)}
	}, chain(2, 128, "read"))
	match := mustMatch(t, m, line(chain(2, 128, "fresh", "read")))
	if h := match.Subtasks[1].Handles; len(h) != 3 || !reflect.DeepEqual(h[0], m.Subtasks[1].Handles[0]) {
		t.Errorf("with the same parallelism subtask 1 gets %+v", h)
	}
	_, err := MatchState(m, line(chain(3, 128, "read")), false)
	if !errors.Is(err, ErrStateMismatch) || !strings.Contains(err.Error(), "operator read has parallelism 3") ||
		!strings.Contains(err.Error(), "restore with 2") {
		t.Errorf("error %v", err)
	}
}

// A failover restores what each subtask had, handle for handle.
func TestMatchOfAnUnchangedJobIsTheManifest(t *testing.T) {
	m := manifestOf(func(v Vertex, op OperatorID, i int) []Handle {
		if i == 1 {
			return nil // a sink without transactions
		}
		return append(listEverywhere(v, op, i), keyedEverywhere(v, op, i)[0])
	}, chain(3, 128, "read", "map"), chain(2, 128, "write"))
	m.Subtasks[2].EndOfData = true
	match := mustMatch(t, m, line(m.Vertices...))
	for i, s := range match.Subtasks {
		byKind := func(a, b Handle) int {
			return strings.Compare(string(a.Operator)+a.Kind.String(), string(b.Operator)+b.Kind.String())
		}
		slices.SortFunc(s.Handles, byKind)
		want := slices.SortedFunc(slices.Values(m.Subtasks[i].Handles), byKind)
		if s.Subtask != m.Subtasks[i].Subtask || s.EndOfData != m.Subtasks[i].EndOfData || !reflect.DeepEqual(s.Handles, want) {
			t.Errorf("subtask %d: got %+v, want %+v", i, s, m.Subtasks[i])
		}
	}
}

func TestMatchStateRefusesAManifestThatContradictsItself(t *testing.T) {
	good := func() Manifest {
		return manifestOf(func(v Vertex, op OperatorID, i int) []Handle {
			return append(listEverywhere(v, op, i), keyedEverywhere(v, op, i)[0])
		}, chain(2, 128, "read", "count"))
	}
	mustMatch(t, good(), line(good().Vertices...))
	for want, spoil := range map[string]func(*Manifest){
		"no vertices":                        func(m *Manifest) { m.Vertices = nil },
		"parallelism -1":                     func(m *Manifest) { m.Vertices[0].Parallelism = -1 },
		"state of 1 subtasks":                func(m *Manifest) { m.Subtasks = m.Subtasks[:1] },
		"in the place of read[1]":            func(m *Manifest) { m.Subtasks[1].Subtask.Index = 0 },
		"not one of the operators":           func(m *Manifest) { m.Subtasks[0].Handles[0].Operator = "x" },
		"the subtask owns 64 to 127":         func(m *Manifest) { m.Subtasks[1].Handles[1].KeyGroups.First = 63 },
		"key groups 5 to 4":                  func(m *Manifest) { m.Subtasks[0].Handles[1].KeyGroups = KeyGroupRange{5, 4} },
		"kind that this build":               func(m *Manifest) { m.Subtasks[0].Handles[0].Kind = 9 },
		"of which 1 from 0 on":               func(m *Manifest) { m.Subtasks[0].Handles[0].Take.Count = 1 },
		"1001 entries of list \"list\" in 1": func(m *Manifest) { m.Subtasks[0].Handles[0].Entries = 1001 },
	} {
		m := good()
		spoil(&m)
		if _, err := MatchState(m, line(good().Vertices...), true); !errors.Is(err, ErrNotManifest) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

// All that has to be changed is said at once.
func TestMatchStateNamesEveryProblem(t *testing.T) {
	m := manifestOf(keyedEverywhere, chain(1, 128, "a"), chain(1, 128, "b"), chain(1, 128, "c"))
	_, err := MatchState(m, line(chain(1, 64, "a"), chain(1, 32, "b")), false)
	for _, want := range []string{"operator a has max parallelism 64", "operator b has max parallelism 32", "operator c"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func BenchmarkMatchState(b *testing.B) {
	m := manifestOf(func(v Vertex, op OperatorID, i int) []Handle {
		return append(listEverywhere(v, op, i), keyedEverywhere(v, op, i)[0])
	}, chain(10_000, 32768, "count"))
	is := line(chain(9_999, 32768, "count"))
	for b.Loop() {
		mustMatch(b, m, is)
	}
}
