package checkpoint

import (
	"encoding/hex"
	"fmt"
	"strconv"
)

// ID numbers the checkpoints (and savepoints) of one job. The first is 1 and each next one is larger,
// also across restarts of the job, changes of leader and restores; zero means "no checkpoint".
type ID uint64

// String returns the decimal number.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// Term is the Raft term under which a coordinator leads. A node obeys the highest term it has seen and
// rejects every message of a lower one.
type Term uint64

// Attempt counts the executions of a job, from 1. Zero means that the job has not run yet.
type Attempt uint32

// NodeID names a task node or a coordinator. It is unique in the cluster and survives restarts.
type NodeID string

// Incarnation tells two processes of the same node apart: a node draws a random one at start-up. Tasks
// live in the memory of one incarnation and die with it.
type Incarnation uint64

// VertexID names a vertex of the job graph: a chain of operators that run as one task. It is the ID of
// the chain's first operator.
type VertexID string

// OperatorID names one operator of a job. State is matched to operators by it, so it stays the same when
// the job's code changes.
type OperatorID string

// Timestamp is a wall-clock time in milliseconds since the Unix epoch; zero means "never".
type Timestamp int64

// JobID is the 128-bit name of one submitted job. It prints as 32 hexadecimal digits, Flink's form.
type JobID [16]byte

// String returns the 32 hexadecimal digits.
func (j JobID) String() string { return hex.EncodeToString(j[:]) }

// IsZero reports whether j is the zero ID, which names no job.
func (j JobID) IsZero() bool { return j == JobID{} }

// ParseJobID reads the form that String writes.
func ParseJobID(s string) (JobID, error) {
	var j JobID
	if len(s) != 2*len(j) {
		return JobID{}, fmt.Errorf("job ID %q: want 32 hexadecimal digits, got %d characters", s, len(s))
	}
	if _, err := hex.Decode(j[:], []byte(s)); err != nil {
		return JobID{}, fmt.Errorf("job ID %q: want 32 hexadecimal digits: %w", s, err)
	}
	return j, nil
}

// SubtaskID names one parallel instance of a vertex. It prints as "vertex[index]".
type SubtaskID struct {
	Vertex VertexID
	Index  int // from 0
}

// String returns "vertex[index]".
func (s SubtaskID) String() string { return string(s.Vertex) + "[" + strconv.Itoa(s.Index) + "]" }

// Less orders subtasks by vertex name, then index.
func (s SubtaskID) Less(other SubtaskID) bool {
	if s.Vertex != other.Vertex {
		return s.Vertex < other.Vertex
	}
	return s.Index < other.Index
}
