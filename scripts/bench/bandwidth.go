package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"cairn/checkpoint"
)

// measureBandwidth takes full checkpoints to one replica and to two, and writes a plain file of as many bytes beside each.
func measureBandwidth(ctx context.Context, b *bench) error {
	for replicas, where := range []string{"local disk", "two replicas"} {
		for _, backend := range backends {
			if err := measureBandwidthOf(ctx, b, replicas+1, where, backend); err != nil {
				return fmt.Errorf("%s, backend %s: %w", where, backend, err)
			}
		}
	}
	return nil
}

func measureBandwidthOf(ctx context.Context, b *bench, replicas int, where string, backend checkpoint.StateBackend) (err error) {
	size := choose[int64](b, 64, 256)
	w, err := startWriting(ctx, b, replicas, backend, newRowsJob(size*mib, 1014))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	repetitions := choose(b, 5, 11)
	if replicas > 1 {
		repetitions = choose(b, 3, 11) // there is no bar to hold
	}
	snapshots, files, err := alternate(ctx, repetitions, w.snapshot, w.file)
	if err != nil {
		return err
	}
	f := ratioOf(fmt.Sprintf("snapshot of %d MiB to %s, %s", size, where, backend), snapshots, "MiB/s", "a plain file", files)
	if replicas == 1 {
		f = f.with(ratioAtLeast(0.7))
	}
	b.add(f)
	return nil
}

// writing writes the same number of bytes as a snapshot and as a file.
type writing struct {
	nodes benchNodes
	job   *rowsJob
	run   *taskRun
	plain plainFile // of the size of the last snapshot
	// written is how many rows have been written so far, the first ones included.
	written int64
	stored  sample // bytes on the first node's disk for each byte of a snapshot
}

// startWriting fills the state of a job on the first of as many nodes as there are to be replicas.
func startWriting(ctx context.Context, b *bench, replicas int, backend checkpoint.StateBackend, job *rowsJob) (_ *writing, err error) {
	w := &writing{job: job, written: job.rows, plain: plainFile{path: filepath.Join(b.dir, "plain")}}
	w.nodes, err = openNodes(filepath.Join(b.dir, fmt.Sprintf("%s-%d", backend, replicas)), replicas)
	if err != nil {
		return nil, err
	}
	w.run, err = job.fill(ctx, taskOptions{backend: backend, store: w.nodes[0].store, dir: b.dir})
	if err == nil {
		_, err = w.snapshot(ctx) // the first one finds nothing to write behind
		w.stored = nil
	}
	if err != nil {
		return nil, errors.Join(err, w.stop())
	}
	return w, nil
}

func (w *writing) stop() error {
	var err error
	if w.run != nil {
		err = w.run.stop()
	}
	return errors.Join(err, w.nodes.close())
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
	stats, err := w.nodes[0].own.local.Stats()
	if err != nil {
		return 0, err
	}
	w.plain.size = t.stored()
	w.stored = append(w.stored, float64(stats.StoredBytes)/float64(stats.Bytes))
	return rate(w.plain.size, t.took), w.nodes.delete(ctx, t, nil)
}

func (w *writing) file(ctx context.Context) (mibPerSecond float64, err error) {
	return w.plain.writing(ctx)
}
