package checkpoint

import "math/bits"

// Key groups are the unit in which keyed state is assigned and moved: a key belongs to group
// hash(key) mod maxParallelism for ever, and each subtask owns a contiguous range of groups. The formulas
// are those of Flink's KeyGroupRangeAssignment, in int64 so that no product overflows.

const (
	minDefaultMaxParallelism = 128
	// MaxMaxParallelism is the largest number of key groups a vertex may have.
	MaxMaxParallelism = 32768
)

// KeyGroupRange is a contiguous range of key groups, both ends included. It is empty when Last < First.
type KeyGroupRange struct {
	First, Last int
}

// Len returns the number of groups in the range.
func (r KeyGroupRange) Len() int { return max(0, r.Last-r.First+1) }

// Contains reports whether group lies in the range.
func (r KeyGroupRange) Contains(group int) bool { return r.First <= group && group <= r.Last }

// Overlaps reports whether the two ranges share a group.
func (r KeyGroupRange) Overlaps(o KeyGroupRange) bool {
	return max(r.First, o.First) <= min(r.Last, o.Last)
}

// Intersect returns the groups that are in both ranges.
func (r KeyGroupRange) Intersect(o KeyGroupRange) KeyGroupRange {
	return KeyGroupRange{First: max(r.First, o.First), Last: min(r.Last, o.Last)}
}

// KeyGroupOf returns the key group of a key with the given hash.
func KeyGroupOf(hash uint64, maxParallelism int) int {
	return int(hash % uint64(maxParallelism))
}

// OwnerOf returns the index of the subtask that owns a key group.
func OwnerOf(group, maxParallelism, parallelism int) int {
	return int(int64(group) * int64(parallelism) / int64(maxParallelism))
}

// RangeOf returns the key groups of subtask index.
func RangeOf(index, maxParallelism, parallelism int) KeyGroupRange {
	i, maxP, p := int64(index), int64(maxParallelism), int64(parallelism)
	return KeyGroupRange{First: int((i*maxP + p - 1) / p), Last: int(((i+1)*maxP - 1) / p)}
}

// DefaultMaxParallelism returns the number of key groups of a vertex that names none: half as much again
// as the parallelism, rounded up to a power of two, between 128 and 32768.
func DefaultMaxParallelism(parallelism int) int {
	n := parallelism + parallelism/2
	if n <= minDefaultMaxParallelism {
		return minDefaultMaxParallelism
	}
	return min(1<<bits.Len(uint(n-1)), MaxMaxParallelism)
}
