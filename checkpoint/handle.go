package checkpoint

import (
	"encoding/hex"
	"fmt"
)

// ChunkID names a chunk of snapshotted bytes by the BLAKE3-256 hash of its content. A chunk is written
// once and never changed.
type ChunkID [32]byte

// String returns 64 hexadecimal digits.
func (c ChunkID) String() string { return hex.EncodeToString(c[:]) }

// IsZero reports whether c names no chunk.
func (c ChunkID) IsZero() bool { return c == ChunkID{} }

// ParseChunkID reads the form that String writes. It is the only way from outside input to a chunk's
// file name, so it accepts nothing but 64 lower-case hexadecimal digits.
func ParseChunkID(s string) (ChunkID, error) {
	var c ChunkID
	if len(s) != 2*len(c) {
		return ChunkID{}, fmt.Errorf("chunk ID %q: want 64 hexadecimal digits, got %d characters", s, len(s))
	}
	if _, err := hex.Decode(c[:], []byte(s)); err != nil || c.String() != s {
		return ChunkID{}, fmt.Errorf("chunk ID %q: want 64 lower-case hexadecimal digits", s)
	}
	return c, nil
}

// ChunkRef is a chunk's name and its size in bytes, both checked on every read.
type ChunkRef struct {
	ID   ChunkID
	Size int64
}

// HandleKind says how the state behind a handle is spread over subtasks when the parallelism changes.
// The numbers are persisted.
type HandleKind uint8

const (
	// KeyedState is split by key group.
	KeyedState HandleKind = 1
	// ListState is a list whose entries are dealt out evenly.
	ListState HandleKind = 2
	// UnionState is a list that every subtask receives whole. Reserved.
	UnionState HandleKind = 3
	// BroadcastState is the same on every subtask; one copy is restored to each. Reserved.
	BroadcastState HandleKind = 4
)

// String names the kind in errors and listings.
func (k HandleKind) String() string {
	switch k {
	case KeyedState:
		return "keyed"
	case ListState:
		return "list"
	case UnionState:
		return "union"
	case BroadcastState:
		return "broadcast"
	}
	return fmt.Sprintf("handle(%d)", uint8(k))
}

// Handle points to one piece of an operator's snapshotted state.
type Handle struct {
	Operator  OperatorID
	Name      string // the state's name within the operator; empty for keyed state, which holds all tables
	Kind      HandleKind
	KeyGroups KeyGroupRange // for KeyedState: the groups it covers
	Chunks    []ChunkRef    // the content, in order
}

// Size returns the bytes behind the handle.
func (h Handle) Size() int64 {
	var n int64
	for _, c := range h.Chunks {
		n += c.Size
	}
	return n
}

// SubtaskState is everything that one subtask contributes to a checkpoint.
type SubtaskState struct {
	Subtask SubtaskID
	// EndOfData says that the subtask had seen the end of its input and had finished its operators when
	// the snapshot was taken: a restored one must not finish them a second time.
	EndOfData bool
	Handles   []Handle
}

// Size returns the bytes behind all handles.
func (s SubtaskState) Size() int64 {
	var n int64
	for _, h := range s.Handles {
		n += h.Size()
	}
	return n
}
