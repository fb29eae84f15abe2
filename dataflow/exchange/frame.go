package exchange

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/aligner"
)

// The kinds of frames, which are what travels in a channel: batches of records, and in line with them the events that a
// task reacts to. The kind is a frame's first byte. The form is the same in memory and on the wire; the numbers are not
// reused.
const (
	FrameRecords        byte = 1 // count of records (4 bytes), records in the stream's codec
	FrameBarrier        byte = 2 // varints: ID, timestamp, alignment timeout; bytes: kind, mode, alignment, stop, full
	FrameCancel         byte = 3 // varint: checkpoint ID; it was given up upstream, its barrier will not come
	FrameEndOfData      byte = 4 // no more records; barriers may follow
	FrameEndOfPartition byte = 5 // nothing follows
	FrameTimedRecords   byte = 6 // like FrameRecords; before each record a varint: its event time less that of the one before
	FrameWatermark      byte = 7 // varint: event time up to which no more records follow
	FrameIdle           byte = 8 // 1: nothing is to be expected for now, nobody waits for the watermark; 0: active again
)

const (
	// MaxFrameSize bounds a frame, in bytes: a record must fit into one.
	MaxFrameSize = 8 << 20

	recordsHeader = 5        // of both kinds of batches: kind and count
	barrierBytes  = 5        // of a barrier, behind the varints
	batchSize     = 32 << 10 // a batch is sent when it has reached this size
)

// ErrFrame says that a frame does not follow the format: the peer is not of our version, or bytes were
// damaged.
var ErrFrame = errors.New("malformed frame")

// InFlight reports whether a frame becomes part of a snapshot that overtakes it. Events do not: who sends them sends them
// again when it is restored. Nor does what says that a channel is idle, because its sender starts out active.
func InFlight(frame []byte) bool {
	return HoldsRecords(frame) || len(frame) > 0 && frame[0] == FrameWatermark
}

// head is what the receiving gate has to know of a frame.
type head struct {
	barrier *checkpoint.Barrier // when it is one
	cancel  checkpoint.ID       // when it is a cancellation
	last    bool                // it ends the partition
	urgent  bool                // it needs no credit
}

// headOf looks at a frame that has arrived. What is malformed in it comes to light when the task handles it.
func headOf(frame []byte) (h head) {
	if len(frame) == 0 || frame[0] != FrameBarrier && frame[0] != FrameCancel {
		h.last = len(frame) > 0 && frame[0] == FrameEndOfPartition
		return h
	}
	e, err := DecodeEvent(frame)
	switch {
	case err != nil:
	case e.Kind == FrameCancel:
		h.cancel, h.urgent = e.Cancel, true
	default:
		h.barrier, h.urgent = &e.Barrier, aligner.Overtakes(e.Barrier)
	}
	return h
}

// Event is a decoded frame other than records.
type Event struct {
	Kind      byte
	Barrier   checkpoint.Barrier // of FrameBarrier
	Cancel    checkpoint.ID      // of FrameCancel
	Watermark int64              // of FrameWatermark: event time in Unix milliseconds
	Idle      bool               // of FrameIdle
}

// ResetRecords begins a batch of the given kind in the memory of a former one.
func ResetRecords(frame []byte, kind byte) []byte {
	return append(frame[:0], kind, 0, 0, 0, 0)
}

// HoldsRecords reports whether a frame is a batch of records.
func HoldsRecords(frame []byte) bool {
	return len(frame) > 0 && (frame[0] == FrameRecords || frame[0] == FrameTimedRecords)
}

// SealRecords completes a batch that ResetRecords began.
func SealRecords(frame []byte, count int) {
	binary.LittleEndian.PutUint32(frame[1:recordsHeader], uint32(count))
}

// OpenRecords returns the records of a batch and their number.
func OpenRecords(frame []byte) (records []byte, count int, err error) {
	if len(frame) < recordsHeader || !HoldsRecords(frame) {
		return nil, 0, fmt.Errorf("%w: %d bytes are no batch of records", ErrFrame, len(frame))
	}
	n := binary.LittleEndian.Uint32(frame[1:recordsHeader])
	if n > math.MaxInt32 {
		return nil, 0, fmt.Errorf("%w: a batch of %d records", ErrFrame, n)
	}
	return frame[recordsHeader:], int(n), nil
}

// RestOfRecords returns a frame with the records of a batch of the given kind that are left when the others have been
// processed. stamp is the event time of the last of those, 0 where there are none.
func RestOfRecords(kind byte, records []byte, left int, stamp int64) *Buffer {
	b := takeBuffer(recordsHeader + binary.MaxVarintLen64 + len(records))
	b.data = ResetRecords(b.data, kind)
	if delta, n := binary.Varint(records); kind == FrameTimedRecords && n > 0 {
		// Within a batch the first event time stands for itself.
		b.data, records = binary.AppendVarint(b.data, stamp+delta), records[n:]
	}
	b.data = append(b.data, records...)
	SealRecords(b.data, left)
	return b
}

// AppendBarrier appends the frame of a barrier to dst, as the other Append functions do theirs.
func AppendBarrier(dst []byte, b checkpoint.Barrier) []byte {
	dst = binary.AppendUvarint(append(dst, FrameBarrier), uint64(b.ID))
	dst = binary.AppendVarint(dst, int64(b.Timestamp))
	dst = binary.AppendVarint(dst, int64(b.AlignmentTimeout))
	var full byte
	if b.Full {
		full = 1
	}
	return append(dst, byte(b.Kind), byte(b.Mode), byte(b.Alignment), byte(b.Stop), full)
}

// AppendCancel appends the frame that takes the place of a barrier which will not come.
func AppendCancel(dst []byte, id checkpoint.ID) []byte {
	return binary.AppendUvarint(append(dst, FrameCancel), uint64(id))
}

// AppendWatermark appends the frame of a watermark, in Unix milliseconds of event time.
func AppendWatermark(dst []byte, w int64) []byte {
	return binary.AppendVarint(append(dst, FrameWatermark), w)
}

// AppendIdle appends the frame that says whether the sender has nothing to send for now.
func AppendIdle(dst []byte, idle bool) []byte {
	if idle {
		return append(dst, FrameIdle, 1)
	}
	return append(dst, FrameIdle, 0)
}

// DecodeEvent reads a frame that is not a batch of records.
func DecodeEvent(frame []byte) (Event, error) {
	if len(frame) == 0 {
		return Event{}, fmt.Errorf("%w: no bytes", ErrFrame)
	}
	e, rest := Event{Kind: frame[0]}, frame[1:]
	var err error
	switch e.Kind {
	case FrameBarrier:
		e.Barrier, err = decodeBarrier(rest)
		return e, err
	case FrameCancel:
		id, n := binary.Uvarint(rest)
		if n <= 0 || n != len(rest) || id == 0 {
			return Event{}, fmt.Errorf("%w: cancellation of %d bytes", ErrFrame, len(rest))
		}
		e.Cancel = checkpoint.ID(id)
		return e, nil
	case FrameWatermark:
		w, n := binary.Varint(rest)
		if n <= 0 || n != len(rest) {
			return Event{}, fmt.Errorf("%w: watermark of %d bytes", ErrFrame, len(rest))
		}
		e.Watermark = w
		return e, nil
	case FrameIdle:
		if len(rest) != 1 || rest[0] > 1 {
			return Event{}, fmt.Errorf("%w: idleness of %d bytes", ErrFrame, len(rest))
		}
		e.Idle = rest[0] == 1
		return e, nil
	case FrameEndOfData, FrameEndOfPartition:
		if len(rest) != 0 {
			return Event{}, fmt.Errorf("%w: %d bytes behind event %d", ErrFrame, len(rest), e.Kind)
		}
		return e, nil
	}
	return Event{}, fmt.Errorf("%w: unknown kind %d", ErrFrame, e.Kind)
}

func decodeBarrier(src []byte) (checkpoint.Barrier, error) {
	id, n := binary.Uvarint(src)
	if n <= 0 || id == 0 {
		return checkpoint.Barrier{}, fmt.Errorf("%w: barrier without an ID", ErrFrame)
	}
	timestamp, m := binary.Varint(src[n:])
	timeout, k := binary.Varint(src[n+max(0, m):])
	if m <= 0 || k <= 0 || len(src) != n+m+k+barrierBytes {
		return checkpoint.Barrier{}, fmt.Errorf("%w: barrier of %d bytes", ErrFrame, len(src))
	}
	rest := src[n+m+k:]
	b := checkpoint.Barrier{
		ID: checkpoint.ID(id), Timestamp: checkpoint.Timestamp(timestamp), AlignmentTimeout: time.Duration(timeout),
		Kind: checkpoint.Kind(rest[0]), Mode: checkpoint.Mode(rest[1]), Alignment: checkpoint.Alignment(rest[2]),
		Stop: checkpoint.Stop(rest[3]), Full: rest[4] == 1,
	}
	if !known(b) || rest[4] > 1 {
		return checkpoint.Barrier{}, fmt.Errorf("%w: %s, %s, full %d", ErrFrame, b, b.Alignment, rest[4])
	}
	return b, nil
}

// known reports whether this build knows what the barrier asks for.
func known(b checkpoint.Barrier) bool {
	within := func(v, first, last uint8) bool { return v >= first && v <= last }
	return within(uint8(b.Kind), uint8(checkpoint.KindCheckpoint), uint8(checkpoint.KindSavepoint)) &&
		within(uint8(b.Mode), uint8(checkpoint.ExactlyOnce), uint8(checkpoint.AtLeastOnce)) &&
		within(uint8(b.Alignment), uint8(checkpoint.AlignmentAligned), uint8(checkpoint.AlignmentAdaptive)) &&
		within(uint8(b.Stop), uint8(checkpoint.StopNone), uint8(checkpoint.StopDrain))
}
