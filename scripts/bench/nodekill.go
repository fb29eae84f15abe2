package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/internal/localcluster"
)

const (
	nodeKillState = 64 * mib
	nodeKillRate  = 100_000 // records per second
	nodeKillValue = 118     // bytes
	nodeKillLimit = time.Minute
)

// measureNodeKill kills task nodes of a real cluster and measures how long it takes until every subtask takes in records
// again, with state restored.
func measureNodeKill(ctx context.Context, b *bench) error {
	for _, backend := range choose(b, backends[:1], backends) {
		f, err := measureNodeKillOf(ctx, b, backend)
		if err != nil {
			return fmt.Errorf("backend %s: %w", backend, err)
		}
		b.add(f.with(valueBelow(2000, "ms")))
	}
	return nil
}

func measureNodeKillOf(ctx context.Context, b *bench, backend checkpoint.StateBackend) (f figure, err error) {
	dir, err := b.subdir(backend.String())
	if err != nil {
		return f, err
	}
	k, err := startNodeKill(ctx, b.bin, dir, backend)
	if k != nil {
		defer k.cluster.StopAll()
	}
	if err != nil {
		return f, err
	}
	var times sample
	for range choose(b, 3, 10) {
		took, err := k.kill(ctx)
		if err != nil {
			return f, err
		}
		times = append(times, milliseconds(took))
	}
	return valueOf(fmt.Sprintf("kill -9 of a node to records on every subtask, %s, %d MiB", backend, nodeKillState/mib), times, "ms"), nil
}

// nodeKill is a cluster that runs the job.
type nodeKill struct {
	cluster *localcluster.Cluster
	notes   string
}

const nodeKillJob = "rows"

// startNodeKill starts a cluster and the job, and returns when a checkpoint holds all of its state. The nodes run this
// very binary.
func startNodeKill(ctx context.Context, bin, dir string, backend checkpoint.StateBackend) (*nodeKill, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	notes, err := filepath.Abs(filepath.Join(dir, "notes"))
	if err != nil {
		return nil, err
	}
	cluster, err := localcluster.New(bin, dir)
	if err != nil {
		return nil, err
	}
	cluster.UseNodeBinary(self)
	k := &nodeKill{cluster: cluster, notes: notes}
	err = os.Mkdir(notes, 0o755)
	for _, p := range cluster.All() {
		err = errors.Join(err, p.Start())
	}
	if err != nil {
		return k, err
	}
	if err := k.awaitNodes(ctx); err != nil {
		return k, err
	}
	const rowSize = nodeKillValue + rowOverhead
	_, err = cluster.Coord(ctx, "job", "submit", nodeKillJob, "--name", nodeKillJob,
		"--param", fmt.Sprint("rows=", nodeKillState/rowSize), "--param", fmt.Sprint("value_size=", nodeKillValue),
		"--param", fmt.Sprint("rate=", nodeKillRate), "--param", "notes="+notes,
		"--set", "state.backend="+backend.String(), "--set", "checkpointing.interval=3s",
		// The default's first delay, each time.
		"--set", "restart.strategy=fixed_delay", "--set", "restart.delay=1s", "--set", "restart.fixed_delay.attempts=1000")
	if err != nil {
		return k, err
	}
	return k, k.awaitCheckpoint(ctx, 0)
}

func (k *nodeKill) awaitNodes(ctx context.Context) error {
	_, err := localcluster.Await(ctx, "all nodes", nodeKillLimit, k.cluster.Status, func(s api.Status) bool {
		return localcluster.AliveNodes(s) == len(k.cluster.Nodes)
	})
	return err
}

// awaitCheckpoint waits until a checkpoint of a later one than the given ID has completed that holds all of the state.
func (k *nodeKill) awaitCheckpoint(ctx context.Context, behind uint64) error {
	list := func(ctx context.Context) ([]api.Checkpoint, error) { return k.cluster.Checkpoints(ctx, nodeKillJob) }
	_, err := localcluster.Await(ctx, "a checkpoint of all the state", 2*nodeKillLimit, list, func(all []api.Checkpoint) bool {
		for _, c := range all {
			if c.ID > behind && c.Status == "completed" && c.StateSize >= nodeKillState*9/10 {
				return true
			}
		}
		return false
	})
	return err
}

// kill kills a node that runs subtasks, and brings everything back when the time has been taken.
func (k *nodeKill) kill(ctx context.Context) (took time.Duration, err error) {
	job, err := k.cluster.Job(ctx, nodeKillJob)
	if err != nil {
		return 0, err
	}
	newest := uint64(0)
	checkpoints, err := k.cluster.Checkpoints(ctx, nodeKillJob)
	if err != nil {
		return 0, err
	}
	if len(checkpoints) > 0 {
		newest = checkpoints[0].ID
	}
	victim := k.cluster.Find(job.Subtasks[0].Node)
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		return 0, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, nodeKillLimit, fmt.Errorf("no records on every subtask for %s", nodeKillLimit))
	defer cancel()
	err = await(limited, func() (bool, error) {
		last, all, err := flowsAgain(k.notes, killed)
		took = last.Sub(killed)
		return all, err
	})
	if err != nil {
		return 0, errors.Join(err, context.Cause(limited))
	}
	if err := victim.Start(); err != nil {
		return 0, err
	}
	if err := k.awaitNodes(ctx); err != nil {
		return 0, err
	}
	return took, k.awaitCheckpoint(ctx, newest)
}
