package dataflow

import (
	"context"
	"log/slog"

	"cairn/checkpoint"
)

// Sink is where a stream's records go. One Sink value serves all subtasks and is not changed after the graph
// has been built.
type Sink[T any] interface {
	// Open starts writing for one subtask.
	Open(SinkContext) (SinkWriter[T], error)
}

// SinkWriter writes one subtask's share in transactions, with a two-phase commit that follows the
// checkpoints. All calls come from one goroutine, in this order: Recover once; then Write and PreCommit, with
// Commit between them; Close at the end.
//
// The runtime keeps the handle of every transaction that has been pre-committed and is not known to be
// committed in the subtask's state. When a checkpoint fails its transaction is not given up: it is committed
// together with the one of the next checkpoint that completes.
type SinkWriter[T any] interface {
	// Recover settles what an earlier attempt left: it commits the handles, which come from the restored
	// checkpoint and may have been committed already. When the parallelism has changed, or the job goes on from
	// another's savepoint, they may be those of any subtask, and the subtask's own may have gone to others: what an
	// earlier attempt has pre-committed is not to be given up here, unless this is a fresh start, for which there are
	// no handles. A transaction that was still open may be given up.
	Recover(ctx context.Context, handles [][]byte) error
	// Write adds a record to the open transaction, and begins one when none is open.
	Write(record T) error
	// PreCommit makes the open transaction durable, but not yet visible, and ends it. The handle is all that
	// Commit needs, also in another process. It returns nil when no transaction is open.
	PreCommit(ctx context.Context, id checkpoint.ID) (handle []byte, err error)
	// Commit makes a pre-committed transaction visible. Doing it again changes nothing.
	Commit(ctx context.Context, handle []byte) error
	// Close gives up the open transaction and releases what Open acquired. Pre-committed transactions stay:
	// the checkpoint that names them may have completed.
	Close() error
}

// SettlingWriter is a SinkWriter that gives up what earlier attempts have pre-committed and nobody is going to commit.
type SettlingWriter interface {
	// Settle is called once, when the first checkpoint that the subtask has taken part in has completed, behind its Commit.
	// Every subtask has recovered by then: what this subtask, or one that there is no more, has pre-committed in earlier
	// attempts of this job and nobody has committed is named by no checkpoint that counts. What other subtasks have begun
	// is theirs to give up: they may have been running since an earlier attempt. Transactions of another job are not this
	// job's.
	Settle(ctx context.Context) error
}

// SinkContext is what a sink needs to know of the subtask it writes for.
type SinkContext struct {
	Subtask     checkpoint.SubtaskID
	Parallelism int // of the sink: Subtask.Index lies below it
	Job         checkpoint.JobID
	Attempt     checkpoint.Attempt // that deploys the subtask; it may go on into later ones under this number
	Restored    bool               // the job goes on from a checkpoint
	Logger      *slog.Logger
}
