package fsm

// Summary sums up the completed checkpoints of a job since its submission (Flink's CompletedCheckpointStatsSummary).
type Summary struct {
	Duration     Distribution // end to end, milliseconds
	StateSize    Distribution // bytes
	Checkpointed Distribution // bytes newly stored
	Alignment    Distribution // of the slowest subtask, milliseconds
	Processed    Distribution // bytes processed during alignment
	Persisted    Distribution // bytes in flight that the checkpoint holds
}

// Distribution counts values that are not negative. Minimum, maximum and average are exact; a quantile is exact up to
// 127 and within 1% above, by counting in buckets (an HDR histogram of two significant digits). It is immutable:
// with returns a new one.
type Distribution struct {
	Count, Sum, Min, Max int64
	Buckets              []Bucket // ascending by Index; only those with a count
}

// Bucket counts the values that fall between two bounds.
type Bucket struct {
	Index uint16
	Count uint64
}
