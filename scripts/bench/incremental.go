package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cairn/checkpoint"
)

// measureIncremental changes a hundredth of the keys of a large state, again and again, and compares what each
// checkpoint stores with what the first one has stored.
func measureIncremental(ctx context.Context, b *bench) (err error) {
	own, err := openStore(filepath.Join(b.dir, "store"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	size := choose[int64](b, 128, 1024)
	job := newRowsJob(size*mib, 1014)
	run, err := job.fill(ctx, taskOptions{backend: checkpoint.BackendPebble, store: own.alone(), dir: b.dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	full, err := run.checkpoint(ctx, checkpoint.AlignmentAligned)
	if err != nil {
		return err
	}
	var stored, whole sample
	for last, written := full, job.rows; len(stored) < choose(b, 5, 10); {
		written += job.rows / 100
		job.feed.until(written)
		if err := job.await(ctx, run, written); err != nil {
			return err
		}
		newest, err := run.checkpoint(ctx, checkpoint.AlignmentAligned)
		if err != nil {
			return err
		}
		stored, whole = append(stored, float64(newest.stored())/mib), append(whole, float64(full.stored())/mib)
		if err := own.delete(ctx, last, newest); err != nil {
			return err
		}
		last = newest
	}
	name := fmt.Sprintf("stored when 1%% of %d MiB has changed, pebble", size)
	b.add(ratioOf(name, stored, "MiB", "the full checkpoint", whole).with(ratioAtMost(0.05)))
	return nil
}
