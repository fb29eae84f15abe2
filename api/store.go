package api

import "cairn/checkpoint"

// StoreStatus says how the state store is, as the leader knows it from the nodes' inventories.
type StoreStatus struct {
	// Backend is "nodes", or the name of the shared store, without secrets.
	Backend  string `json:"backend"`
	Replicas int    `json:"replicas"` // copies that each chunk should have
	// Chunks and Bytes are what retained checkpoints, savepoints and imports name, each chunk once. Complete says that
	// every living node has told what it holds; until then the figures below are not reliable.
	Chunks   int64 `json:"chunks"`
	Bytes    int64 `json:"bytes"`
	Complete bool  `json:"complete"`
	// UnderReplicated are the chunks with fewer copies on living nodes than they should have, those without any included;
	// Lost are those without any.
	UnderReplicated ChunkCount `json:"under_replicated"`
	Lost            ChunkCount `json:"lost"`
	// Repairing are the copies that have been ordered and not been made yet.
	Repairing ChunkCount `json:"repairing"`
	// SweptAt is when all that the nodes hold was last compared with what is named.
	SweptAt int64       `json:"swept_at"`
	Nodes   []StoreNode `json:"nodes"`
	// Problems says what is not as it should be, one sentence each.
	Problems []string `json:"problems"`
}

// ChunkCount is a number of chunks and the bytes of their content.
type ChunkCount struct {
	Chunks int64 `json:"chunks"`
	Bytes  int64 `json:"bytes"`
}

// StoreNode is a node's part of the state store.
type StoreNode struct {
	ID    string `json:"id"`
	Zone  string `json:"zone"`
	State string `json:"state"` // as of Node
	Path  string `json:"path"`
	// Complete says that the node has told all that it holds.
	Complete    bool  `json:"complete"`
	Chunks      int64 `json:"chunks"`
	Bytes       int64 `json:"bytes"`
	StoredBytes int64 `json:"stored_bytes"` // on the disk: less where chunks are compressed
	FreeBytes   int64 `json:"free_bytes"`
	TotalBytes  int64 `json:"total_bytes"`
	// UnderReplicated are those of its chunks that have fewer copies than they should.
	UnderReplicated int64 `json:"under_replicated"`
	Corrupt         int64 `json:"corrupt"`   // damaged copies in quarantine
	Repairing       int64 `json:"repairing"` // copies that it has been told to make
	// The last full pass of scrubbing, and the present one.
	ScrubbedAt   int64   `json:"scrubbed_at"`
	ScrubCorrupt int64   `json:"scrub_corrupt"`
	ScrubShare   float64 `json:"scrub_share"` // of the present pass that is done, 0 between passes
}

// MaxLocated bounds what is asked of one LocateChunks.
const MaxLocated = 16384

// CheckpointLocation says what a checkpoint or savepoint consists of. All else is in its manifest.
type CheckpointLocation struct {
	Job      string // ID
	JobName  string
	ID       uint64
	Kind     string // "checkpoint" or "savepoint"
	Manifest checkpoint.ChunkRef
	Detail   checkpoint.ChunkRef // the breakdown of its statistics, zero when that is no chunk
	Replicas int                 // copies that each chunk should have
	// Incomplete says that it is an imported savepoint of which not all has been stored yet.
	Incomplete bool
}

// ChunkLocations says which nodes hold chunks.
type ChunkLocations struct {
	// Complete says that every living node has told what it holds; Shared that there is one store for all nodes, in which
	// each of them finds what is there. Without the one, or with the other, Holders does not say who has what.
	Complete bool
	Shared   bool
	// Nodes are those that hold some of the chunks, and Holders, in the order of the question, the positions of each chunk's
	// in Nodes.
	Nodes   []string
	Holders [][]int
}
