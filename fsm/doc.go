// Package fsm is the replicated state machine of the coordinators: what they agree on about jobs and
// checkpoints, and the only ways in which it changes.
//
// [State] is the value, [Command] is what changes it, and [State.Step] applies a command: a pure and total
// function that reads no clock, draws no random number and lets no map order show, so that every replica
// that applies the same log holds the same bytes (I10). A command that does not fit the state is rejected
// with one of the sentinel errors of this package and changes nothing but State.LastIndex.
//
// A published *Job is immutable. Step replaces a job that changes with a modified copy, so that whoever
// holds a *Job keeps a consistent view for as long as they like, without a lock and without copying.
//
// [Machine] ties a State to Raft. It is safe for concurrent use; State itself is not.
//
// Commands and snapshots are persisted with a format version. A newer one is refused: by DecodeSnapshot
// with an error, by Machine.Apply with a panic, because a replica that skips a committed command would
// silently disagree with the others from then on.
package fsm
