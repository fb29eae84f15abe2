package api

// Times are milliseconds since the Unix epoch, durations milliseconds, sizes bytes. Zero times mean
// "never".

// Leader is the coordinator that leads, and its Raft term.
type Leader struct {
	ID      string `json:"id"`
	Term    uint64 `json:"term"`
	Address string `json:"address,omitempty"`
}

// Voter is a coordinator replica that votes.
type Voter struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	// State is "leader", "follower", "failed" (a follower that the leader has not reached for a while), or
	// "unknown" when there is no leader to tell.
	State string `json:"state"`
	// LastContactMillis is the time since the leader last heard of the voter: 0 for the leader itself, -1
	// when never.
	LastContactMillis int64 `json:"last_contact_ms"`
}

// Node is a task node.
type Node struct {
	ID        string `json:"id"`
	Address   string `json:"address"`
	State     string `json:"state"` // "alive", "suspect", "lost" or "left"
	Slots     int    `json:"slots"`
	UsedSlots int    `json:"used_slots"`
}

// Status describes the whole cluster.
type Status struct {
	Leader Leader  `json:"leader"`
	Voters []Voter `json:"voters"`
	// FailureTolerance is how many more voters can fail before the quorum is lost.
	FailureTolerance int  `json:"failure_tolerance"`
	Healthy          bool `json:"healthy"`
	// Problems says why the cluster is not healthy, one sentence each.
	Problems []string     `json:"problems"`
	Nodes    []Node       `json:"nodes"`
	Jobs     []JobSummary `json:"jobs"`
}

// JobSummary is a job's line in Status.
type JobSummary struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	State       string            `json:"state"`
	Attempt     uint32            `json:"attempt"`
	Restarts    int               `json:"restarts"`
	Checkpoints CheckpointSummary `json:"checkpoints"`
}

// CheckpointSummary counts a job's checkpoints.
type CheckpointSummary struct {
	LastCompletedID uint64 `json:"last_completed_id"`
	LastCompletedAt int64  `json:"last_completed_at"`
	InProgress      int    `json:"in_progress"`
	Completed       uint64 `json:"completed"`
	Failed          uint64 `json:"failed"`
}

// Member is a process that gossip knows.
type Member struct {
	ID      string `json:"id"`
	Role    string `json:"role"` // "coordinator" or "node"
	Address string `json:"address"`
	Gossip  string `json:"gossip"`
	State   string `json:"state"` // "alive", "failed" or "left"
	Version string `json:"version"`
}

// SubmitJobRequest names a program that the nodes know, and how to run it.
type SubmitJobRequest struct {
	Program string
	Name    string // defaults to Program
	Params  map[string]string
	// Config holds the keys that differ from the defaults, for example "checkpointing.interval": "500ms".
	Config map[string]string
}

// Job is a job's line in a listing.
type Job struct {
	JobSummary
	Program     string `json:"program"`
	SubmittedAt int64  `json:"submitted_at"`
	EndedAt     int64  `json:"ended_at"`
	// Reason says what the job waits for or why it failed; empty when all is well.
	Reason string `json:"reason"`
}

// JobDetail is everything about one job.
type JobDetail struct {
	Job
	Params       map[string]string `json:"params"`
	Config       map[string]string `json:"config"`
	RestoredFrom uint64            `json:"restored_from"`
	Vertices     []Vertex          `json:"vertices"`
	Subtasks     []Subtask         `json:"subtasks"`
}

// Vertex is a chain of operators of a job.
type Vertex struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Parallelism    int    `json:"parallelism"`
	MaxParallelism int    `json:"max_parallelism"`
}

// Subtask is one parallel instance of a vertex.
type Subtask struct {
	ID     string `json:"id"` // vertex[index]
	Node   string `json:"node"`
	Status string `json:"status"`
}

// Checkpoint is a checkpoint's line in a listing.
type Checkpoint struct {
	ID                      uint64 `json:"id"`
	Status                  string `json:"status"` // "in_progress", "completed" or "failed"
	Kind                    string `json:"kind"`
	Attempt                 uint32 `json:"attempt"`
	BeganTerm               uint64 `json:"began_term"` // of the leader that began it
	EndedTerm               uint64 `json:"ended_term"` // of the leader that decided its outcome, 0 while in progress
	TriggerTimestamp        int64  `json:"trigger_timestamp"`
	EndToEndDurationMillis  int64  `json:"end_to_end_duration_ms"`
	StateSize               int64  `json:"state_size"`
	NumSubtasks             int    `json:"num_subtasks"`
	NumAcknowledgedSubtasks int    `json:"num_acknowledged_subtasks"`
	FailureMessage          string `json:"failure_message"`
}

// CheckpointDetail is everything about one checkpoint. Subtasks is filled while the checkpoint is
// pending and, as long as the leader that completed it leads, afterwards.
type CheckpointDetail struct {
	Checkpoint
	Retained bool                `json:"retained"`
	Manifest string              `json:"manifest"` // chunk ID; empty unless completed
	Subtasks []SubtaskCheckpoint `json:"subtasks"`
}

// SubtaskCheckpoint is one subtask's part in a checkpoint.
type SubtaskCheckpoint struct {
	ID               string `json:"id"`
	Node             string `json:"node"`
	Acknowledged     bool   `json:"acknowledged"`
	StateSize        int64  `json:"state_size"`
	StartDelayMillis int64  `json:"start_delay_ms"`
	AlignmentMillis  int64  `json:"alignment_ms"`
	SyncMillis       int64  `json:"sync_ms"`
	AsyncMillis      int64  `json:"async_ms"`
}
