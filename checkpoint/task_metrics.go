package checkpoint

// SubtaskMetrics is what one subtask of an attempt has done so far, and how it gets on.
type SubtaskMetrics struct {
	Subtask SubtaskID
	// RecordsIn (emitted by a source, or received), RecordsOut (sent to other subtasks) and the bytes of the frames
	// that carried them count from the beginning of the attempt.
	RecordsIn, RecordsOut int64
	BytesIn, BytesOut     int64
	// LateRecords have been dropped by windows and joins since then, because the watermark had passed them.
	LateRecords int64
	// Load is that of the last seconds; nil while it is not known: the subtask is not running, or has just begun to.
	Load *TaskLoad
	// Watermark is the subtask's event time, in milliseconds since the Unix epoch; nil while it has none.
	Watermark *int64
	// Checkpoint is the newest that the subtask has acknowledged in this attempt, 0 for none. The state is what it
	// stored for it, and the durations are those of its part in it.
	Checkpoint                        ID
	StateBytes                        int64
	AlignmentMillis, StartDelayMillis int64
}

// TaskLoad is how busy a subtask was in the last seconds. None of its values is negative.
type TaskLoad struct {
	// Per second.
	RecordsIn, RecordsOut float64
	BytesIn, BytesOut     float64
	// Milliseconds of each second; their sum is about 1000. A task is backpressured while it waits for room in one of
	// its outputs, idle while it waits for input or for something to be told, and busy otherwise.
	BusyMillis, BackpressuredMillis, IdleMillis float64
	// InFlightBytes is what waited in the subtask's channels when this was measured: received and not taken in yet, or
	// emitted and not sent.
	InFlightBytes int64
}
