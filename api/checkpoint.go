package api

// Checkpoint is a line in a listing of checkpoints and savepoints.
type Checkpoint struct {
	ID                      uint64 `json:"id"`
	Status                  string `json:"status"` // "in_progress", "completed" or "failed"
	Kind                    string `json:"kind"`   // "checkpoint" or "savepoint"
	Stop                    string `json:"stop"`   // "", "suspend" or "drain": what becomes of the job
	Attempt                 uint32 `json:"attempt"`
	BeganTerm               uint64 `json:"began_term"` // of the leader that began it
	EndedTerm               uint64 `json:"ended_term"` // of the leader that decided its outcome, 0 while in progress
	TriggerTimestamp        int64  `json:"trigger_timestamp"`
	EndToEndDurationMillis  int64  `json:"end_to_end_duration_ms"`
	StateSize               int64  `json:"state_size"`
	CheckpointedSize        int64  `json:"checkpointed_size"` // newly stored for it
	AlignmentMillis         int64  `json:"alignment_ms"`      // of the slowest subtask
	ProcessedData           int64  `json:"processed_data"`    // bytes, during alignment
	PersistedData           int64  `json:"persisted_data"`    // bytes in flight that it holds
	NumSubtasks             int    `json:"num_subtasks"`
	NumAcknowledgedSubtasks int    `json:"num_acknowledged_subtasks"`
	// FailureReason is Flink's name for it, in lower case; empty unless failed. FailureMessage says it in full.
	FailureReason  string `json:"failure_reason"`
	FailureMessage string `json:"failure_message"`
	// Retained says that it is kept, and a job can be submitted from it; RestoredFrom that the current attempt started
	// from it.
	Retained     bool `json:"retained"`
	RestoredFrom bool `json:"restored_from"`
	// GivenUp says why the job went back to an older checkpoint although this one had completed; empty when it did not.
	GivenUp string `json:"given_up"`
}

// CheckpointDetail is everything about one checkpoint.
type CheckpointDetail struct {
	Checkpoint
	Manifest     string              `json:"manifest"` // chunk ID; empty unless completed
	ManifestSize int64               `json:"manifest_size"`
	Tasks        []TaskCheckpoint    `json:"tasks"` // one per vertex, with its subtasks summed up
	Subtasks     []SubtaskCheckpoint `json:"subtasks"`
	// Slowest names the subtask that held the checkpoint up most, or still does, and why; nil when unknown.
	Slowest *SlowestSubtask `json:"slowest"`
	// DetailMissing says why Tasks and Subtasks are empty when they are.
	DetailMissing string `json:"detail_missing"`
}

// TaskCheckpoint sums up the subtasks of one vertex.
type TaskCheckpoint struct {
	Vertex                  string `json:"vertex"`
	NumSubtasks             int    `json:"num_subtasks"`
	NumAcknowledgedSubtasks int    `json:"num_acknowledged_subtasks"`
	LatestAckTimestamp      int64  `json:"latest_ack_timestamp"`
	EndToEndDurationMillis  int64  `json:"end_to_end_duration_ms"`
	StateSize               int64  `json:"state_size"`
	CheckpointedSize        int64  `json:"checkpointed_size"`
	ProcessedData           int64  `json:"processed_data"`
	PersistedData           int64  `json:"persisted_data"`
}

// SubtaskCheckpoint is one subtask's part in a checkpoint.
type SubtaskCheckpoint struct {
	ID           string `json:"id"` // vertex[index]
	Node         string `json:"node"`
	Acknowledged bool   `json:"acknowledged"`
	Finished     bool   `json:"finished"` // had finished before: counts as acknowledged
	// Phase is how far a subtask has come that has not acknowledged: "start delay", "alignment", "sync", "async",
	// "upload" or "ack".
	Phase            string `json:"phase"`
	AckTimestamp     int64  `json:"ack_timestamp"`
	StateSize        int64  `json:"state_size"`
	CheckpointedSize int64  `json:"checkpointed_size"`
	StartDelayMillis int64  `json:"start_delay_ms"`
	AlignmentMillis  int64  `json:"alignment_ms"`
	SyncMillis       int64  `json:"sync_ms"`
	AsyncMillis      int64  `json:"async_ms"`  // upload included
	UploadMillis     int64  `json:"upload_ms"` // storing and replicating
	ProcessedData    int64  `json:"processed_data"`
	PersistedData    int64  `json:"persisted_data"`
}

// SlowestSubtask names what a checkpoint waited for.
type SlowestSubtask struct {
	ID     string `json:"id"`
	Node   string `json:"node"`
	Phase  string `json:"phase"`
	Millis int64  `json:"ms"` // in that phase; while pending, since the trigger
}

// CheckpointStatistics counts and sums up a job's checkpoints since its submission. It survives changes of leader.
type CheckpointStatistics struct {
	Counts  CheckpointCounts  `json:"counts"`
	Summary CheckpointSummary `json:"summary"`
	Latest  LatestCheckpoints `json:"latest"`
}

// CheckpointCounts are Flink's counts.
type CheckpointCounts struct {
	Restored   uint64 `json:"restored"`
	Total      uint64 `json:"total"`
	InProgress int    `json:"in_progress"`
	Completed  uint64 `json:"completed"`
	Failed     uint64 `json:"failed"`
}

// CheckpointSummary distributes what the completed checkpoints measured.
type CheckpointSummary struct {
	EndToEndDuration Distribution `json:"end_to_end_duration_ms"`
	StateSize        Distribution `json:"state_size"`
	CheckpointedSize Distribution `json:"checkpointed_size"`
	Alignment        Distribution `json:"alignment_ms"`
	ProcessedData    Distribution `json:"processed_data"`
	PersistedData    Distribution `json:"persisted_data"`
}

// Distribution is all zero when nothing was counted. Quantiles are within 1%.
type Distribution struct {
	Min  int64 `json:"min"`
	Max  int64 `json:"max"`
	Avg  int64 `json:"avg"`
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P95  int64 `json:"p95"`
	P99  int64 `json:"p99"`
	P999 int64 `json:"p999"`
}

// LatestCheckpoints holds the last of each sort, nil for none that is remembered.
type LatestCheckpoints struct {
	Completed *Checkpoint `json:"completed"`
	Savepoint *Checkpoint `json:"savepoint"`
	Failed    *Checkpoint `json:"failed"`
	Restored  uint64      `json:"restored"` // the checkpoint that the current attempt started from, 0 for none
}

// Stop says what becomes of the job once a savepoint has completed.
type Stop string

const (
	// StopNone: the job goes on.
	StopNone Stop = ""
	// StopSuspend: the job ends as it is, to be resumed from the savepoint.
	StopSuspend Stop = "suspend"
	// StopDrain: the job ends its input first, so that all its output is final.
	StopDrain Stop = "drain"
)

// Savepoint is a completed savepoint that has not been disposed of.
type Savepoint struct {
	Job          string `json:"job"` // ID
	JobName      string `json:"job_name"`
	ID           uint64 `json:"id"`
	Stop         string `json:"stop"`
	TriggeredAt  int64  `json:"triggered_at"`
	CompletedAt  int64  `json:"completed_at"`
	StateSize    int64  `json:"state_size"`
	NumSubtasks  int    `json:"num_subtasks"`
	Manifest     string `json:"manifest"` // chunk ID
	ManifestSize int64  `json:"manifest_size"`
	// UsedBy are the IDs of jobs that were submitted from it and have not completed a checkpoint of their own.
	UsedBy []string `json:"used_by"`
	// Imported says that it was copied into the cluster from a directory, at ImportedAt; Incomplete that this has begun and
	// is not finished, so that no job can start from it. An imported one has JobName from the directory.
	Imported   bool  `json:"imported"`
	ImportedAt int64 `json:"imported_at"`
	Incomplete bool  `json:"incomplete"`
}

// SnapshotInfo describes a snapshot of the replicated state.
type SnapshotInfo struct {
	Version int    `json:"version"` // of the format
	Index   uint64 `json:"index"`   // of the last Raft entry that it holds
	Term    uint64 `json:"term"`
	Size    int64  `json:"size"`   // bytes
	SHA256  string `json:"sha256"` // of the bytes
	Jobs    int    `json:"jobs"`
	// Checkpoints and Savepoints count what is retained.
	Checkpoints int `json:"checkpoints"`
	Savepoints  int `json:"savepoints"`
}
