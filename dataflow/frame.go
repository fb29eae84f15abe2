package dataflow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/aligner"
)

// Frames are what travels in a channel: batches of records, and in line with them the events that a task
// reacts to. The first byte is the kind. The form is the same in memory and on the wire; the numbers are not
// reused.
const (
	frameRecords        byte = 1 // count of records (4 bytes), records in the stream's codec
	frameBarrier        byte = 2 // varints: ID, timestamp, alignment timeout; bytes: kind, mode, alignment, stop, full
	frameCancel         byte = 3 // varint: checkpoint ID; it was given up upstream, its barrier will not come
	frameEndOfData      byte = 4 // no more records; barriers may follow
	frameEndOfPartition byte = 5 // nothing follows
	frameTimedRecords   byte = 6 // like frameRecords; before each record a varint: its event time less that of the one before
	frameWatermark      byte = 7 // varint: event time up to which no more records follow
	frameIdle           byte = 8 // 1: nothing is to be expected for now, nobody waits for the watermark; 0: active again
)

const (
	// MaxFrameSize bounds a frame, in bytes: a record must fit into one.
	MaxFrameSize = 8 << 20

	recordsHeader = 5        // of both kinds of batches: kind and count
	barrierBytes  = 5        // of a barrier, behind the varints
	batchSize     = 32 << 10 // a batch is sent when it has reached this size
)

// errFrame says that a frame does not follow the format: the peer is not of our version, or bytes were
// damaged.
var errFrame = errors.New("malformed frame")

// inFlight reports whether a frame becomes part of a snapshot that overtakes it. Events do not: who sends them sends them
// again when it is restored. Nor does what says that a channel is idle, because its sender starts out active.
func inFlight(frame []byte) bool {
	return holdsRecords(frame) || len(frame) > 0 && frame[0] == frameWatermark
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
	if len(frame) == 0 || frame[0] != frameBarrier && frame[0] != frameCancel {
		h.last = len(frame) > 0 && frame[0] == frameEndOfPartition
		return h
	}
	e, err := decodeEvent(frame)
	switch {
	case err != nil:
	case e.kind == frameCancel:
		h.cancel, h.urgent = e.cancel, true
	default:
		h.barrier, h.urgent = &e.barrier, aligner.Overtakes(e.barrier)
	}
	return h
}

// event is a decoded frame other than records.
type event struct {
	kind      byte
	barrier   checkpoint.Barrier // of frameBarrier
	cancel    checkpoint.ID      // of frameCancel
	watermark EventTime          // of frameWatermark
	idle      bool               // of frameIdle
}

// resetRecords begins a batch of the given kind in the memory of a former one.
func resetRecords(frame []byte, kind byte) []byte {
	return append(frame[:0], kind, 0, 0, 0, 0)
}

// holdsRecords reports whether a frame is a batch of records.
func holdsRecords(frame []byte) bool {
	return len(frame) > 0 && (frame[0] == frameRecords || frame[0] == frameTimedRecords)
}

// sealRecords completes a batch that resetRecords began.
func sealRecords(frame []byte, count int) {
	binary.LittleEndian.PutUint32(frame[1:recordsHeader], uint32(count))
}

// openRecords returns the records of a batch and their number.
func openRecords(frame []byte) (records []byte, count int, err error) {
	if len(frame) < recordsHeader || !holdsRecords(frame) {
		return nil, 0, fmt.Errorf("%w: %d bytes are no batch of records", errFrame, len(frame))
	}
	n := binary.LittleEndian.Uint32(frame[1:recordsHeader])
	if n > math.MaxInt32 {
		return nil, 0, fmt.Errorf("%w: a batch of %d records", errFrame, n)
	}
	return frame[recordsHeader:], int(n), nil
}

func appendBarrier(dst []byte, b checkpoint.Barrier) []byte {
	dst = binary.AppendUvarint(append(dst, frameBarrier), uint64(b.ID))
	dst = binary.AppendVarint(dst, int64(b.Timestamp))
	dst = binary.AppendVarint(dst, int64(b.AlignmentTimeout))
	var full byte
	if b.Full {
		full = 1
	}
	return append(dst, byte(b.Kind), byte(b.Mode), byte(b.Alignment), byte(b.Stop), full)
}

func appendCancel(dst []byte, id checkpoint.ID) []byte {
	return binary.AppendUvarint(append(dst, frameCancel), uint64(id))
}

func appendWatermark(dst []byte, w EventTime) []byte {
	return binary.AppendVarint(append(dst, frameWatermark), int64(w))
}

func appendIdle(dst []byte, idle bool) []byte {
	if idle {
		return append(dst, frameIdle, 1)
	}
	return append(dst, frameIdle, 0)
}

// decodeEvent reads a frame that is not a batch of records.
func decodeEvent(frame []byte) (event, error) {
	if len(frame) == 0 {
		return event{}, fmt.Errorf("%w: no bytes", errFrame)
	}
	e, rest := event{kind: frame[0]}, frame[1:]
	var err error
	switch e.kind {
	case frameBarrier:
		e.barrier, err = decodeBarrier(rest)
		return e, err
	case frameCancel:
		id, n := binary.Uvarint(rest)
		if n <= 0 || n != len(rest) || id == 0 {
			return event{}, fmt.Errorf("%w: cancellation of %d bytes", errFrame, len(rest))
		}
		e.cancel = checkpoint.ID(id)
		return e, nil
	case frameWatermark:
		w, n := binary.Varint(rest)
		if n <= 0 || n != len(rest) {
			return event{}, fmt.Errorf("%w: watermark of %d bytes", errFrame, len(rest))
		}
		e.watermark = EventTime(w)
		return e, nil
	case frameIdle:
		if len(rest) != 1 || rest[0] > 1 {
			return event{}, fmt.Errorf("%w: idleness of %d bytes", errFrame, len(rest))
		}
		e.idle = rest[0] == 1
		return e, nil
	case frameEndOfData, frameEndOfPartition:
		if len(rest) != 0 {
			return event{}, fmt.Errorf("%w: %d bytes behind event %d", errFrame, len(rest), e.kind)
		}
		return e, nil
	}
	return event{}, fmt.Errorf("%w: unknown kind %d", errFrame, e.kind)
}

func decodeBarrier(src []byte) (checkpoint.Barrier, error) {
	id, n := binary.Uvarint(src)
	if n <= 0 || id == 0 {
		return checkpoint.Barrier{}, fmt.Errorf("%w: barrier without an ID", errFrame)
	}
	timestamp, m := binary.Varint(src[n:])
	timeout, k := binary.Varint(src[n+max(0, m):])
	if m <= 0 || k <= 0 || len(src) != n+m+k+barrierBytes {
		return checkpoint.Barrier{}, fmt.Errorf("%w: barrier of %d bytes", errFrame, len(src))
	}
	rest := src[n+m+k:]
	b := checkpoint.Barrier{
		ID: checkpoint.ID(id), Timestamp: checkpoint.Timestamp(timestamp), AlignmentTimeout: time.Duration(timeout),
		Kind: checkpoint.Kind(rest[0]), Mode: checkpoint.Mode(rest[1]), Alignment: checkpoint.Alignment(rest[2]),
		Stop: checkpoint.Stop(rest[3]), Full: rest[4] == 1,
	}
	if !known(b) || rest[4] > 1 {
		return checkpoint.Barrier{}, fmt.Errorf("%w: %s, %s, full %d", errFrame, b, b.Alignment, rest[4])
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
