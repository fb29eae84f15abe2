package checkpoint

import "fmt"

// Phase is how far a subtask has come with its part in a checkpoint. The numbers are persisted.
type Phase uint8

const (
	// PhaseStartDelay: the first barrier has not arrived. Records are queued before it, or a task upstream holds it
	// up.
	PhaseStartDelay Phase = 1
	// PhaseAlignment: the barrier has arrived on some channels.
	PhaseAlignment Phase = 2
	// PhaseSync: the state is being captured; the task processes nothing.
	PhaseSync Phase = 3
	// PhaseAsync: the captured state is being serialized, beside the task.
	PhaseAsync Phase = 4
	// PhaseUpload: the snapshot is being stored and replicated.
	PhaseUpload Phase = 5
	// PhaseAck: the snapshot is durable; the leader has to hear of it.
	PhaseAck Phase = 6
)

// String returns the word for the phase in listings and error messages.
func (p Phase) String() string {
	switch p {
	case PhaseStartDelay:
		return "start delay"
	case PhaseAlignment:
		return "alignment"
	case PhaseSync:
		return "sync"
	case PhaseAsync:
		return "async"
	case PhaseUpload:
		return "upload"
	case PhaseAck:
		return "ack"
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// Metrics are the durations and sizes of one subtask's part in a checkpoint: Flink's CheckpointMetrics.
type Metrics struct {
	StartDelayMillis int64 // from the trigger's timestamp to the first barrier
	AlignmentMillis  int64 // from the first barrier to the last
	SyncMillis       int64 // of the capture, with processing stopped
	AsyncMillis      int64 // of serializing, storing and replicating, UploadMillis included
	UploadMillis     int64 // of storing and replicating alone

	CheckpointedBytes int64 // newly stored for this checkpoint; less than the state where that is incremental
	ProcessedBytes    int64 // of records processed during the alignment
	PersistedBytes    int64 // of records in flight that became part of the snapshot (unaligned)
}

// Slowest returns the phase of a finished part that took longest, and for how many milliseconds.
func (m Metrics) Slowest() (Phase, int64) {
	slowest, longest := PhaseStartDelay, m.StartDelayMillis
	for _, p := range []struct {
		phase  Phase
		millis int64
	}{
		{PhaseAlignment, m.AlignmentMillis},
		{PhaseSync, m.SyncMillis},
		{PhaseAsync, m.AsyncMillis - m.UploadMillis},
		{PhaseUpload, m.UploadMillis},
	} {
		if p.millis > longest {
			slowest, longest = p.phase, p.millis
		}
	}
	return slowest, longest
}
