package checkpoint

// Manifest lists every subtask's handles of one completed checkpoint (Flink's _metadata file), together
// with the shape of the job that took it, so that a restore can match state to operators and key groups.
// It is a blob in the state store; the Raft log holds only its ChunkRef.
type Manifest struct {
	Job              JobID
	ID               ID
	Attempt          Attempt
	Kind             Kind
	TriggerTimestamp Timestamp
	Vertices         []Vertex       // names are not stored
	Subtasks         []SubtaskState // one per subtask, in the order of Topology.Subtasks
	// Writers are the nodes that stored the subtasks' state, and so have a copy of it for as long as they have their
	// disks; an empty one is not known. It is nil in manifests that were written before they named them.
	Writers []NodeID
}

// StateSize returns the bytes of state that the checkpoint holds, the manifest itself not counted.
func (m Manifest) StateSize() int64 {
	var n int64
	for _, s := range m.Subtasks {
		n += s.Size()
	}
	return n
}
