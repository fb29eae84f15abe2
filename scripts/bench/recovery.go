package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"cairn/checkpoint"
)

// measureRecovery restores states of growing size, and reads the same chunks from the store beside it.
func measureRecovery(ctx context.Context, b *bench) error {
	sizes := choose(b, []int64{1, 16}, []int64{1, 16, 64, 256})
	for _, backend := range backends {
		times := make(sample, len(sizes))
		for i, size := range sizes {
			f, err := measureRecoveryOf(ctx, b, backend, size)
			if err != nil {
				return fmt.Errorf("backend %s, %d MiB: %w", backend, size, err)
			}
			times[i] = f.Value
			b.add(f)
		}
		last := len(sizes) - 1
		slope := (times[last] - times[0]) / float64(sizes[last]-sizes[0])
		b.add(valueOf(fmt.Sprintf("recovery, %s, from %d to %d MiB", backend, sizes[0], sizes[last]), sample{slope}, "ms/MiB"))
	}
	return nil
}

func measureRecoveryOf(ctx context.Context, b *bench, backend checkpoint.StateBackend, size int64) (f figure, err error) {
	own, err := openStore(filepath.Join(b.dir, fmt.Sprintf("%s-%d", backend, size)))
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	r := &recovering{job: newRowsJob(size*mib, 118)}
	r.options = taskOptions{backend: backend, store: own.alone(), dir: b.dir}
	if err := r.prepare(ctx); err != nil {
		return f, err
	}
	times, reads, err := alternate(ctx, choose(b, 3, 7), r.restore, r.read)
	if err != nil {
		return f, err
	}
	name := fmt.Sprintf("recovery, %s, %d MiB", backend, size)
	f = ratioOf(name, times, "ms", "reading the chunks", reads)
	return f, own.delete(ctx, r.options.restore, nil)
}

// recovering restores one job again and again.
type recovering struct {
	job     *rowsJob
	options taskOptions
}

// prepare takes the checkpoint that is restored.
func (r *recovering) prepare(ctx context.Context) (err error) {
	run, err := r.job.fill(ctx, r.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	r.options.restore, err = run.checkpoint(ctx, checkpoint.AlignmentAligned)
	r.job.feed.free()
	return err
}

// restore measures from the start of the tasks until the first record has reached the state.
func (r *recovering) restore(ctx context.Context) (_ float64, err error) {
	runtime.GC() // what the last restore has left
	start := time.Now()
	run, err := r.job.start(r.options)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	first, err := r.job.awaitFirst(ctx, run)
	return milliseconds(first.Sub(start)), err
}

// read reads what a restore has to read, and verifies it, as the store always does.
func (r *recovering) read(ctx context.Context) (float64, error) {
	runtime.GC()
	start := time.Now()
	for _, ref := range r.options.restore.chunks() {
		if _, err := r.options.store.Get(ctx, ref); err != nil {
			return 0, err
		}
	}
	return milliseconds(time.Since(start)), nil
}
