package localcluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"cairn/api"
)

// Coord runs the command line as a user would and returns what it prints. The error holds what it complained
// about.
func (c *Cluster) Coord(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "coord"), args...)
	cmd.Env = append(cmd.Environ(), "CAIRN_ADDR="+strings.Join(c.Addrs, ","))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("coord %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

func query[T any](ctx context.Context, c *Cluster, args ...string) (T, error) {
	var v T
	out, err := c.Coord(ctx, append(args, "--json")...)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		return v, fmt.Errorf("coord %s --json printed what is not the JSON expected: %w", strings.Join(args, " "), err)
	}
	return v, nil
}

// Status asks for the cluster's status.
func (c *Cluster) Status(ctx context.Context) (api.Status, error) {
	return query[api.Status](ctx, c, "status")
}

// Members lists everybody that gossip knows.
func (c *Cluster) Members(ctx context.Context) ([]api.Member, error) {
	return query[[]api.Member](ctx, c, "members")
}

// Checkpoints lists a job's checkpoints, newest first.
func (c *Cluster) Checkpoints(ctx context.Context, job string) ([]api.Checkpoint, error) {
	return query[[]api.Checkpoint](ctx, c, "checkpoint", "list", job)
}

// Savepoints lists the savepoints of a job, newest first.
func (c *Cluster) Savepoints(ctx context.Context, job string) ([]api.Savepoint, error) {
	return query[[]api.Savepoint](ctx, c, "savepoint", "list", job)
}

// Job asks for everything about a job.
func (c *Cluster) Job(ctx context.Context, job string) (api.JobDetail, error) {
	return query[api.JobDetail](ctx, c, "job", "show", job)
}

// awaitPause is how long Await waits before it asks again.
const awaitPause = 10 * time.Millisecond

// Await asks until done says so, or until limit or ctx end. An answer that cannot be had is asked for again: a
// cluster between two leaders is no reason to give up.
func Await[T any](ctx context.Context, what string, limit time.Duration, ask func(context.Context) (T, error), done func(T) bool) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("waited %s for %s", limit, what))
	defer cancel()
	var last error
	for {
		v, err := ask(ctx)
		if err == nil && done(v) {
			return v, nil
		}
		if ctx.Err() == nil {
			last = err // not one that our own time-out has caused
		}
		select {
		case <-ctx.Done():
			return v, errors.Join(context.Cause(ctx), last)
		case <-time.After(awaitPause):
		}
	}
}

// AliveNodes counts the task nodes that are alive.
func AliveNodes(s api.Status) int {
	alive := 0
	for _, n := range s.Nodes {
		if n.State == "alive" {
			alive++
		}
	}
	return alive
}

// Running reports whether every subtask of a job has restored its state and connected its channels: from that
// moment the sources emit.
func Running(j api.JobDetail) bool {
	for _, s := range j.Subtasks {
		if s.Status != "RUNNING" && s.Status != "FINISHING" && s.Status != "FINISHED" {
			return false
		}
	}
	return len(j.Subtasks) > 0
}

// Ended reports whether a job is in a terminal state.
func Ended(j api.JobDetail) bool {
	return j.State == "FINISHED" || j.State == "FAILED" || j.State == "CANCELED"
}

// CheckpointByID finds a checkpoint in a listing.
func CheckpointByID(list []api.Checkpoint, id uint64) (api.Checkpoint, bool) {
	for _, c := range list {
		if c.ID == id {
			return c, true
		}
	}
	return api.Checkpoint{}, false
}
