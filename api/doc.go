// Package api is what clients of a Cairn cluster see: the Service that every coordinator offers, its
// requests, the read model that it answers with, and its errors. The JSON form of the read model is what
// the command line prints with --json; its field names are stable.
//
// coordinator implements Service, transport carries it over gRPC, and the command line calls it.
package api

import "context"

// Service is the client API. Any coordinator answers: one that does not lead forwards to the leader.
// Every method returns an *Error. Implementations are safe for concurrent use.
//
// A job is referred to by its ID (32 hexadecimal digits) or by its name; a name means the job of that
// name that has not ended, else the one that ended last.
type Service interface {
	// Status describes the cluster. It succeeds without a leader too, and says then why there is none.
	Status(ctx context.Context) (Status, error)
	// Members lists everybody that gossip knows, as the answering coordinator sees them.
	Members(ctx context.Context) ([]Member, error)

	SubmitJob(ctx context.Context, req SubmitJobRequest) (Job, error)
	ListJobs(ctx context.Context) ([]Job, error)
	ShowJob(ctx context.Context, job string) (JobDetail, error)
	// CancelJob asks the job to end and returns at once; ShowJob tells when it has.
	CancelJob(ctx context.Context, job string) (Job, error)

	// ListCheckpoints lists pending and recent checkpoints, newest first.
	ListCheckpoints(ctx context.Context, job string) ([]Checkpoint, error)
	ShowCheckpoint(ctx context.Context, job string, id uint64) (CheckpointDetail, error)
	// TriggerCheckpoint begins a checkpoint and waits until it has an outcome.
	TriggerCheckpoint(ctx context.Context, job string) (Checkpoint, error)

	// RaftPeers lists the voters as Raft's configuration names them.
	RaftPeers(ctx context.Context) ([]Voter, error)
	// TransferLeadership hands leadership to the named coordinator, or to any when target is empty, and
	// returns the new leader.
	TransferLeadership(ctx context.Context, target string) (Leader, error)
}
