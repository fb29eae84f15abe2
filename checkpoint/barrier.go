package checkpoint

import (
	"fmt"
	"time"
)

// Kind tells a periodic or manual checkpoint from a savepoint. The numbers are persisted.
type Kind uint8

const (
	// KindCheckpoint is owned by Cairn: it is subsumed by newer ones and discarded.
	KindCheckpoint Kind = 1
	// KindSavepoint is owned by the user: nothing subsumes it, and it lives until it is disposed of.
	KindSavepoint Kind = 2
)

// String returns Flink's word for the kind, in lower case.
func (k Kind) String() string {
	switch k {
	case KindCheckpoint:
		return "checkpoint"
	case KindSavepoint:
		return "savepoint"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Stop says what becomes of the job once a savepoint has completed. The numbers are persisted.
type Stop uint8

const (
	// StopNone: the job goes on.
	StopNone Stop = 0
	// StopSuspend: sources emit nothing behind the barrier, and every subtask finishes when it hears that the
	// savepoint has completed. Windows and timers stay in the state: the job can be resumed as if it had never
	// stopped.
	StopSuspend Stop = 1
	// StopDrain: sources end their input before the barrier, so that windows and timers fire and the savepoint
	// covers all output.
	StopDrain Stop = 2
)

// String returns the word for the stop in listings; empty for none.
func (s Stop) String() string {
	switch s {
	case StopNone:
		return ""
	case StopSuspend:
		return "suspend"
	case StopDrain:
		return "drain"
	}
	return fmt.Sprintf("stop(%d)", uint8(s))
}

// Barrier flows through the channels of a job between the records that belong to a checkpoint and those
// that do not (Chandy-Lamport; Carbone et al., "Lightweight Asynchronous Snapshots for Distributed
// Dataflows", 2015).
type Barrier struct {
	ID        ID
	Timestamp Timestamp // when the coordinator triggered the checkpoint
	Kind      Kind
	Mode      Mode
	// Alignment and AlignmentTimeout say how a subtask with several inputs meets the barrier. A savepoint is always
	// aligned.
	Alignment        Alignment
	AlignmentTimeout time.Duration
	// Stop is set for a savepoint that the job ends with.
	Stop Stop
	// Full asks for a snapshot that shares no chunk with an earlier checkpoint: what the job was restored from
	// belongs to somebody else.
	Full bool
}

// String names the barrier in logs and golden files.
func (b Barrier) String() string {
	text := fmt.Sprintf("barrier(%d %s %s", b.ID, b.Kind, b.Mode)
	if b.Stop != StopNone {
		text += " " + b.Stop.String()
	}
	if b.Full {
		text += " full"
	}
	return text + ")"
}

// Alignment says how a subtask with several inputs meets a barrier. The numbers are persisted.
type Alignment uint8

const (
	// AlignmentAligned waits for the barrier on every channel.
	AlignmentAligned Alignment = 1
	// AlignmentUnaligned lets the barrier overtake records, which become part of the snapshot.
	AlignmentUnaligned Alignment = 2
	// AlignmentAdaptive starts aligned and turns unaligned after a timeout.
	AlignmentAdaptive Alignment = 3
)

// String returns the configuration word for the alignment.
func (a Alignment) String() string {
	switch a {
	case AlignmentAligned:
		return "aligned"
	case AlignmentUnaligned:
		return "unaligned"
	case AlignmentAdaptive:
		return "adaptive"
	}
	return fmt.Sprintf("alignment(%d)", uint8(a))
}

// ParseAlignment reads the form that String writes.
func ParseAlignment(s string) (Alignment, error) {
	for _, a := range []Alignment{AlignmentAligned, AlignmentUnaligned, AlignmentAdaptive} {
		if a.String() == s {
			return a, nil
		}
	}
	return 0, fmt.Errorf("checkpointing alignment %q: allowed are aligned, unaligned and adaptive", s)
}

// Mode is the guarantee of a checkpoint. The numbers are persisted.
type Mode uint8

const (
	// ExactlyOnce blocks a channel that has delivered the barrier until all channels have.
	ExactlyOnce Mode = 1
	// AtLeastOnce never blocks: records may be processed twice after a restore.
	AtLeastOnce Mode = 2
)

// String returns the configuration word for the mode.
func (m Mode) String() string {
	switch m {
	case ExactlyOnce:
		return "exactly_once"
	case AtLeastOnce:
		return "at_least_once"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// ParseMode reads the form that String writes.
func ParseMode(s string) (Mode, error) {
	for _, m := range []Mode{ExactlyOnce, AtLeastOnce} {
		if m.String() == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("checkpointing mode %q: allowed are exactly_once and at_least_once", s)
}
