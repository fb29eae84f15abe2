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
	// UnionState is a list that every subtask receives whole.
	UnionState HandleKind = 3
	// BroadcastState is the same on every subtask; one copy is restored to each.
	BroadcastState HandleKind = 4
	// ChannelState are the records in flight that an unaligned snapshot has found in channels. They can not be spread
	// over other subtasks.
	ChannelState HandleKind = 5
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
	case ChannelState:
		return "channel"
	}
	return fmt.Sprintf("handle(%d)", uint8(k))
}

// StateFormat is how the content of keyed state is laid out. The numbers are persisted.
type StateFormat uint8

const (
	// CanonicalFormat is read by every state backend. Savepoints have no other.
	CanonicalFormat StateFormat = 0
	// PebbleFormat is the files of a Pebble store, which only the backend pebble reads.
	PebbleFormat StateFormat = 1
)

// String names the format in errors and listings.
func (f StateFormat) String() string {
	switch f {
	case CanonicalFormat:
		return "canonical"
	case PebbleFormat:
		return "pebble"
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// UnknownEntries stands for the number of entries in state that was written before they were counted.
const UnknownEntries = -1

// EntryRange is a contiguous part of the entries of a list. The zero value means all of them.
type EntryRange struct {
	First, Count int
}

// ChannelEnd names the channels that ChannelState was found in: those of one edge, at one of its ends. It does not depend
// on where the edge stands in a topology.
type ChannelEnd struct {
	Output bool     // the subtask sends: these are records that it had not sent yet
	Peer   VertexID // at the other end
	Edge   int      // which of the edges between the two vertices, from 0
}

// String names the end in errors.
func (c ChannelEnd) String() string {
	direction := "from"
	if c.Output {
		direction = "to"
	}
	return fmt.Sprintf("edge %d %s %s", c.Edge, direction, c.Peer)
}

// Handle points to one piece of an operator's snapshotted state, or, in what a subtask is restored from, to a part
// of such a piece.
type Handle struct {
	Operator OperatorID // for ChannelState the first of the vertex
	Name     string     // the state's name within the operator; empty for keyed state, which holds all tables
	Kind     HandleKind
	// KeyGroups are, for KeyedState, the groups it covers. The content may have more of them than a subtask is to
	// restore: it skips those.
	KeyGroups KeyGroupRange
	Channel   ChannelEnd // of ChannelState
	// Entries is the number of entries in the content of the other kinds, or UnknownEntries. A list without entries
	// may have no content at all. Those of ChannelState are frames.
	Entries int
	Take    EntryRange // which of the entries to restore; in a manifest always all
	Chunks  []ChunkRef // the content, in order
	// Format says how the content of KeyedState is laid out, and so which state backends can restore it.
	Format StateFormat
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
