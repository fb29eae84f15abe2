package placement

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
)

// Node is a place for copies.
type Node struct {
	ID   checkpoint.NodeID
	Zone string // what it fails together with, such as a rack; empty when that is not known
}

// rank is the weight of a node for a chunk. It depends on nothing but the two names, so every node and the
// coordinator compute the same.
func rank(chunk checkpoint.ChunkID, node checkpoint.NodeID) uint64 {
	var buf [len(chunk) + 64]byte
	key := append(buf[:0], chunk[:]...)
	return xxhash.Sum64(append(key, node...))
}

// Order returns the nodes in the order in which they should take the next copies of a chunk, of which those in holders
// have one (a writer, for example, that keeps the first). It is that of rendezvous hashing (Thaler and Ravishankar,
// 1998), except that a node comes later when its zone has more of the copies before it: so the first n spread over as
// many zones as there are. When a node joins or leaves, only the chunks that gain or lose a copy on it change their
// places, as far as zones let them, and no table of places need be kept. Equal ranks are ordered by name. Nodes without
// a zone are each a zone of their own. What is in holders is not in the result.
func Order(chunk checkpoint.ChunkID, nodes, holders []Node) []Node {
	ordered := slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool {
		return slices.ContainsFunc(holders, func(h Node) bool { return h.ID == n.ID })
	})
	slices.SortFunc(ordered, func(a, b Node) int {
		return cmp.Or(cmp.Compare(rank(chunk, b.ID), rank(chunk, a.ID)), cmp.Compare(a.ID, b.ID))
	})
	copies := make(map[string]int) // by zone
	for _, h := range holders {
		copies[h.Zone]++
	}
	for i := range ordered {
		next := i
		for at := i + 1; at < len(ordered); at++ {
			if taken(copies, ordered[at]) < taken(copies, ordered[next]) {
				next = at
			}
		}
		n := ordered[next]
		copy(ordered[i+1:next+1], ordered[i:next])
		ordered[i] = n
		copies[n.Zone]++
	}
	return ordered
}

// taken returns how many copies a node's zone has.
func taken(copies map[string]int, n Node) int {
	if n.Zone == "" {
		return 0
	}
	return copies[n.Zone]
}
