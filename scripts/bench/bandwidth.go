package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cairn/checkpoint"
)

// measureBandwidth takes full checkpoints to one replica on the local disk, and writes a plain file of as many bytes
// beside each.
func measureBandwidth(ctx context.Context, b *bench) error {
	for _, backend := range backends {
		if err := measureBandwidthOf(ctx, b, backend); err != nil {
			return fmt.Errorf("backend %s: %w", backend, err)
		}
	}
	return nil
}

func measureBandwidthOf(ctx context.Context, b *bench, backend checkpoint.StateBackend) (err error) {
	own, err := openStore(filepath.Join(b.dir, backend.String()))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	size := choose[int64](b, 64, 256)
	w := &writing{own: own, job: newRowsJob(size*mib, 1014), plain: filepath.Join(b.dir, "plain")}
	w.run, err = w.job.fill(ctx, taskOptions{backend: backend, store: own.alone(), dir: b.dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.run.stop()) }()
	w.written = w.job.rows
	if _, err := w.snapshot(ctx); err != nil { // the first one finds nothing to write behind
		return err
	}
	snapshots, files, err := alternate(ctx, choose(b, 5, 11), w.snapshot, w.file)
	if err != nil {
		return err
	}
	f := ratioOf(fmt.Sprintf("snapshot of %d MiB to local disk, %s", size, backend), snapshots, "MiB/s", "a plain file", files)
	b.add(f.with(ratioAtLeast(0.7)))
	return nil
}

// writing writes the same number of bytes as a snapshot and as a file.
type writing struct {
	own   *ownStore
	job   *rowsJob
	run   *taskRun
	plain string // path of the file
	size  int64  // of a snapshot, in bytes
	// written is how many rows have been written so far, the first ones included.
	written int64
}

// snapshot overwrites every row, so that no file of the state has been synced before, and takes a checkpoint for which
// nothing is in the store yet. Only the checkpoint is measured.
func (w *writing) snapshot(ctx context.Context) (mibPerSecond float64, err error) {
	w.written += w.job.rows
	w.job.feed.until(w.written)
	if err := w.job.await(ctx, w.run, w.written); err != nil {
		return 0, err
	}
	t, err := w.run.checkpoint(ctx, checkpoint.AlignmentAligned)
	if err != nil {
		return 0, err
	}
	w.size = t.stored()
	return float64(w.size) / mib / t.took.Seconds(), w.own.delete(ctx, t, nil)
}

// file writes a file from its beginning to its end and syncs it.
func (w *writing) file(context.Context) (mibPerSecond float64, err error) {
	block := noise(1, mib)
	start := time.Now()
	f, err := os.Create(w.plain)
	if err != nil {
		return 0, err
	}
	for left := w.size; left > 0 && err == nil; left -= mib {
		_, err = f.Write(block[:min(left, mib)])
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	rate := float64(w.size) / mib / time.Since(start).Seconds()
	return rate, os.Remove(w.plain)
}
