package statestore

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
)

// rank is the weight of a node for a chunk. It depends on nothing but the two names, so every node and the
// coordinator compute the same.
func rank(chunk checkpoint.ChunkID, node checkpoint.NodeID) uint64 {
	var buf [len(chunk) + 64]byte
	key := append(buf[:0], chunk[:]...)
	return xxhash.Sum64(append(key, node...))
}

// rendezvous orders the nodes by preference for a chunk, best first, by rendezvous hashing: the first n are
// where the chunk's n copies belong. When a node joins or leaves, only the chunks that gain or lose a copy
// on it change their places, and no table of places need be kept. Equal ranks are ordered by name.
func rendezvous(chunk checkpoint.ChunkID, nodes []checkpoint.NodeID) []checkpoint.NodeID {
	type candidate struct {
		node checkpoint.NodeID
		rank uint64
	}
	candidates := make([]candidate, len(nodes))
	for i, n := range nodes {
		candidates[i] = candidate{node: n, rank: rank(chunk, n)}
	}
	slices.SortFunc(candidates, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(a.node, b.node))
	})
	ordered := make([]checkpoint.NodeID, len(nodes))
	for i, c := range candidates {
		ordered[i] = c.node
	}
	return ordered
}
