package main

import (
	"context"
	"errors"
	"time"

	"cairn/checkpoint"
	"cairn/connector/generate"
	"cairn/dataflow"
)

// measureBackpressure takes aligned and unaligned checkpoints in turn while the channels are full, because the sink is
// slow.
func measureBackpressure(ctx context.Context, b *bench) (err error) {
	own, err := openStore(b.dir + "/store")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	run, err := startTasks(taskOptions{build: buildClogged, backend: checkpoint.BackendMemory, store: own.alone(), dir: b.dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	err = await(ctx, func() (bool, error) { return run.clogged(), run.check() })
	if err != nil {
		return err
	}
	var inFlight sample
	taking := func(alignment checkpoint.Alignment) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			t, err := run.checkpoint(ctx, alignment)
			if err != nil {
				return 0, err
			}
			if alignment == checkpoint.AlignmentUnaligned {
				inFlight = append(inFlight, float64(t.persisted())/mib)
			}
			return milliseconds(t.took), own.delete(ctx, t, nil)
		}
	}
	unaligned, aligned, err := alternate(ctx, choose(b, 3, 9), taking(checkpoint.AlignmentUnaligned), taking(checkpoint.AlignmentAligned))
	if err != nil {
		return err
	}
	b.add(ratioOf("checkpoint under back pressure, unaligned", unaligned, "ms", "aligned", aligned))
	b.add(valueOf("checkpoint under back pressure, records stored", inFlight, "MiB"))
	return nil
}

// persisted is the bytes of records in flight that became part of the checkpoint.
func (t *taken) persisted() (n int64) {
	for _, m := range t.metrics {
		n += m.PersistedBytes
	}
	return n
}

// buildClogged is a count whose sink takes far fewer records than come.
func buildClogged(g *dataflow.Graph) {
	counts := countOf(g, 2, generate.New(0, keyOf))
	dataflow.To(dataflow.Rebalance(counts), "sink", slow{})
}

// clogged reports whether the sources have been standing still for a while.
func (t *taskRun) clogged() bool {
	for _, s := range t.sources() {
		if t.tasks[s].Stats().Backpressured < 300*time.Millisecond {
			return false
		}
	}
	return true
}

// slow is a sink that takes some hundred thousand records a second at most.
type slow struct{}

func (slow) Open(dataflow.SinkContext) (dataflow.SinkWriter[int64], error) { return &slowWriter{}, nil }

type slowWriter struct{ records int }

func (w *slowWriter) Recover(context.Context, [][]byte) error { return nil }

func (w *slowWriter) Write(int64) error {
	if w.records++; w.records%500 == 0 {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (w *slowWriter) PreCommit(context.Context, checkpoint.ID) ([]byte, error) { return nil, nil }
func (w *slowWriter) Commit(context.Context, []byte) error                     { return nil }
func (w *slowWriter) Close() error                                             { return nil }
