package api

// What the subtasks of a job's attempt measure of themselves. The leader hears of it about once a second, keeps the
// latest in memory, and has nothing to show of attempts that are over. What is not known is null, never 0.

// JobMetrics is what the subtasks of a job, or of one vertex of it, measure.
type JobMetrics struct {
	Job      string           `json:"job"` // ID
	Name     string           `json:"name"`
	Attempt  uint32           `json:"attempt"`
	Subtasks []SubtaskMetrics `json:"subtasks"` // in the job's order; empty while no attempt is placed
}

// SubtaskMetrics is what one subtask measures.
type SubtaskMetrics struct {
	ID     string `json:"id"` // vertex[index]
	Node   string `json:"node"`
	Status string `json:"status"`
	// MeasuredAt is when the leader heard of it last, 0 for never.
	MeasuredAt int64       `json:"measured_at"`
	Totals     *TaskTotals `json:"totals"`
	// Load is null also when the subtask does not run, and when nothing was heard of it for some seconds.
	Load *TaskLoad `json:"load"`
	// Watermark is the subtask's event time; null while it has none.
	Watermark *int64 `json:"watermark"`
	// LastCheckpoint is the newest that the subtask has acknowledged in this attempt.
	LastCheckpoint *LastCheckpoint `json:"last_checkpoint"`
}

// TaskTotals counts from the beginning of the attempt.
type TaskTotals struct {
	RecordsIn  int64 `json:"records_in"`  // emitted by the source, or received
	RecordsOut int64 `json:"records_out"` // sent to other subtasks
	BytesIn    int64 `json:"bytes_in"`
	BytesOut   int64 `json:"bytes_out"`
	// LateRecords have been dropped by windows and joins, because the watermark had passed them.
	LateRecords int64 `json:"late_records"`
}

// TaskLoad is how busy a subtask was in the last seconds. Of each second it was backpressured while it waited for room
// in one of its outputs, idle while it waited for input, and busy the rest.
type TaskLoad struct {
	RecordsInPerSecond           float64 `json:"records_in_per_second"`
	RecordsOutPerSecond          float64 `json:"records_out_per_second"`
	BytesInPerSecond             float64 `json:"bytes_in_per_second"`
	BytesOutPerSecond            float64 `json:"bytes_out_per_second"`
	BusyMillisPerSecond          float64 `json:"busy_ms_per_second"`
	BackpressuredMillisPerSecond float64 `json:"backpressured_ms_per_second"`
	IdleMillisPerSecond          float64 `json:"idle_ms_per_second"`
	// InFlightBytes waited in the subtask's channels: received and not taken in, or emitted and not sent.
	InFlightBytes int64 `json:"in_flight_bytes"`
}

// LastCheckpoint is a subtask's part in the newest checkpoint that it has acknowledged.
type LastCheckpoint struct {
	ID               uint64 `json:"id"`
	StateBytes       int64  `json:"state_bytes"`
	AlignmentMillis  int64  `json:"alignment_ms"`
	StartDelayMillis int64  `json:"start_delay_ms"`
}

// VertexMetrics sums up the subtasks of a vertex.
type VertexMetrics struct {
	Measured int        `json:"measured"` // subtasks that the sums are of
	Totals   TaskTotals `json:"totals"`
	Loads    int        `json:"loads"` // subtasks that Load is of
	// Load has the sums of the rates and of the bytes in flight, and the busy, backpressured and idle time each of the
	// subtask that has most of it. It is null when that of no subtask is known.
	Load *TaskLoad `json:"load"`
	// Watermark is the lowest, null while some measured subtask has none.
	Watermark *int64 `json:"watermark"`
	// StateBytes sums up the subtasks' last checkpoints.
	StateBytes int64 `json:"state_bytes"`
}
