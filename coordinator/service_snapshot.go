package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// SaveSnapshot writes the state that includes everything that was acknowledged before the call.
func (s service) SaveSnapshot(ctx context.Context, w io.Writer) (api.SnapshotInfo, error) {
	return call[api.SnapshotInfo]{
		local: func(ctx context.Context, l *leader) (api.SnapshotInfo, error) { return s.saveHere(ctx, l, w) },
		remote: func(ctx context.Context, r api.Service) (api.SnapshotInfo, error) {
			return r.SaveSnapshot(ctx, w)
		},
	}.run(ctx, s.c)
}

func (s service) saveHere(ctx context.Context, l *leader, w io.Writer) (api.SnapshotInfo, error) {
	if err := l.readIndex(ctx); err != nil {
		return api.SnapshotInfo{}, err
	}
	state, err := s.c.replica.snapshot()
	if err != nil {
		return api.SnapshotInfo{}, api.Errorf(api.Internal, "%v", err)
	}
	file := encodeSnapshotFile(uint64(l.term), state)
	_, info, err := decodeSnapshotFile(file) // what cannot be restored is better not saved
	if err != nil {
		return api.SnapshotInfo{}, api.Errorf(api.Internal, "the state does not make a snapshot: %v", err)
	}
	if _, err := w.Write(file); err != nil {
		return api.SnapshotInfo{}, api.Errorf(api.Unavailable, "sending the snapshot: %v", err)
	}
	return info, nil
}

// RestoreSnapshot checks the whole snapshot before anything is asked of the cluster.
func (s service) RestoreSnapshot(ctx context.Context, r io.Reader) (api.SnapshotInfo, error) {
	file, err := readSnapshotFile(r)
	if err != nil {
		return api.SnapshotInfo{}, snapshotError(err)
	}
	state, info, err := decodeSnapshotFile(file)
	if err != nil {
		return api.SnapshotInfo{}, snapshotError(err)
	}
	return call[api.SnapshotInfo]{
		local: func(ctx context.Context, l *leader) (api.SnapshotInfo, error) {
			return info, s.restoreHere(ctx, l, state)
		},
		remote: func(ctx context.Context, r api.Service) (api.SnapshotInfo, error) {
			return r.RestoreSnapshot(ctx, bytes.NewReader(file))
		},
	}.run(ctx, s.c)
}

func snapshotError(err error) error {
	code := api.Unavailable
	if errors.Is(err, errForeignSnapshot) || errors.Is(err, errCorruptSnapshot) || errors.Is(err, errNewerSnapshot) {
		code = api.Invalid
	}
	var said *api.Error
	if errors.As(err, &said) {
		code = said.Code // of the stream that it came from
	}
	return api.Errorf(code, "the snapshot cannot be restored: %v; nothing was changed", err)
}

// restoreHere replaces the state. No leader loop runs meanwhile, so nothing is proposed between reading the present
// state and replacing it, and the next loop begins with the new one.
func (s service) restoreHere(ctx context.Context, l *leader, state []byte) error {
	leading := s.c.current.Load()
	if leading == nil {
		return api.Errorf(api.NotLeader, "coordinator %s does not lead", s.c.cfg.ID)
	}
	err := leading.interlude(ctx, func() error { return s.c.replica.restore(ctx, l.term, state) })
	switch {
	case errors.Is(err, errLeadershipOver):
		return api.Errorf(api.NotLeader, "nothing was restored: %v", err)
	case errors.Is(err, errNotRestored):
		return api.Errorf(api.Conflict, "%v", err)
	case err != nil:
		return api.Errorf(api.Unavailable, "whether the snapshot was restored is unknown: %v", err)
	}
	return nil
}

// snapshot returns the applied state in its persisted form.
func (r *replica) snapshot() ([]byte, error) {
	captured, err := r.machine.Snapshot()
	if err != nil {
		return nil, err
	}
	defer captured.Release()
	var sink memorySink
	if err := captured.Persist(&sink); err != nil {
		return nil, err
	}
	return sink.Bytes(), nil
}

// memorySink implements raft.SnapshotSink.
type memorySink struct{ bytes.Buffer }

func (*memorySink) ID() string    { return "in memory" }
func (*memorySink) Cancel() error { return nil }
func (*memorySink) Close() error  { return nil }

// errNotRestored says that a restore was refused and changed nothing.
var errNotRestored = errors.New("nothing was restored")

// restore replaces the state of the whole cluster by what follows from state and the present one (fsm.State.After).
// It returns when a majority has it.
func (r *replica) restore(ctx context.Context, term checkpoint.Term, state []byte) error {
	if err := r.barrier(ctx); err != nil {
		return fmt.Errorf("%w: %w", errNotRestored, err)
	}
	next, index, err := r.after(term, state)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotRestored, err)
	}
	meta := &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, Index: index, Term: uint64(term), Size: int64(len(next))}
	return r.quietly(func() error { return r.raft.Restore(meta, bytes.NewReader(next), 0) })
}

// quietly calls f while Raft takes no snapshot of its own. One that ends during a restore would put the index of the
// last snapshot back to its own: this leader could then neither send its followers the entries before the restored
// state, for there are none, nor know that they have that state, and would send it to them for ever.
func (r *replica) quietly(f func() error) error {
	cfg := r.raft.ReloadableConfig()
	threshold := cfg.SnapshotThreshold
	cfg.SnapshotThreshold = math.MaxUint64
	if err := r.raft.ReloadConfig(cfg); err != nil {
		return fmt.Errorf("%w: %w", errNotRestored, err)
	}
	// Snapshots are taken one after the other: when this one has ended, also when it was refused, none is under way.
	// How it ended does not matter.
	_ = r.raft.Snapshot().Error()
	err := f()
	cfg.SnapshotThreshold = threshold
	return errors.Join(err, r.raft.ReloadConfig(cfg))
}

// after returns the state that follows when the given one is restored now, in its persisted form, and its last index.
func (r *replica) after(term checkpoint.Term, state []byte) ([]byte, uint64, error) {
	bytes, err := r.snapshot()
	if err != nil {
		return nil, 0, err
	}
	present, err := fsm.DecodeSnapshot(bytes)
	if err != nil {
		return nil, 0, err
	}
	next, err := fsm.DecodeSnapshot(state)
	if err != nil {
		return nil, 0, err
	}
	if err := next.After(present, term, checkpoint.Timestamp(time.Now().UnixMilli())); err != nil {
		return nil, 0, err
	}
	encoded, err := fsm.EncodeSnapshot(next)
	if err != nil {
		return nil, 0, err
	}
	// Raft restores through the same decoder on every coordinator, and must not fail there.
	_, err = fsm.DecodeSnapshot(encoded)
	return encoded, next.LastIndex, err
}
