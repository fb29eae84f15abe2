// Package faults runs jobs on a whole cluster under random faults, to see that their committed output does not change
// (invariant I7).
//
// The cluster is real but for its wires, disks and clock: three coordinators with Raft, task nodes with their executors
// and replicated state stores, the client API. It lives in one process, in a bubble of testing/synctest, so that an
// hour of it takes seconds. Wires are plain calls with a delay, and can be cut. Memory takes the place of disks, and
// survives a process; only what jobs themselves read and write are real files. With Scenario.Keeping the nodes' parts of the
// state store are real files as well: then nodes are lost with their disks, and bits are flipped in them.
//
// A Scenario names a job and a seed. The seed decides which faults strike, when and whom. It does not decide how the
// scheduler interleaves the goroutines: a seed that has failed may need a few runs to fail again. What each run did is
// therefore written down (Result.Timeline, Result.Log).
//
// Package sim looks at the same faults from the other side: there the coordinators' decisions are real, the tasks are
// models, and a seed determines everything.
package faults
