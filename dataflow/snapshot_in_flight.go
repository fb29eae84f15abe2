package dataflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// storeInFlight stores the frames in flight as they come, until all have, and returns a handle for each edge that has any.
func storeInFlight(ctx context.Context, store ChunkStore, s *exchange.ChannelState, t checkpoint.Topology) ([]checkpoint.Handle, error) {
	defer s.GiveUp()
	writers := make(map[exchange.EdgeEnd]*inFlightWriter)
	defer func() {
		for _, w := range writers {
			_ = w.wait() // after an error; otherwise they have been flushed
		}
	}()
	for {
		frames, err := s.Take(ctx)
		if err != nil {
			return nil, err
		}
		if len(frames) == 0 {
			return inFlightHandles(writers, t)
		}
		for _, f := range frames {
			if writers[f.End] == nil {
				writers[f.End] = &inFlightWriter{chunkWriter: chunkWriter{ctx: ctx, store: store}}
			}
			err = errors.Join(err, writers[f.End].add(f.Peer, f.Frame.Bytes()))
			f.Frame.Release()
		}
		if err != nil {
			return nil, fmt.Errorf("storing the records in flight: %w", err)
		}
	}
}

// inFlightWriter stores the frames in flight at one end of an edge.
type inFlightWriter struct {
	chunkWriter
	frames int
	head   []byte
}

func (w *inFlightWriter) add(peer int, frame []byte) error {
	w.head = w.head[:0]
	if w.frames == 0 {
		w.head = append(append(w.head, channelMagic...), channelFormatVersion)
	}
	w.frames++
	w.head = binary.AppendUvarint(w.head, uint64(peer))
	w.head = binary.AppendUvarint(w.head, uint64(len(frame)))
	return errors.Join(w.write(w.head), w.write(frame))
}

// inFlightHandles stores what is left and returns the handles.
func inFlightHandles(writers map[exchange.EdgeEnd]*inFlightWriter, t checkpoint.Topology) ([]checkpoint.Handle, error) {
	var handles []checkpoint.Handle
	for _, end := range slices.SortedFunc(maps.Keys(writers), compareEnds) {
		w := writers[end]
		if err := w.flush(); err != nil {
			return nil, fmt.Errorf("storing the records in flight: %w", err)
		}
		own, channel := t.ChannelEnd(end.Edge, end.Output)
		handles = append(handles, checkpoint.Handle{
			Operator: checkpoint.OperatorID(own), Kind: checkpoint.ChannelState, Channel: channel, Entries: w.frames, Chunks: w.refs,
		})
	}
	return handles, nil
}

func compareEnds(a, b exchange.EdgeEnd) int {
	if a.Output != b.Output {
		if b.Output {
			return -1
		}
		return 1
	}
	return a.Edge - b.Edge
}

// withoutInFlight leaves the records in flight out of the state that stands in for a finished task in later checkpoints:
// they have reached whom they were sent to, and are in its state, or in its channels, since.
func withoutInFlight(handles []checkpoint.Handle) []checkpoint.Handle {
	return slices.DeleteFunc(slices.Clone(handles), func(h checkpoint.Handle) bool { return h.Kind == checkpoint.ChannelState })
}

// restoredFrames are the frames in flight of one end of an edge, by the index of the subtask at the other.
type restoredFrames map[int][]*exchange.Buffer

// restoreInFlight reads what was in flight at a task: its inputs and outputs by edge.
func restoreInFlight(ctx context.Context, store ChunkStore, spec TaskSpec, t checkpoint.Topology) (map[exchange.EdgeEnd]restoredFrames, error) {
	all := make(map[exchange.EdgeEnd]restoredFrames)
	for _, h := range spec.State.Handles {
		if h.Kind != checkpoint.ChannelState {
			continue
		}
		edge, found := t.EdgeOf(spec.Subtask.Vertex, h.Channel)
		if !found {
			return nil, Permanent(fmt.Errorf("checkpoint %d has records in flight of %s, which the job does not have at subtask %s",
				spec.Restore, h.Channel, spec.Subtask))
		}
		r, err := newStateReader(&chunkReader{ctx: ctx, store: store, refs: h.Chunks}, h.Size(), channelMagic, channelFormatVersion)
		if err == nil {
			all[exchange.EdgeEnd{Output: h.Channel.Output, Edge: edge}], err = r.inFlight(h.Entries)
			r.close()
		}
		if err != nil {
			return nil, fmt.Errorf("checkpoint %d, records in flight of %s: %w", spec.Restore, h.Channel, err)
		}
	}
	return all, nil
}

// inFlight reads all frames of a content.
func (r *stateReader) inFlight(count int) (restoredFrames, error) {
	frames := make(restoredFrames)
	for range count {
		peer, err := binary.ReadUvarint(r.in)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errState, err)
		}
		frame, err := r.sized()
		if err != nil {
			return nil, err
		}
		if peer >= checkpoint.MaxMaxParallelism || !exchange.InFlight(frame) {
			return nil, fmt.Errorf("%w: %d bytes, to or from subtask %d, are no frame in flight", errState, len(frame), peer)
		}
		frames[int(peer)] = append(frames[int(peer)], exchange.CopyFrame(frame))
	}
	if !r.atEnd() {
		return nil, fmt.Errorf("%w: bytes behind %d frames", errState, count)
	}
	return frames, nil
}
