package aligner

import (
	"fmt"

	"cairn/checkpoint"
)

// EffectKind says what an Aligner wants done.
type EffectKind uint8

const (
	// EffectBegin: the first barrier of the checkpoint has arrived, or the task was triggered.
	EffectBegin EffectKind = iota + 1
	// EffectBlock: read nothing more from the channels.
	EffectBlock
	// EffectUnblock: read from the channels again.
	EffectUnblock
	// EffectSnapshot: take the snapshot now, before the next record of any channel. If channels are named, it is
	// unaligned: what they deliver before the barrier belongs to it.
	EffectSnapshot
	// EffectAbort: the checkpoint was cancelled.
	EffectAbort
	// EffectSubsume: the checkpoint can not complete here, because a newer one has overtaken it.
	EffectSubsume
)

// Effect is one step that an Aligner wants done.
type Effect struct {
	Kind     EffectKind
	Channels []int              // of EffectBlock, EffectUnblock and an unaligned EffectSnapshot
	Barrier  checkpoint.Barrier // of the others; EffectAbort sets only its ID
}

// String is the form of golden files.
func (e Effect) String() string {
	switch e.Kind {
	case EffectBegin:
		return fmt.Sprintf("begin %d", e.Barrier.ID)
	case EffectBlock:
		return fmt.Sprintf("block %v", e.Channels)
	case EffectUnblock:
		return fmt.Sprintf("unblock %v", e.Channels)
	case EffectSnapshot:
		if len(e.Channels) > 0 {
			return fmt.Sprintf("snapshot %d before %v", e.Barrier.ID, e.Channels)
		}
		return fmt.Sprintf("snapshot %d", e.Barrier.ID)
	case EffectAbort:
		return fmt.Sprintf("abort %d", e.Barrier.ID)
	case EffectSubsume:
		return fmt.Sprintf("subsume %d", e.Barrier.ID)
	}
	return fmt.Sprintf("effect(%d)", uint8(e.Kind))
}
