package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"cairn/checkpoint"
)

// shares are how many thousandths of the state change between two checkpoints. The largest comes last: it leaves most
// for compactions to do.
var shares = []int64{1, 10, 100}

// measureIncremental changes some of the keys of a large state, again and again, and compares what each checkpoint
// stores with what the first one has stored.
func measureIncremental(ctx context.Context, b *bench) (err error) {
	own, err := openStore(filepath.Join(b.dir, "store"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	size := choose[int64](b, 128, 1024)
	c := &changing{own: own, job: newRowsJob(size*mib, 1014)}
	c.written = c.job.rows
	c.run, err = c.job.fill(ctx, taskOptions{backend: checkpoint.BackendPebble, store: own.alone(), dir: b.dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.run.stop()) }()
	full, err := c.checkpoint(ctx)
	if err != nil {
		return err
	}
	for _, share := range shares {
		stored, err := c.repeat(ctx, share, full, choose(b, 9, 25))
		if err != nil {
			return err
		}
		whole := sample(slices.Repeat([]float64{full}, len(stored)))
		name := fmt.Sprintf("stored when %g%% of %d MiB has changed, pebble", float64(share)/10, size)
		f := ratioOf(name, stored, "MiB", "the full checkpoint", whole)
		if share == 10 {
			f = f.with(ratioAtMost(0.05))
		}
		b.add(f)
		// A compaction between two checkpoints makes new files out of unchanged rows: the mean has its part of that.
		b.add(ratioOf(name+", mean", sample{stored.mean()}, "MiB", "the full checkpoint", whole[:1]))
	}
	return nil
}

// changing overwrites parts of a state.
type changing struct {
	own  *ownStore
	job  *rowsJob
	run  *taskRun
	last *taken
	// written is how many rows have been written so far, the first ones included.
	written int64
}

// repeat changes as many thousandths of the state n times, and takes a checkpoint after each.
func (c *changing) repeat(ctx context.Context, share int64, full float64, n int) (stored sample, err error) {
	if err := c.settle(ctx, full); err != nil {
		return nil, err
	}
	for range n {
		mib, err := c.change(ctx, share)
		if err != nil {
			return nil, err
		}
		stored = append(stored, mib)
	}
	return stored, nil
}

// checkpoint returns how many MiB had to be stored.
func (c *changing) checkpoint(ctx context.Context) (stored float64, err error) {
	newest, err := c.run.checkpoint(ctx, checkpoint.AlignmentAligned)
	if err != nil {
		return 0, err
	}
	err = c.own.delete(ctx, c.last, newest)
	c.last = newest
	return float64(newest.stored()) / mib, err
}

// settle waits until the compactions that writing has left to do are over: until three checkpoints in a row
// find next to nothing new.
func (c *changing) settle(ctx context.Context, full float64) error {
	for quiet := 0; quiet < 3; quiet++ {
		if err := sleep(ctx, time.Now().Add(200*time.Millisecond)); err != nil {
			return err
		}
		stored, err := c.checkpoint(ctx)
		if err != nil {
			return err
		}
		if stored > full/1000 {
			quiet = -1
		}
	}
	return nil
}

// change overwrites thousandths of the rows, and takes a checkpoint.
func (c *changing) change(ctx context.Context, share int64) (stored float64, err error) {
	c.written += c.job.rows * share / 1000
	c.job.feed.until(c.written)
	if err := c.job.await(ctx, c.run, c.written); err != nil {
		return 0, err
	}
	return c.checkpoint(ctx)
}
