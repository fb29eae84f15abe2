package fsm

// Summary sums up the completed checkpoints of a job since its submission, savepoints included (Flink's
// CompletedCheckpointStatsSummary). Its distributions count the same checkpoints.
type Summary struct {
	Duration     Distribution // end to end, milliseconds
	StateSize    Distribution // bytes
	Checkpointed Distribution // bytes newly stored
	Alignment    Distribution // of the slowest subtask, milliseconds
	Processed    Distribution // bytes processed during alignment
	Persisted    Distribution // bytes in flight that the checkpoint holds
}

// with returns the summary with one more completed checkpoint in it.
func (s Summary) with(o Outcome) Summary {
	return Summary{
		Duration:     s.Duration.with(int64(o.EndedAt - o.TriggeredAt)),
		StateSize:    s.StateSize.with(o.Sizes.State),
		Checkpointed: s.Checkpointed.with(o.Sizes.Checkpointed),
		Alignment:    s.Alignment.with(o.Sizes.AlignmentMillis),
		Processed:    s.Processed.with(o.Sizes.Processed),
		Persisted:    s.Persisted.with(o.Sizes.Persisted),
	}
}

// distributions names the parts, for whoever treats them alike.
func (s *Summary) distributions() []*Distribution {
	return []*Distribution{&s.Duration, &s.StateSize, &s.Checkpointed, &s.Alignment, &s.Processed, &s.Persisted}
}
