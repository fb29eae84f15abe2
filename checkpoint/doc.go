// Package checkpoint is the vocabulary that every other package of Cairn speaks: the names of jobs,
// subtasks and checkpoints, the barrier, the shape of a job graph, handles to snapshotted state, the
// manifest of a completed checkpoint, and the messages between the coordinator and the task nodes.
//
// The words are those of Apache Flink, so that nobody who knows it must learn new ones.
//
// The package is pure: it holds values and functions of values, imports nothing else of Cairn, does no
// I/O, starts no goroutine and reads no clock. Every type is safe for concurrent use as long as nobody
// changes it; whoever receives a value from another goroutine treats it as read-only.
package checkpoint
