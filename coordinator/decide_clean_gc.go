package coordinator

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"math/bits"
	"slices"

	"cairn/checkpoint"
)

// GCInput is what garbage collection starts from. Nothing in it is changed.
type GCInput struct {
	// Named is what must stay: the names in the manifests of retained, pending and restoring checkpoints and savepoints,
	// the manifests themselves, and what else is in use. The lists need no order and may overlap; ascending ones are
	// quicker to search for.
	Named [][]checkpoint.ChunkID
	// Discarded are the names in the manifests of discarded checkpoints, and garbage. The lists need no order and may
	// overlap. They go from every node, wherever they are.
	Discarded [][]checkpoint.ChunkID
	// Manifests are those of the discarded checkpoints. They go last.
	Manifests []checkpoint.ChunkID

	// Of a full sweep: Shared is what was in shared stores, where each node deletes its own part. Held is what nodes hold on
	// disks of their own, ascending, each once; Extra are copies beyond the number of Replicas, by node, ascending.
	Shared   []checkpoint.ChunkID
	Held     []checkpoint.ChunkID
	Extra    map[checkpoint.NodeID][]checkpoint.ChunkID
	Replicas int // 0: nothing is trimmed
	// Members are the nodes that are alive and have the mark. Nothing but what is on them counts, or goes.
	Members []checkpoint.NodeID
	// Locate returns which of the chunks each node holds by now, ascending. ids is ascending.
	Locate func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID
}

// GCPlan is what garbage collection deletes. All lists are ascending, and name no chunk twice.
type GCPlan struct {
	Chunks    []checkpoint.ChunkID                       // from every node
	Manifests []checkpoint.ChunkID                       // from every node, when all else is gone
	Copies    map[checkpoint.NodeID][]checkpoint.ChunkID // from one node: orphans, and copies that are trimmed
	// Orphans counts the chunks of a full sweep that nothing names and that were on no list, Trimmed the copies of chunks
	// that are named, of which there are enough elsewhere.
	Orphans, Trimmed int
}

// PlanGC works out what to delete: of what was discarded and of what is held all that nothing names, and copies that are
// too many. Its time is that of one search in the lists of what may go for each name, and one sort of what was discarded;
// it takes one bit of memory, and the result, beside its input.
func PlanGC(in GCInput) GCPlan {
	manifests := sorted([][]checkpoint.ChunkID{in.Manifests})
	discarded := sorted(in.Discarded)
	var p GCPlan
	p.Manifests = without(manifests, in.Named)
	p.Chunks = without(discarded, append(slices.Clip(in.Named), manifests))
	shared := without(sorted([][]checkpoint.ChunkID{in.Shared}), append(slices.Clip(in.Named), manifests, discarded))
	p.Chunks = sorted([][]checkpoint.ChunkID{p.Chunks, shared})
	orphans := without(in.Held, append(slices.Clip(in.Named), manifests, discarded, shared))
	p.Orphans = len(shared) + len(orphans)
	p.Copies = in.locate(orphans)
	for node, trimmed := range in.trims(p.Manifests, p.Chunks, orphans) {
		p.Trimmed += len(trimmed)
		p.Copies[node] = sorted([][]checkpoint.ChunkID{p.Copies[node], trimmed})
	}
	return p
}

// locate returns what each member holds of some chunks.
func (in GCInput) locate(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
	if len(ids) == 0 {
		return make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	}
	held := maps.Clone(in.Locate(ids))
	maps.DeleteFunc(held, func(node checkpoint.NodeID, _ []checkpoint.ChunkID) bool { return !slices.Contains(in.Members, node) })
	return held
}

// trims returns which copies can be given up. One can when, of all copies that members hold at this moment, there are
// still enough without it and without those that are given up before it. A chunk that this sweep deletes is none of its
// business.
func (in GCInput) trims(condemned ...[]checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
	if in.Replicas == 0 {
		return nil
	}
	ids := without(sorted(slices.Collect(maps.Values(in.Extra))), condemned)
	held := in.locate(ids)
	copies := make([]int, len(ids))
	for _, list := range held {
		for _, id := range list {
			if at, found := position(ids, id); found {
				copies[at]++
			}
		}
	}
	trims := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for _, node := range slices.Sorted(maps.Keys(in.Extra)) {
		for _, id := range in.Extra[node] {
			at, found := position(ids, id)
			if _, there := position(held[node], id); found && there && copies[at] > in.Replicas {
				copies[at]--
				trims[node] = append(trims[node], id)
			}
		}
	}
	return trims
}

// compareChunks orders chunks by their IDs.
func compareChunks(a, b checkpoint.ChunkID) int {
	// Nearly always the first eight bytes tell: they are hashes.
	if c := cmp.Compare(binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(b[:])); c != 0 {
		return c
	}
	return bytes.Compare(a[8:], b[8:])
}

// sorted returns the chunks of some lists, ascending, each once.
func sorted(lists [][]checkpoint.ChunkID) []checkpoint.ChunkID {
	all := slices.Concat(lists...)
	slices.SortFunc(all, compareChunks)
	return slices.Compact(all)
}

// without returns the chunks of an ascending list that are in none of some others, which need no order.
func without(list []checkpoint.ChunkID, others [][]checkpoint.ChunkID) []checkpoint.ChunkID {
	if len(list) == 0 {
		return nil
	}
	named := make([]uint64, (len(list)+63)/64) // a bit for each
	left := len(list)
	for _, other := range others {
		for _, id := range other {
			at, found := position(list, id)
			if bit := uint64(1) << (at % 64); found && named[at/64]&bit == 0 {
				named[at/64] |= bit
				left--
			}
		}
	}
	if left == 0 {
		return nil
	}
	rest := make([]checkpoint.ChunkID, 0, left)
	for at, id := range list {
		if named[at/64]&(1<<(at%64)) == 0 {
			rest = append(rest, id)
		}
	}
	return rest
}

// position returns where a chunk is in an ascending list, or would be. IDs are hashes and therefore lie evenly: the
// search begins where the chunk is to be expected, and goes away from there in growing steps until it has passed it.
func position(list []checkpoint.ChunkID, id checkpoint.ChunkID) (at int, found bool) {
	if len(list) == 0 {
		return 0, false
	}
	expected, _ := bits.Mul64(binary.BigEndian.Uint64(id[:]), uint64(len(list)))
	low, high := int(expected), int(expected)+1 // it is in [low, high) or not at all
	for step := 1; low > 0 && compareChunks(list[low], id) > 0; step *= 2 {
		low, high = max(0, low-step), low
	}
	for step := 1; high < len(list) && compareChunks(list[high], id) <= 0; step *= 2 {
		low, high = high, min(len(list), high+step)
	}
	at, found = slices.BinarySearchFunc(list[low:high], id, compareChunks)
	return low + at, found
}
