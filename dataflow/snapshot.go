package dataflow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// snapshot is one subtask's part in a checkpoint: captured at once by the task's goroutine, then serialized
// and stored by another.
type snapshot struct {
	// barrier says what is asked for. Its Full needs nothing done so far: every part is written anew, and names no
	// chunk for having been in an earlier snapshot. That the store finds equal bytes there already is not relying on
	// the earlier one: it has been asked to keep them for this one, too.
	barrier   checkpoint.Barrier
	endOfData bool
	metrics   checkpoint.Metrics
	captured  time.Time // when the synchronous part was over
	parts     []part
	channels  *exchange.ChannelState // records in flight; nil when the barrier can not overtake any
	topology  checkpoint.Topology    // of the job, when there are channels
}

// ends reports whether the task ends when the snapshot's checkpoint has completed. A savepoint that the job goes on
// after ends nothing: nothing is published for it.
func (s *snapshot) ends() bool {
	if s.barrier.Stop != checkpoint.StopNone {
		return true
	}
	return s.endOfData && s.barrier.Kind == checkpoint.KindCheckpoint
}

// owed reports whether the task has to contribute the snapshot even when it has finished meanwhile, as its final state
// does not stand in for it: a savepoint may be older than that, and records that a barrier has overtaken are in no other
// state.
func (s *snapshot) owed() bool {
	return s.barrier.Kind == checkpoint.KindSavepoint || s.channels != nil
}

// part is the captured state behind one handle.
type part struct {
	handle  checkpoint.Handle // without its chunks
	write   func(*chunkWriter) error
	release func() // gives up what write has not written yet
}

// addList adds list state, split or union. The entries are not changed by anybody.
func (s *snapshot) addList(id checkpoint.OperatorID, name string, kind checkpoint.HandleKind, entries [][]byte) {
	s.parts = append(s.parts, part{
		handle:  checkpoint.Handle{Operator: id, Name: name, Kind: kind, Entries: len(entries)},
		write:   func(w *chunkWriter) error { return w.writeList(entries) },
		release: func() {},
	})
}

// addKeyed adds the keyed state of an operator. Nothing is added when it is empty.
func (s *snapshot) addKeyed(id checkpoint.OperatorID, c capturedKeyed) {
	if len(c.shards) == 0 {
		return
	}
	s.parts = append(s.parts, part{
		handle:  checkpoint.Handle{Operator: id, Kind: checkpoint.KeyedState, KeyGroups: c.groups},
		write:   func(w *chunkWriter) error { return w.writeKeyed(c) },
		release: c.release,
	})
}

// addRows adds the keyed state of an operator that keeps it on disk, to be written in the canonical format.
func (s *snapshot) addRows(id checkpoint.OperatorID, c capturedRows) {
	s.parts = append(s.parts, part{
		handle:  checkpoint.Handle{Operator: id, Kind: checkpoint.KeyedState, KeyGroups: c.groups},
		write:   func(w *chunkWriter) error { return w.writeRows(c) },
		release: func() { _ = c.rows.Close() }, // nothing is lost with it
	})
}

// addRowFiles adds the keyed state of an operator that keeps it on disk, as files.
func (s *snapshot) addRowFiles(id checkpoint.OperatorID, c capturedFiles) {
	s.parts = append(s.parts, part{
		handle:  checkpoint.Handle{Operator: id, Kind: checkpoint.KeyedState, KeyGroups: c.groups, Format: checkpoint.PebbleFormat},
		write:   func(w *chunkWriter) error { return w.writeFiles(c) },
		release: func() { _ = c.capture.Close() }, // what is left goes with the task's directory
	})
}

// upload stores everything and returns the state to acknowledge. When it returns without error, every chunk is
// durable (I9), and the barrier has come from everywhere.
func (s *snapshot) upload(ctx context.Context, store ChunkStore, subtask checkpoint.SubtaskID) (checkpoint.SubtaskState, error) {
	defer s.release()
	ctx, cancel := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	defer func() { // also when a codec panics
		cancel()
		_ = group.Wait()
	}()
	state := checkpoint.SubtaskState{Subtask: subtask, EndOfData: s.endOfData}
	var inFlight []checkpoint.Handle
	if s.channels != nil {
		group.Go(func() (err error) {
			inFlight, err = storeInFlight(ctx, store, s.channels, s.topology)
			return err
		})
	}
	err := s.uploadParts(ctx, store, &state)
	if err != nil {
		cancel()
	}
	if other := group.Wait(); other != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = other // the first of the two
	}
	if err != nil {
		return checkpoint.SubtaskState{}, err
	}
	state.Handles = append(state.Handles, inFlight...)
	return state, nil
}

// uploadParts stores the operators' state.
func (s *snapshot) uploadParts(ctx context.Context, store ChunkStore, state *checkpoint.SubtaskState) error {
	for _, p := range s.parts {
		var err error
		if p.handle.Chunks, err = p.upload(ctx, store); err != nil {
			return fmt.Errorf("storing the %s state of operator %s: %w", p.handle.Kind, p.handle.Operator, err)
		}
		state.Handles = append(state.Handles, p.handle)
	}
	return nil
}

// upload stores a part and returns its chunks.
func (p part) upload(ctx context.Context, store ChunkStore) ([]checkpoint.ChunkRef, error) {
	w := &chunkWriter{ctx: ctx, store: store}
	defer func() { // also when a codec panics
		_ = w.wait()
		w.recycle()
	}()
	if err := p.write(w); err != nil {
		return nil, err
	}
	err := w.flush()
	return w.refs, err
}

// release lets the task's goroutine write freely again. What has been uploaded is not affected.
func (s *snapshot) release() {
	if s.channels != nil {
		s.channels.GiveUp()
	}
	for _, p := range s.parts {
		p.release()
	}
}

// declinedError says that a checkpoint cannot be taken, while the task can go on.
type declinedError struct{ err error }

func declined(err error) error { return &declinedError{err} }

func (e *declinedError) Error() string { return e.err.Error() }
func (e *declinedError) Unwrap() error { return e.err }

func isDeclined(err error) bool {
	var d *declinedError
	return errors.As(err, &d)
}
