// Package api is what clients of a Cairn cluster see: the Service that every coordinator offers, its
// requests, the read model that it answers with, and its errors. The JSON form of the read model is what
// the command line prints with --json; its field names are stable.
//
// coordinator implements Service, transport carries it over gRPC, and the command line calls it.
package api

import (
	"context"
	"io"

	"cairn/checkpoint"
)

// Service is the client API. Any coordinator answers: one that does not lead forwards to the leader.
// Every method returns an *Error. Implementations are safe for concurrent use.
//
// A job is referred to by its ID (32 hexadecimal digits) or by its name; a name means the job of that
// name that has not ended, else the one that ended last.
//
// Reads are linearizable: the leader answers them, after it has made sure that it still leads. A context from
// WithStale asks the addressed coordinator for what it knows itself instead, which may be old: that works without a
// leader.
type Service interface {
	// Status describes the cluster. It succeeds without a leader too, and says then why there is none.
	Status(ctx context.Context) (Status, error)
	// Members lists everybody that gossip knows, as the answering coordinator sees them.
	Members(ctx context.Context) ([]Member, error)

	SubmitJob(ctx context.Context, req SubmitJobRequest) (Job, error)
	ListJobs(ctx context.Context) ([]Job, error)
	ShowJob(ctx context.Context, job string) (JobDetail, error)
	// SetJob changes configuration keys of a job that has not ended, and returns it as it is then.
	SetJob(ctx context.Context, job string, config map[string]string) (JobDetail, error)
	// RescaleJob changes the parallelism of a running job: it takes a checkpoint, from which the job goes on. It returns
	// when that is decided, one way or the other; the job runs on as it was when there is an error, unless that says that
	// the outcome is unknown.
	RescaleJob(ctx context.Context, job string, to Parallelism) (Rescaled, error)
	// CancelJob asks the job to end and returns at once; ShowJob tells when it has.
	CancelJob(ctx context.Context, job string) (Job, error)
	// JobMetrics tells what the subtasks of a job's attempt measure, those of one vertex or, when vertex is empty, all.
	JobMetrics(ctx context.Context, job, vertex string) (JobMetrics, error)

	// ListCheckpoints lists pending and recent checkpoints and savepoints, newest first.
	ListCheckpoints(ctx context.Context, job string) ([]Checkpoint, error)
	ShowCheckpoint(ctx context.Context, job string, id uint64) (CheckpointDetail, error)
	// CheckpointStatistics counts and sums up a job's checkpoints.
	CheckpointStatistics(ctx context.Context, job string) (CheckpointStatistics, error)
	// TriggerCheckpoint begins a checkpoint and waits until it has an outcome.
	TriggerCheckpoint(ctx context.Context, job string) (Checkpoint, error)

	// TriggerSavepoint takes a savepoint and waits until it has an outcome, and, when the job is to stop with it,
	// until the job has ended.
	TriggerSavepoint(ctx context.Context, job string, stop Stop) (Savepoint, error)
	// ListSavepoints lists the savepoints of one job, or of all when job is empty, newest first.
	ListSavepoints(ctx context.Context, job string) ([]Savepoint, error)
	// DisposeSavepoint gives up a savepoint; its state is deleted afterwards.
	DisposeSavepoint(ctx context.Context, job string, id uint64) error

	// BeginImport registers a savepoint whose manifest is stored, before its chunks are: from then on nothing that it names
	// is deleted. jobName is what the job was called that took it, and may be empty. A savepoint that is registered already,
	// or that its job still has, stays as it is. It returns an error of code Unavailable when the manifest is not there (any
	// more): it is to be stored again then.
	BeginImport(ctx context.Context, manifest checkpoint.ChunkRef, jobName string) (Savepoint, error)
	// FinishImport says that all that the savepoint names is stored, and fails unless that is so.
	FinishImport(ctx context.Context, job string, id uint64) (Savepoint, error)

	// StoreStatus tells how the state store is.
	StoreStatus(ctx context.Context) (StoreStatus, error)
	// LocateCheckpoint tells what a completed checkpoint or savepoint that is kept consists of.
	LocateCheckpoint(ctx context.Context, job string, id uint64) (CheckpointLocation, error)
	// LocateChunks tells which nodes hold chunks, at most MaxLocated of them.
	LocateChunks(ctx context.Context, chunks []checkpoint.ChunkRef) (ChunkLocations, error)

	// ListPrograms lists the programs that the nodes which are alive were built with, by name.
	ListPrograms(ctx context.Context) ([]Program, error)
	// ListNodes lists the task nodes that are known, those that have been drained in any case.
	ListNodes(ctx context.Context) ([]Node, error)
	// DrainNode takes a node out of service: it is given no subtasks, and those that it has leave at a checkpoint of
	// their job as soon as there is room elsewhere. It returns at once.
	DrainNode(ctx context.Context, id string) (Node, error)
	// UndrainNode ends that. What has left comes back only with a restart of its job.
	UndrainNode(ctx context.Context, id string) (Node, error)

	// RaftPeers lists the members of Raft's configuration.
	RaftPeers(ctx context.Context) ([]Voter, error)
	// RemovePeer takes a coordinator out of Raft's configuration.
	RemovePeer(ctx context.Context, id string) error
	// TransferLeadership hands leadership to the named coordinator, or to any when target is empty, and
	// returns the new leader.
	TransferLeadership(ctx context.Context, target string) (Leader, error)
	// SaveSnapshot writes a snapshot of the replicated state, in the form that RestoreSnapshot reads.
	SaveSnapshot(ctx context.Context, w io.Writer) (SnapshotInfo, error)
	// RestoreSnapshot replaces the replicated state of the whole cluster by a snapshot. Nothing changes when it
	// cannot be read to its end.
	RestoreSnapshot(ctx context.Context, r io.Reader) (SnapshotInfo, error)
}

type staleKey struct{}

// WithStale returns a context in which reads are answered by the addressed coordinator from what it knows itself.
func WithStale(ctx context.Context) context.Context { return context.WithValue(ctx, staleKey{}, true) }

// Stale reports whether ctx is from WithStale.
func Stale(ctx context.Context) bool {
	stale, _ := ctx.Value(staleKey{}).(bool)
	return stale
}
