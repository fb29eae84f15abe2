// Package generate makes records out of nothing but their number: for tests, benchmarks and examples.
//
// The source asks a function for the record of each index from 0 on. Its position is state, and it goes on behind it
// after a restore, with any parallelism: each index is asked for exactly once in what a checkpoint covers. A subtask makes
// its indices in ascending order (but for those of subtasks that were behind when a restore with another parallelism
// put them together), and subtasks go through the indices side by side, as far as they are equally fast.
//
// The indices are dealt out in 128 lanes, in more when the job starts with a higher parallelism. Rescaled beyond that,
// some subtasks have nothing to do.
package generate
