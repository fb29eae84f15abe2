package checkpoint

// Detail is the per-subtask breakdown of one checkpoint, completed or failed: what the statistics show of it. Small
// ones travel in the Raft log; large ones are a blob in the state store.
type Detail struct {
	Subtasks []SubtaskDetail // one per subtask, in the order of Topology.Subtasks
}

// SubtaskDetail is one subtask's part in a checkpoint.
type SubtaskDetail struct {
	Node         NodeID
	Acknowledged bool
	AckMillis    int64 // from the trigger's timestamp to the ack's arrival at the leader
	// Finished says that the subtask had finished before the checkpoint, and counted as acknowledged.
	Finished  bool
	Phase     Phase // the last one known, when not acknowledged
	StateSize int64
	Metrics   Metrics
}
