package main

import (
	"context"
	"fmt"
	"slices"

	"cairn/api"
)

func (d *demo) summarize(ctx context.Context) error {
	job, err := d.job(ctx)
	if err != nil {
		return err
	}
	list, err := d.cluster.Checkpoints(ctx, jobName)
	if err != nil {
		return err
	}
	d.say.step("Summary")
	row := func(name, format string, args ...any) { d.say.detail("%-24s %s", name, fmt.Sprintf(format, args...)) }
	row("checkpoints completed", "%d", job.Checkpoints.Completed)
	row("checkpoints aborted", "%d", job.Checkpoints.Failed)
	row("checkpoint IDs", "%d to %d", list[len(list)-1].ID, list[0].ID)
	durations := completedDurations(list)
	row("checkpoint duration", "p50 %d ms, p99 %d ms", percentile(durations, 50), percentile(durations, 99))
	row("restarts", "%d", job.Restarts)
	row("leader failover", "%d ms", d.failover.Milliseconds())
	row("node recovery", "%d ms", d.recovery.Milliseconds())
	row("resident memory in MiB", "%s", d.memory)
	row("words counted", "%d", d.want.words)
	row("differences", "0")
	return nil
}

func completedDurations(list []api.Checkpoint) []int64 {
	var durations []int64
	for _, c := range list {
		if c.Status == "completed" {
			durations = append(durations, c.EndToEndDurationMillis)
		}
	}
	slices.Sort(durations)
	return durations
}

// percentile returns the nearest-rank percentile p of ascending values, 0 for none.
func percentile(ascending []int64, p int) int64 {
	if len(ascending) == 0 {
		return 0
	}
	return ascending[max(0, (len(ascending)*p+99)/100-1)]
}
