package main

import (
	"context"
	"fmt"

	"cairn/api"
)

func showStatistics(ctx context.Context, s session) error {
	statistics, err := s.service.CheckpointStatistics(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, statistics)
	}
	c := statistics.Counts
	if err := writeFacts(s.out,
		say("Triggered", fmt.Sprint(c.Total)),
		say("Completed", fmt.Sprint(c.Completed)),
		say("Failed", fmt.Sprint(c.Failed)),
		say("In progress", fmt.Sprint(c.InProgress)),
		say("Restored", fmt.Sprint(c.Restored)),
	); err != nil {
		return err
	}
	parts := []func() error{func() error { return writeLatest(s, statistics.Latest) }}
	if c.Completed > 0 {
		parts = append(parts, func() error { return writeSummary(s, statistics.Summary) })
	}
	return sections(s, parts...)
}

// writeSummary has a column for each measure of the completed checkpoints, and a line for each quantile.
func writeSummary(s session, summary api.CheckpointSummary) error {
	measures := []struct {
		name   string
		values api.Distribution
		format func(int64) string
	}{
		{"DURATION", summary.EndToEndDuration, duration},
		{"ALIGNMENT", summary.Alignment, duration},
		{"SIZE", summary.StateSize, size},
		{"NEW", summary.CheckpointedSize, size},
		{"PROCESSED", summary.ProcessedData, size},
		{"PERSISTED", summary.PersistedData, size},
	}
	columns := []column{left("COMPLETED")}
	for _, m := range measures {
		columns = append(columns, right(m.name))
	}
	var rows [][]string
	for _, line := range []struct {
		name string
		of   func(api.Distribution) int64
	}{
		{"minimum", func(d api.Distribution) int64 { return d.Min }},
		{"average", func(d api.Distribution) int64 { return d.Avg }},
		{"p50", func(d api.Distribution) int64 { return d.P50 }},
		{"p90", func(d api.Distribution) int64 { return d.P90 }},
		{"p95", func(d api.Distribution) int64 { return d.P95 }},
		{"p99", func(d api.Distribution) int64 { return d.P99 }},
		{"p99.9", func(d api.Distribution) int64 { return d.P999 }},
		{"maximum", func(d api.Distribution) int64 { return d.Max }},
	} {
		row := []string{line.name}
		for _, m := range measures {
			row = append(row, m.format(line.of(m.values)))
		}
		rows = append(rows, row)
	}
	return writeTable(s.out, "", columns, rows)
}

func writeLatest(s session, latest api.LatestCheckpoints) error {
	now := s.now()
	var rows [][]string
	for _, l := range []struct {
		name string
		c    *api.Checkpoint
	}{{"completed", latest.Completed}, {"savepoint", latest.Savepoint}, {"failed", latest.Failed}} {
		if c := l.c; c != nil {
			rows = append(rows, []string{
				l.name, fmt.Sprint(c.ID), age(now, c.TriggerTimestamp), duration(c.EndToEndDurationMillis), size(c.StateSize), c.FailureReason,
			})
		}
	}
	if latest.Restored != 0 {
		rows = append(rows, []string{"restored", fmt.Sprint(latest.Restored), "", "", "", ""})
	}
	columns := []column{left("LATEST"), right("ID"), left("TRIGGERED"), right("DURATION"), right("SIZE"), left("FAILURE")}
	return writeTable(s.out, "No checkpoint has ended yet.", columns, rows)
}
