package checkpoint

import "fmt"

// Kind tells a periodic or manual checkpoint from a savepoint. The numbers are persisted.
type Kind uint8

const (
	// KindCheckpoint is owned by Cairn: it is subsumed by newer ones and discarded.
	KindCheckpoint Kind = 1
	// KindSavepoint is owned by the user: nothing subsumes it. Reserved for savepoint commands.
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

// Barrier flows through the channels of a job between the records that belong to a checkpoint and those
// that do not (Chandy-Lamport; Carbone et al., "Lightweight Asynchronous Snapshots for Distributed
// Dataflows", 2015).
type Barrier struct {
	ID        ID
	Timestamp Timestamp // when the coordinator triggered the checkpoint
	Kind      Kind
	Mode      Mode
}

// String names the barrier in logs and golden files.
func (b Barrier) String() string { return fmt.Sprintf("barrier(%d %s %s)", b.ID, b.Kind, b.Mode) }

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
