package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"cairn/checkpoint"
)

// measureRestore restores a state from the node's own disk and from that of a peer, and reads a plain file of as many
// bytes beside each.
func measureRestore(ctx context.Context, b *bench) error {
	for _, backend := range backends {
		if err := measureRestoreOf(ctx, b, backend); err != nil {
			return fmt.Errorf("backend %s: %w", backend, err)
		}
	}
	return nil
}

func measureRestoreOf(ctx context.Context, b *bench, backend checkpoint.StateBackend) (err error) {
	nodes, err := openNodes(filepath.Join(b.dir, backend.String()), 2)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nodes.close()) }()
	// The second node takes the checkpoint, and keeps the only copy of it.
	size := choose[int64](b, 64, 256)
	r := &restoring{fresh: nodes[0].own, recovering: recovering{job: newRowsJob(size*mib, 1014)}}
	r.options = taskOptions{backend: backend, store: nodes[1].own.alone(), dir: b.dir}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.plain = plainFile{path: filepath.Join(b.dir, "plain"), size: r.options.restore.size()}
	if err := r.plain.write(); err != nil {
		return err
	}
	name := fmt.Sprintf("restore of %d MiB, %s, ", size, backend)
	local, files, err := alternate(ctx, choose(b, 3, 9), r.local, r.file)
	if err != nil {
		return err
	}
	b.add(ratioOf(name+"from the local disk", local, "MiB/s", "reading a plain file", files))
	r.options.store = nodes[0].store
	remote, files, err := alternate(ctx, choose(b, 3, 9), r.remote, r.file)
	if err != nil {
		return err
	}
	b.add(ratioOf(name+"from a peer", remote, "MiB/s", "reading a plain file", files))
	return nil
}

// restoring restores on a node that has the chunks, or on one that has to fetch them.
type restoring struct {
	recovering
	fresh *ownStore // of the node that has not
	plain plainFile
}

func (r *restoring) local(ctx context.Context) (mibPerSecond float64, err error) {
	ms, err := r.restore(ctx)
	return float64(r.plain.size) / mib / ms * 1000, err
}

// remote removes what the last restore has brought here, which is not measured.
func (r *restoring) remote(ctx context.Context) (mibPerSecond float64, err error) {
	if err := r.fresh.delete(ctx, r.options.restore, nil); err != nil {
		return 0, err
	}
	return r.local(ctx)
}

func (r *restoring) file(ctx context.Context) (mibPerSecond float64, err error) {
	runtime.GC() // as before a restore
	return r.plain.reading(ctx)
}

// size is the bytes of the chunks that the checkpoint names.
func (t *taken) size() (n int64) {
	for _, ref := range t.chunks() {
		n += ref.Size
	}
	return n
}
