package dataflow

import "cairn/checkpoint"

// Forward sends the records of each subtask to the subtask of the same index, which is what happens anyway when the
// parallelism is equal; here a different one is an error.
func Forward[T any](s Stream[T]) Stream[T] {
	return s.partitioned(checkpoint.Forward, true, turnEmitter)
}

// Rebalance spreads the records evenly over the subtasks of the next operator, which is then not chained.
func Rebalance[T any](s Stream[T]) Stream[T] {
	return s.partitioned(checkpoint.Rebalance, false, turnEmitter)
}

// Broadcast sends every record to every subtask of the next operator.
func Broadcast[T any](s Stream[T]) Stream[T] {
	return s.partitioned(checkpoint.Broadcast, false, broadcastEmitter)
}

// PartitionCustom sends each record to the subtask of the next operator that the function chooses: a number from 0
// up to its parallelism, which the function is given. The function is shared by the subtasks.
func PartitionCustom[T any](s Stream[T], choose func(v T, parallelism int) int) Stream[T] {
	return s.partitioned(checkpoint.Custom, false, customEmitter(choose))
}

func (s Stream[T]) partitioned(p checkpoint.Partitioning, strict bool, emitter emitterOf[T]) Stream[T] {
	s.partitioning, s.strict, s.emitter = p, strict, emitter
	return s
}
