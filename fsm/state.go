package fsm

import "cairn/checkpoint"

// State is what the coordinators agree on. It is a plain value without locks: Machine guards it, and only
// Step changes it.
type State struct {
	// Jobs holds every job ever submitted and not yet forgotten. Iterate through SortedJobs wherever the
	// order can reach output, log or bytes (I10).
	Jobs map[checkpoint.JobID]*Job
	// Drained holds the task nodes that are given no subtasks, and since when. A published map never changes: Step
	// puts another one in its place.
	Drained map[checkpoint.NodeID]checkpoint.Timestamp
	// Imports holds the savepoints that were brought into the cluster from directories and that nobody has disposed of or
	// claimed, in the order in which their imports began. A published slice never changes.
	Imports []Import
	// LastIndex is the Raft index of the last applied command, 0 before the first.
	LastIndex uint64
}

// JobStatus is where a job stands in its life: Flink's words. The numbers are persisted.
type JobStatus uint8

const (
	// JobCreated: submitted; waits for its first attempt.
	JobCreated JobStatus = 1
	// JobRunning: an attempt is assigned.
	JobRunning JobStatus = 2
	// JobRestarting: the last attempt failed; the next one starts at Restart.NextAt or when slots are free.
	JobRestarting JobStatus = 3
	// JobCancelling: asked to stop; its subtasks are being cancelled.
	JobCancelling JobStatus = 4
	// JobFinished: all subtasks have finished. Terminal.
	JobFinished JobStatus = 5
	// JobFailed: ended by an error that no restart helps. Terminal.
	JobFailed JobStatus = 6
	// JobCanceled: ended because it was asked to. Terminal.
	JobCanceled JobStatus = 7
)

// String returns Flink's word for the status.
func (s JobStatus) String() string {
	switch s {
	case JobCreated:
		return "CREATED"
	case JobRunning:
		return "RUNNING"
	case JobRestarting:
		return "RESTARTING"
	case JobCancelling:
		return "CANCELLING"
	case JobFinished:
		return "FINISHED"
	case JobFailed:
		return "FAILED"
	case JobCanceled:
		return "CANCELED"
	}
	return "UNKNOWN"
}

// Terminal reports whether the job has ended for good.
func (s JobStatus) Terminal() bool { return s == JobFinished || s == JobFailed || s == JobCanceled }

// Job is the replicated state of one job. A *Job that a State has published never changes: Step puts a
// modified copy in its place.
type Job struct {
	ID       checkpoint.JobID
	Name     string // unique among jobs that have not ended
	Program  string // the registered job that builds the graph
	Params   map[string]string
	Topology checkpoint.Topology // of the current attempt, or of the first one
	// Parallelism is what was asked for instead of the program's own, by operator. Topology follows from it.
	Parallelism map[checkpoint.OperatorID]int
	// Fingerprint is that of the graph that the job was submitted with: nodes whose build makes another one get no task
	// of it. It is empty when it is not known, in jobs that were submitted before there were fingerprints.
	Fingerprint checkpoint.Fingerprint
	Config      checkpoint.Config
	SubmittedAt checkpoint.Timestamp

	Status  JobStatus
	EndedAt checkpoint.Timestamp // when terminal
	// Failure is the cause of the last failure of an attempt, or of the job.
	Failure string
	// Interrupted says why the last attempt was ended although it had not failed; only while the job is restarting.
	Interrupted string
	// Next is the shape that the next attempt has in the place of Topology and Parallelism; only while the job is
	// restarting, and nil when it stays the same.
	Next *Shape
	// Former holds the graphs of attempts that History remembers, where they differ from Topology, oldest first.
	Former []FormerTopology

	Attempt          checkpoint.Attempt // the current or, while restarting, the last attempt; 0 before the first
	Assignment       checkpoint.Assignment
	AttemptStartedAt checkpoint.Timestamp
	// Since holds, by ordinal, the attempt that each subtask's present execution was deployed in: what belongs to other
	// pipelined regions than those that failed goes on from attempt to attempt. It is the same for all of a region; nil
	// when everything was deployed in Attempt. Use DeployedIn to read it.
	Since []checkpoint.Attempt
	// Global says that the job as a whole has failed, so that no subtask goes on into the next attempt; only while the
	// job is restarting.
	Global bool
	// Source is what the job was submitted to start from; its Manifest is zero for a fresh start.
	Source Source
	// RestoredFrom is the checkpoint that the current attempt started from, 0 for none: one of Completed as it was
	// then, Source.Checkpoint while the job had completed none of its own, or a savepoint that it was to end with.
	RestoredFrom checkpoint.ID
	Restart      Restart

	// FirstID is where the counter started: 0, or the checkpoint that the job was submitted from (L1).
	FirstID checkpoint.ID
	// LastID is the checkpoint ID counter: the last ID handed out. It only grows (I1).
	LastID checkpoint.ID
	// Leapt counts the IDs up to LastID that no checkpoint has had: a restored snapshot leapt over them (State.After).
	Leapt uint64
	// Pending holds the checkpoints that have begun and have no outcome, ascending by ID. All of them
	// belong to the current attempt.
	Pending []Pending
	// Completed is the completed-checkpoint log, ascending by ID, at most Config.Retain entries. A claimed savepoint
	// or checkpoint of another job is its first entry until it is subsumed; it keeps its Kind, and its Attempt is 0.
	Completed []Completed
	// Savepoints holds the completed savepoints that nobody has disposed of, ascending by ID. They belong to the
	// user: nothing that happens to the job removes one.
	Savepoints []Completed
	// Discards holds the completed checkpoints that left the log, and the savepoints that were disposed of, whose
	// chunks nobody has deleted yet, in the order in which they left.
	Discards []Discard
	// GivenUp holds the last MaxGivenUp checkpoints that were given up although they had completed, in the order of the
	// decisions. Their outcomes stay what they were (I2).
	GivenUp []GivenUp
	// LastSuccess is the largest ID that completed, checkpoint or savepoint, 0 for none.
	LastSuccess checkpoint.ID
	Counters    Counters
	Summary     Summary
	// ConsecutiveFailures counts failed checkpoints since the last success, by Reason.Counts.
	ConsecutiveFailures int
	// History holds the last MaxHistory checkpoints with an outcome, in the order of their outcomes.
	History []Outcome
}

// Shape is a job's graph at one parallelism.
type Shape struct {
	Topology    checkpoint.Topology
	Parallelism map[checkpoint.OperatorID]int // as Job.Parallelism
}

// FormerTopology is the graph of the attempts after the previous entry's Last, or from the first, up to Last.
type FormerTopology struct {
	Last     checkpoint.Attempt
	Topology checkpoint.Topology
}

// Source is a completed checkpoint or savepoint that a job is submitted from.
type Source struct {
	Job        checkpoint.JobID // that took it; it may be unknown here
	Checkpoint checkpoint.ID
	Kind       checkpoint.Kind
	Manifest   checkpoint.ChunkRef
	// Claim makes the new job its owner: it enters the new job's log and is discarded when it is subsumed.
	// Otherwise it stays whose it is; it may not be discarded before the new job has completed a checkpoint of
	// its own, and that one is Full.
	Claim bool
	// AllowNonRestoredState lets state go unused whose operator the new graph does not have.
	AllowNonRestoredState bool
}

// IsZero reports whether there is nothing to start from.
func (s Source) IsZero() bool { return s.Manifest.ID.IsZero() }

// MaxHistory bounds Job.History.
const MaxHistory = 100

// Restart is the state of a job's restart strategy, carried in commands so that it survives a failover.
type Restart struct {
	Count         int                  // restarts so far
	Delay         int64                // the last delay in milliseconds, 0 before the first failure
	SinceReset    int                  // exponential delay: restarts since the delay was last reset
	NextAt        checkpoint.Timestamp // while restarting: when the next attempt may start
	LastFailureAt checkpoint.Timestamp
	// Failures are the times of the failures that failure rate still counts, ascending.
	Failures []checkpoint.Timestamp
}

// Pending is a checkpoint that has begun.
type Pending struct {
	ID          checkpoint.ID
	Attempt     checkpoint.Attempt
	Kind        checkpoint.Kind
	TriggeredAt checkpoint.Timestamp
	BeganTerm   checkpoint.Term // of the leader that began it
	Stop        checkpoint.Stop // of a savepoint that the job ends with
	Full        bool            // shares no chunk with an earlier checkpoint
	Manual      bool            // a user asked for it
	Aligned     bool            // holds no records in flight, whatever the configuration says
}

// Completed is an entry of the completed-checkpoint log, or a savepoint.
type Completed struct {
	ID          checkpoint.ID
	Attempt     checkpoint.Attempt
	Kind        checkpoint.Kind
	TriggeredAt checkpoint.Timestamp
	CompletedAt checkpoint.Timestamp
	Manifest    checkpoint.ChunkRef
	StateSize   int64
	NumSubtasks int
	Stop        checkpoint.Stop
	Aligned     bool
}

// Discard is a completed checkpoint whose chunks are no longer needed by the log.
type Discard struct {
	ID       checkpoint.ID
	Manifest checkpoint.ChunkRef
}

// GivenUp is a completed checkpoint from which the job could not be restored, so that it went back to an older one.
type GivenUp struct {
	ID    checkpoint.ID
	Cause string
	Term  checkpoint.Term // of the leader that gave it up
	At    checkpoint.Timestamp
}

// MaxGivenUp bounds Job.GivenUp.
const MaxGivenUp = 10

// Counters count the checkpoints of a job since its submission.
type Counters struct {
	Completed uint64
	Failed    uint64
	Restored  uint64
}

// OutcomeStatus is how a checkpoint ended. The numbers are persisted.
type OutcomeStatus uint8

const (
	// OutcomeCompleted: committed as complete.
	OutcomeCompleted OutcomeStatus = 1
	// OutcomeFailed: aborted.
	OutcomeFailed OutcomeStatus = 2
)

// Outcome is an entry of the statistics history.
type Outcome struct {
	ID              checkpoint.ID
	Attempt         checkpoint.Attempt
	Kind            checkpoint.Kind
	Status          OutcomeStatus
	TriggeredAt     checkpoint.Timestamp
	EndedAt         checkpoint.Timestamp
	Stop            checkpoint.Stop
	Sizes           Sizes
	NumSubtasks     int
	NumAcknowledged int
	Reason          checkpoint.Reason // when failed
	Message         string            // when failed: subtask, node, phase, cause
	// Detail is the per-subtask breakdown.
	Detail    Detail
	Term      checkpoint.Term // of the leader that proposed the outcome
	BeganTerm checkpoint.Term // of the leader that began the checkpoint
}

// Sizes are what a checkpoint measured, summed over its subtasks; AlignmentMillis is that of the slowest.
type Sizes struct {
	State           int64 // bytes that the checkpoint names
	Checkpointed    int64 // bytes newly stored for it
	AlignmentMillis int64
	Processed       int64 // bytes of records processed during alignment
	Persisted       int64 // bytes of records in flight that it holds
}

// Detail is where the per-subtask breakdown of a checkpoint is: inline, as checkpoint.EncodeDetail writes it, when
// it is at most MaxInlineDetail bytes; else a chunk of the state store; or nowhere.
type Detail struct {
	Inline []byte
	Chunk  checkpoint.ChunkRef
}

// MaxInlineDetail bounds Detail.Inline, so that a checkpoint's entries in the log stay small whatever the parallelism.
const MaxInlineDetail = 1024
