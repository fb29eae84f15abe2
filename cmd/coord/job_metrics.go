package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/dataflow"
)

func metricsCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:      "metrics",
		Usage:     "show what the subtasks of a job measure",
		ArgsUsage: "JOB",
		Description: "Records and bytes per second are taken over the last five seconds. Of each second (1000 ms) a subtask was\n" +
			"backpressured while it waited for room in an output, idle while it waited for input, and busy the rest.\n" +
			"What is not known is shown as -: of a subtask that does not run, or that was not heard of for five seconds.\n" +
			"LATE counts records that windows and joins have dropped, because the watermark had passed them.",
		Flags: readFlags(defaultTimeout, &cli.StringFlag{
			Name: "vertex", Usage: "`ID` of the vertex whose subtasks are shown; all if not set",
		}),
		Action: con.call(showMetrics),
	}
}

func showMetrics(ctx context.Context, s session) error {
	metrics, err := s.service.JobMetrics(ctx, s.Args().First(), s.String("vertex"))
	if err != nil {
		return err
	}
	metrics.Subtasks = list(metrics.Subtasks)
	if s.asJSON() {
		return writeJSON(s.out, metrics)
	}
	if err := writeThroughput(s, metrics.Subtasks); err != nil || len(metrics.Subtasks) == 0 {
		return err
	}
	return sections(s,
		func() error { return writeLoad(s, metrics.Subtasks) },
		func() error { return writeLastCheckpoints(s, metrics.Subtasks) },
	)
}

func writeThroughput(s session, subtasks []api.SubtaskMetrics) error {
	var rows [][]string
	for _, t := range subtasks {
		rows = append(rows, append([]string{t.ID}, throughput(t.Totals, t.Load)...))
	}
	return writeTable(s.out, "No subtask is placed.", throughputColumns("SUBTASK"), rows)
}

func throughputColumns(of string) []column {
	return []column{
		left(of), right("RECORDS IN"), right("PER S"), right("RECORDS OUT"), right("PER S"), right("BYTES IN/S"), right("BYTES OUT/S"),
	}
}

func throughput(totals *api.TaskTotals, load *api.TaskLoad) []string {
	in, out := unknown, unknown
	if totals != nil {
		in, out = fmt.Sprint(totals.RecordsIn), fmt.Sprint(totals.RecordsOut)
	}
	if load == nil {
		return []string{in, unknown, out, unknown, unknown, unknown}
	}
	return []string{
		in, perSecond(load.RecordsInPerSecond), out, perSecond(load.RecordsOutPerSecond),
		size(int64(load.BytesInPerSecond)), size(int64(load.BytesOutPerSecond)),
	}
}

func writeLoad(s session, subtasks []api.SubtaskMetrics) error {
	now := s.now()
	var rows [][]string
	for _, t := range subtasks {
		measured := unknown
		if t.MeasuredAt != 0 {
			measured = age(now, t.MeasuredAt)
		}
		row := []string{t.ID, t.Node, unknown, unknown, unknown, unknown, unknown, measured}
		if t.Totals != nil {
			row[6] = fmt.Sprint(t.Totals.LateRecords)
		}
		if l := t.Load; l != nil {
			row[2], row[3] = share(l.BusyMillisPerSecond), share(l.BackpressuredMillisPerSecond)
			row[4], row[5] = share(l.IdleMillisPerSecond), size(l.InFlightBytes)
		}
		rows = append(rows, row)
	}
	return writeTable(s.out, "", []column{
		left("SUBTASK"), left("NODE"), right("BUSY"), right("BACKPRESSURED"), right("IDLE"), right("IN FLIGHT"), right("LATE"), left("MEASURED"),
	}, rows)
}

func writeLastCheckpoints(s session, subtasks []api.SubtaskMetrics) error {
	var rows [][]string
	for _, t := range subtasks {
		row := []string{t.ID, watermark(t.Watermark), unknown, unknown, unknown, unknown}
		if c := t.LastCheckpoint; c != nil {
			row[2], row[3], row[4], row[5] = fmt.Sprint(c.ID), size(c.StateBytes), duration(c.AlignmentMillis), duration(c.StartDelayMillis)
		}
		rows = append(rows, row)
	}
	return writeTable(s.out, "", []column{
		left("SUBTASK"), left("WATERMARK"), right("CHECKPOINT"), right("STATE"), right("ALIGNMENT"), right("DELAY"),
	}, rows)
}

// writeVertexMetrics shows the sums of each vertex, and of how busy its subtasks are the worst. It shows nothing when
// nothing is known.
func writeVertexMetrics(s session, vertices []api.Vertex) error {
	var moved, loaded [][]string
	for _, v := range vertices {
		m := v.Metrics
		if m == nil {
			continue
		}
		moved = append(moved, append([]string{v.ID}, throughput(&m.Totals, m.Load)...))
		row := []string{v.ID, unknown, unknown, unknown, size(m.StateBytes), watermark(m.Watermark)}
		if l := m.Load; l != nil {
			row[1], row[2], row[3] = share(l.BusyMillisPerSecond), share(l.BackpressuredMillisPerSecond), size(l.InFlightBytes)
		}
		loaded = append(loaded, row)
	}
	if len(moved) == 0 {
		return nil
	}
	return sections(s,
		func() error { return writeTable(s.out, "", throughputColumns("VERTEX"), moved) },
		func() error {
			return writeTable(s.out, "", []column{
				left("VERTEX"), right("MAX BUSY"), right("BACKPRESSURED"), right("IN FLIGHT"), right("STATE"), left("WATERMARK"),
			}, loaded)
		},
	)
}

// unknown stands for what nobody has told.
const unknown = "-"

// perSecond writes a rate; below ten a decimal says that there is something.
func perSecond(rate float64) string {
	if rate > 0 && rate < 9.95 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// share writes milliseconds of a second.
func share(millis float64) string { return fmt.Sprintf("%d ms/s", int64(math.Round(millis))) }

// watermark writes an event time; a subtask at the end of its input has the last one there is.
func watermark(at *int64) string {
	if at == nil {
		return unknown
	}
	if t := dataflow.EventTime(*at); t == dataflow.MaxEventTime {
		return t.String()
	}
	return time.UnixMilli(*at).UTC().Format("2006-01-02 15:04:05.000")
}
