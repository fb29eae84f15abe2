package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/metrics"
	"syscall"
	"time"

	"cairn/checkpoint"
	"cairn/connector/blackhole"
	"cairn/connector/generate"
	"cairn/dataflow"
)

// measureThroughput runs the keyed count on one node and on two. Windows of time with a checkpoint every second and
// without any follow each other in the same run of the job.
func measureThroughput(ctx context.Context, b *bench) error {
	for nodes := 1; nodes <= 2; nodes++ {
		if err := measureCount(ctx, b, nodes); err != nil {
			return fmt.Errorf("%d nodes: %w", nodes, err)
		}
	}
	return nil
}

func measureCount(ctx context.Context, b *bench, nodes int) (err error) {
	dir, err := b.subdir(fmt.Sprint("nodes-", nodes))
	if err != nil {
		return err
	}
	sink := blackhole.New[int64]()
	program := dataflow.Program{Name: "count", Build: func(g *dataflow.Graph, _ *dataflow.Params) error {
		dataflow.To(countOf(g, 2, generate.New(0, keyOf)), "sink", sink)
		return nil
	}}
	r, err := startNodes(ctx, dir, nodes, program)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.nodes.close()) }()
	c := &counting{run: r, sink: sink, length: choose(b, 2*time.Second, 5*time.Second)}
	if err := c.warmUp(ctx); err != nil {
		return err
	}
	with, without, err := alternate(ctx, choose(b, 3, 12), c.withCheckpoints, c.withoutCheckpoints)
	if err != nil {
		return err
	}
	where := map[int]string{1: "one node", 2: "two nodes"}[nodes]
	b.add(valueOf("keyed count, "+where+", no checkpoints", without, "records/s"))
	b.add(ratioOf("keyed count, "+where+", checkpoint every 1 s", with, "records/s", "no checkpoints", without).with(ratioAtLeast(0.97)))
	b.add(ratioOf("processor time, "+where+", checkpoint every 1 s", c.spentWith, "ns per record", "no checkpoints", c.spentWithout))
	b.add(valueOf("allocations, "+where, c.allocations, "per record").with(valueBelow(0.01, "per record")))
	b.add(valueOf("checkpoint of 1,000,000 counts, "+where, c.durations, "ms"))
	return nil
}

// counting measures windows of a keyed count.
type counting struct {
	run         *nodeRun
	sink        *blackhole.Sink[int64]
	length      time.Duration // of a window
	last        *taken
	allocations sample // per record, in the windows without checkpoints
	durations   sample // of checkpoints, in milliseconds

	// Processor time of the whole process, in nanoseconds per record: what else runs on the machine matters less to it.
	spentWith, spentWithout sample
}

// warmUp waits until every key has its count, and takes a first checkpoint.
func (c *counting) warmUp(ctx context.Context) error {
	if err := await(ctx, func() (bool, error) { return c.sink.Records() >= 3*countedKeys, c.run.check() }); err != nil {
		return err
	}
	return c.checkpoint(ctx)
}

func (c *counting) withoutCheckpoints(ctx context.Context) (recordsPerSecond float64, err error) {
	allocated, spent := allocations(), processorTime()
	records, start := c.sink.Records(), time.Now()
	if err := sleep(ctx, start.Add(c.length)); err != nil {
		return 0, err
	}
	records, elapsed := c.sink.Records()-records, time.Since(start)
	c.spentWithout = append(c.spentWithout, float64(processorTime()-spent)/float64(records))
	c.allocations = append(c.allocations, float64(allocations()-allocated)/float64(records))
	return float64(records) / elapsed.Seconds(), c.run.check()
}

// withCheckpoints begins one at the start of each second. A window lasts until all that it has begun is over: it pays
// for its checkpoints itself.
func (c *counting) withCheckpoints(ctx context.Context) (recordsPerSecond float64, err error) {
	records, start, spent := c.sink.Records(), time.Now(), processorTime()
	for due := time.Duration(0); due < c.length; due += time.Second {
		if err := sleep(ctx, start.Add(due)); err != nil {
			return 0, err
		}
		if err := c.checkpoint(ctx); err != nil {
			return 0, err
		}
		c.durations = append(c.durations, milliseconds(c.last.took))
	}
	if err := sleep(ctx, start.Add(c.length)); err != nil {
		return 0, err
	}
	records, elapsed := c.sink.Records()-records, time.Since(start)
	c.spentWith = append(c.spentWith, float64(processorTime()-spent)/float64(records))
	return float64(records) / elapsed.Seconds(), nil
}

func (c *counting) checkpoint(ctx context.Context) error {
	newest, err := c.run.checkpoint(ctx, checkpoint.AlignmentAligned)
	if err != nil {
		return err
	}
	err = c.run.nodes.delete(ctx, c.last, newest)
	c.last = newest
	return err
}

// processorTime is what this process has spent so far, in its own code and in the kernel.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for a bad argument only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocations is how many objects this process has allocated so far.
func allocations() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
