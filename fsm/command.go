package fsm

import "cairn/checkpoint"

// Command is one entry of the replicated log. Whoever proposes it has put in every timestamp, ID and
// random choice, so that applying it is deterministic (I10).
type Command interface{ command() }

// SubmitJob adds a job. It is rejected with ErrJobExists when a job of that ID exists, and with
// ErrNameTaken when a job of that name has not ended.
//
// With a Source that is claimed, the source leaves its owner's log or savepoints and becomes the first entry of the
// new job's log. That is rejected with ErrWrongStatus when it is a checkpoint of a job that has not ended, and with
// ErrInUse when a job still depends on it. A source that its job neither retains nor has as a savepoint, and that is not
// imported, is rejected with ErrUnknownCheckpoint; one whose import is not finished with ErrIncomplete.
type SubmitJob struct {
	Job      checkpoint.JobID
	Name     string
	Program  string
	Params   map[string]string
	Topology checkpoint.Topology
	// Fingerprint is that of the graph; empty when the node that built it gave none.
	Fingerprint checkpoint.Fingerprint
	// Parallelism is what was asked for instead of the program's own; Topology has it already.
	Parallelism map[checkpoint.OperatorID]int
	Config      checkpoint.Config
	Source      Source
	// Unregistered says that the source may be one of a job that is not known here, imported by nobody: before version 4
	// clients stored such a one and told nobody but the submission. It is only in entries of the log from then.
	Unregistered bool
	At           checkpoint.Timestamp
}

// ConfigureJob changes the configuration of a job that has not ended. Config is the whole of it; it must be valid
// (ErrInvalid) and differ from the present one only where Config.Mutable allows (ErrInvalid). Log entries beyond a
// lower Config.Retain move to the discard list; Result.Subsumed names them.
type ConfigureJob struct {
	Job    checkpoint.JobID
	Config checkpoint.Config
	At     checkpoint.Timestamp
}

// StartAttempt assigns the next attempt of a job that is created or restarting. Attempt must be the
// current one plus 1 (ErrStaleAttempt otherwise). RestoreFrom must be in the completed log, the job's Source while
// that log is empty, one of its savepoints that it was to end with, or 0 (ErrUnknownCheckpoint otherwise).
//
// Kept are the ordinals of the subtasks that go on as they are, ascending: they are not restored, and not deployed
// again. They must be whole pipelined regions of an attempt that has failed, not as a whole (Job.Global) and not for
// another shape or other nodes, and each stays where it is: the same node in the same incarnation (ErrInvalid otherwise).
type StartAttempt struct {
	Job         checkpoint.JobID
	Attempt     checkpoint.Attempt
	Assignment  checkpoint.Assignment
	Kept        []int
	RestoreFrom checkpoint.ID
	At          checkpoint.Timestamp
}

// FailAttempt ends the running attempt: pending checkpoints are aborted with ReasonTaskFailure, the job
// becomes restarting. Attempt must be the current one and the job running. Consecutive failures that had
// exceeded Config.TolerableFailures are counted anew from here.
//
// Global says that the failure is not one of some subtasks, so that no other goes on. It is so, too, when too many
// checkpoints have failed, and when the attempt was to end with a savepoint: tasks may have stopped for it already.
type FailAttempt struct {
	Job     checkpoint.JobID
	Attempt checkpoint.Attempt
	Cause   string
	Global  bool
	Restart Restart // the restart strategy's state after this failure
	Term    checkpoint.Term
	At      checkpoint.Timestamp
}

// CancelJob asks for the end of a job that has not ended. Pending checkpoints are aborted. A job that is
// being cancelled already accepts it and does not change.
type CancelJob struct {
	Job  checkpoint.JobID
	Term checkpoint.Term
	At   checkpoint.Timestamp
}

// EndJob moves a job to a terminal status: finished (from running), failed (from any status that is not
// terminal) or canceled (from cancelling). Pending checkpoints are aborted. When the job is canceled and
// its configuration does not retain, its completed checkpoints move to the discard list; a finished job
// discards them too, a failed one keeps them (Flink's rules). Its savepoints stay, and so does a source that it did
// not claim.
type EndJob struct {
	Job     checkpoint.JobID
	Status  JobStatus
	Failure string
	Term    checkpoint.Term
	At      checkpoint.Timestamp
}

// BeginCheckpoint allocates the next ID and creates the pending checkpoint in one step. Attempt must be
// the current one and the job running. It is rejected with ErrWrongStatus when it would stop a job that another
// pending savepoint is to stop. How many are pending is for the leader to bound: what users ask for may exceed
// Config.MaxConcurrent. Result.Checkpoint is the new ID.
type BeginCheckpoint struct {
	Job     checkpoint.JobID
	Attempt checkpoint.Attempt
	Kind    checkpoint.Kind
	Stop    checkpoint.Stop // savepoints only
	Manual  bool            // a user asked for it
	// Aligned says that the checkpoint holds no records in flight, whatever the configuration says: the attempt is to
	// end at it, perhaps with another parallelism. A savepoint is aligned anyway.
	Aligned bool
	Term    checkpoint.Term
	At      checkpoint.Timestamp
}

// CompleteCheckpoint decides a pending checkpoint as completed (I2: rejected with ErrNotPending when it
// has an outcome or never began). In the same step every older pending checkpoint is aborted as subsumed,
// and log entries beyond Config.Retain move to the discard list. A savepoint that completes does neither, and
// enters Savepoints instead of the log; one that is pending is not subsumed.
type CompleteCheckpoint struct {
	Job         checkpoint.JobID
	Attempt     checkpoint.Attempt
	Checkpoint  checkpoint.ID
	Manifest    checkpoint.ChunkRef
	Sizes       Sizes
	NumSubtasks int
	Detail      Detail
	Term        checkpoint.Term
	At          checkpoint.Timestamp
}

// AbortCheckpoint decides a pending checkpoint as failed.
type AbortCheckpoint struct {
	Job             checkpoint.JobID
	Attempt         checkpoint.Attempt
	Checkpoint      checkpoint.ID
	Reason          checkpoint.Reason
	Message         string
	NumAcknowledged int
	Sizes           Sizes // of what was acknowledged
	Detail          Detail
	Term            checkpoint.Term
	At              checkpoint.Timestamp
}

// FinishDiscards removes entries from a job's discard list, after their chunks were deleted. What is not on
// the list is ignored, so that it can be repeated; what a job depends on stays (Holds.Discardable).
type FinishDiscards struct {
	Job         checkpoint.JobID
	Checkpoints []checkpoint.ID
}

// DisposeSavepoint gives up a savepoint: it moves to the discard list. It is rejected with ErrUnknownCheckpoint when
// the job has no such savepoint, and with ErrInUse while a job that was submitted from it has not completed a
// checkpoint of its own, or while the job itself would restart from it. The job may have ended. One that was imported,
// completely or not, is forgotten at once: what it named is then named by nobody, and a sweep of all that the nodes have
// finds it.
type DisposeSavepoint struct {
	Job       checkpoint.JobID
	Savepoint checkpoint.ID
	At        checkpoint.Timestamp
}

// BeginImport registers a savepoint that is about to be copied into the cluster. Its manifest must be stored by then: from
// now on the manifest, and all that it names, is spared by every sweep (LiveOf). When that manifest is registered already,
// or its job has it as a savepoint or checkpoint, nothing changes. It is rejected with ErrSavepointExists when its job and
// ID are those of a savepoint with another manifest.
type BeginImport struct {
	Job         checkpoint.JobID // that took it; it may be unknown here
	JobName     string           // at that time; empty when it is not known
	Checkpoint  checkpoint.ID
	Manifest    checkpoint.ChunkRef
	TriggeredAt checkpoint.Timestamp
	StateSize   int64
	NumSubtasks int
	At          checkpoint.Timestamp
}

// FinishImport says that all that an imported savepoint names is stored. It is rejected with ErrUnknownCheckpoint when
// nothing here has that manifest: it was disposed of meanwhile. One that is finished stays as it is.
type FinishImport struct {
	Job        checkpoint.JobID
	Checkpoint checkpoint.ID
	Manifest   checkpoint.ChunkRef
	At         checkpoint.Timestamp
}

// RescaleJob ends the running attempt at its newest checkpoint, to go on from there with another parallelism. Checkpoint
// must be the newest entry of the completed log, of the current attempt and Aligned (ErrUnknownCheckpoint otherwise).
// Topology must have the operators of the present one with the same max parallelism, and Parallelism must say what it
// says (ErrInvalid). It is rejected with ErrWrongStatus when the job is about to stop with a savepoint.
//
// The job becomes restarting, without delay, and its restart strategy counts no failure. Pending checkpoints are
// aborted. The shape is taken up by the next StartAttempt: until then the job's Topology is still that of the attempt
// that has ended, and its Assignment fits it.
type RescaleJob struct {
	Job         checkpoint.JobID
	Attempt     checkpoint.Attempt
	Checkpoint  checkpoint.ID
	Topology    checkpoint.Topology
	Parallelism map[checkpoint.OperatorID]int
	Term        checkpoint.Term
	At          checkpoint.Timestamp
}

// MoveJob ends the running attempt at its newest checkpoint, to go on from there on other nodes. Apart from the shape,
// which stays, it demands and does what RescaleJob does.
type MoveJob struct {
	Job        checkpoint.JobID
	Attempt    checkpoint.Attempt
	Checkpoint checkpoint.ID
	Cause      string
	Term       checkpoint.Term
	At         checkpoint.Timestamp
}

// DrainNode takes a task node out of service: no attempt is to be assigned to it. A node that is drained already stays
// so. That its subtasks leave is for the leader to bring about (MoveJob).
type DrainNode struct {
	Node checkpoint.NodeID
	At   checkpoint.Timestamp
}

// UndrainNode ends what DrainNode began. A node that is not drained is none afterwards either.
type UndrainNode struct {
	Node checkpoint.NodeID
}

// GiveUpCheckpoint makes a restarting job go back to the checkpoint before its newest one, which cannot be read any more:
// the newest entry of the completed log moves to the discard list. Its outcome stays what it is (I2), and so do the
// counters. Sinks have published what it covered, and may publish it again: Config.RestoreFallback says that the job's
// owner accepts that (ErrFallback otherwise). Checkpoint must be the newest entry of the log, behind another one, and no
// savepoint that the job was to end with may be newer (ErrUnknownCheckpoint otherwise). ErrWrongStatus says that the job
// is not restarting.
//
// The job restarts as a whole. It keeps the shape that it is to have next only where the older checkpoint may be spread
// over another one.
type GiveUpCheckpoint struct {
	Job        checkpoint.JobID
	Checkpoint checkpoint.ID
	Cause      string
	Term       checkpoint.Term
	At         checkpoint.Timestamp
}

func (SubmitJob) command()          {}
func (ConfigureJob) command()       {}
func (DisposeSavepoint) command()   {}
func (StartAttempt) command()       {}
func (FailAttempt) command()        {}
func (CancelJob) command()          {}
func (EndJob) command()             {}
func (BeginCheckpoint) command()    {}
func (CompleteCheckpoint) command() {}
func (AbortCheckpoint) command()    {}
func (FinishDiscards) command()     {}
func (BeginImport) command()        {}
func (FinishImport) command()       {}
func (RescaleJob) command()         {}
func (MoveJob) command()            {}
func (DrainNode) command()          {}
func (UndrainNode) command()        {}
func (GiveUpCheckpoint) command()   {}

// Result is what a command answers when it is applied.
type Result struct {
	Checkpoint checkpoint.ID   // BeginCheckpoint: the new ID
	Subsumed   []checkpoint.ID // CompleteCheckpoint, ConfigureJob: completed checkpoints that left the log
	Aborted    []checkpoint.ID // pending checkpoints that this command aborted
}
