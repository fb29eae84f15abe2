// Package statestore keeps the snapshotted state of jobs as chunks: byte strings named by the BLAKE3-256
// hash of their content, written once and never changed. A chunk that is already there costs nothing to
// store again, and every read proves that the bytes are the ones that were written.
//
//   - [Local] keeps chunks on the node's disk: compressed where that pays, and small ones many to a file. A Put that
//     returned survives a power failure. It tells of every change, and reads all it has again from time to time.
//   - [Memory] is its twin for tests and throw-away clusters. It passes the same conformance suite
//     (package storetest).
//   - [Replicated] is what the tasks of a node use: the node's own store first, and copies on peers. It
//     heals the node's store from peers when a copy is missing or damaged.
//   - [Swept] is a node's own store under the leader's sweeps: it deletes what a sweep condemns, except for what
//     the node was asked to keep since the sweep's mark.
//   - [Remote] is what a coordinator uses, which has no store of its own: manifests go to the nodes.
//   - [Export] and [Import] carry a checkpoint out of a cluster and into another, as a directory of files.
//
// A chunk is served only when its size and hash are right. A copy on disk that fails is moved to
// quarantine, which is bounded, and never served again. The package deletes a good copy only when Delete asks for
// it by name.
//
// Every type is safe for concurrent use. No method leaves a goroutine behind when it returns, but for a look at the
// owner's record of a [Shared] store that a cancelled call had asked for, which takes a bounded time; and none keeps the
// caller's buffer. A slice that Get returns belongs to the caller.
package statestore
