package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// measurePause takes snapshots of the counts of all keys in one subtask, amid records, and beside each a pass over a
// plain map of as many.
func measurePause(ctx context.Context, b *bench) error {
	for _, backend := range backends {
		if err := measurePauseOf(ctx, b, backend); err != nil {
			return fmt.Errorf("backend %s: %w", backend, err)
		}
	}
	return nil
}

func measurePauseOf(ctx context.Context, b *bench, backend checkpoint.StateBackend) (err error) {
	own, err := openStore(b.dir + "/" + backend.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	p := &pausing{own: own, feed: newFeed(keyOf), watch: newStopwatch(), plain: make(map[uint64]int64, countedKeys)}
	for key := range uint64(countedKeys) {
		p.plain[key] = int64(key)
	}
	p.run, err = startTasks(taskOptions{
		build:   func(g *dataflow.Graph) { dataflow.To(countOf(g, 1, p.feed), "sink", p.watch) },
		backend: backend, store: own.alone(), dir: b.dir, progress: p.progress,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.run.stop()) }()
	if err := p.warmUp(ctx); err != nil {
		return err
	}
	pauses, passes, err := alternate(ctx, choose(b, 5, 21), p.pause, p.pass)
	if err != nil {
		return err
	}
	f := ratioOf("synchronous part of a snapshot, 1,000,000 keys, "+backend.String(), pauses, "ms", "pass over a map", passes)
	if backend == checkpoint.BackendMemory {
		f = f.with(valueBelow(10, "ms"))
	}
	b.add(f)
	b.add(ratioOf(fmt.Sprintf("%d records behind a snapshot, %s", stretch, backend), p.behind, "ms", "as many before it", p.before))
	return nil
}

// pausing measures the pauses of one job.
type pausing struct {
	run   *taskRun
	own   *ownStore
	feed  *feed[uint64]
	watch *stopwatch
	plain map[uint64]int64
	last  *taken
	sum   int64 // of the plain map, so that the pass is not optimized away

	before, behind sample // how long a stretch of records takes, in milliseconds
}

// progress notes when the counting task begins its capture. The sink that is chained behind the counts notes when it is
// asked to pre-commit: then the capture of the counts is over. Both happen in the task's goroutine.
func (p *pausing) progress(_ checkpoint.Barrier, s checkpoint.SubtaskProgress) {
	if s.Subtask.Vertex == "count" && s.Phase == checkpoint.PhaseSync {
		p.watch.began = time.Now()
	}
}

func (p *pausing) warmUp(ctx context.Context) error {
	p.feed.free()
	defer p.feed.hold()
	err := await(ctx, func() (bool, error) { return p.watch.records.Load() >= countedKeys, p.run.check() })
	if err != nil {
		return err
	}
	if _, err := p.pause(ctx); err != nil { // the first one of pebble has everything to flush
		return err
	}
	p.before, p.behind = nil, nil
	return nil
}

// pause takes a checkpoint amid records.
func (p *pausing) pause(ctx context.Context) (float64, error) {
	p.feed.free()
	defer p.feed.hold()
	before, err := p.watch.lap(ctx)
	if err != nil {
		return 0, err
	}
	newest, err := p.run.checkpoint(ctx, checkpoint.AlignmentAligned)
	if err != nil {
		return 0, err
	}
	behind, err := p.watch.lapBehind(ctx)
	if err != nil {
		return 0, err
	}
	p.before, p.behind = append(p.before, milliseconds(before)), append(p.behind, milliseconds(behind.stretch))
	err = p.own.delete(ctx, p.last, newest)
	p.last = newest
	return milliseconds(behind.pause), err
}

// pass goes through the plain map once, while the job has nothing to do.
func (p *pausing) pass(context.Context) (float64, error) {
	start := time.Now()
	for _, v := range p.plain {
		p.sum += v
	}
	return milliseconds(time.Since(start)), nil
}
