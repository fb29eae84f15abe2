package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

func showJob(ctx context.Context, s session) error {
	job, err := s.service.ShowJob(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, withoutNulls(job))
	}
	return writeJob(s, job)
}

// withoutNulls makes empty lists and objects of what JSON would show as null.
func withoutNulls(job api.JobDetail) api.JobDetail {
	job.Vertices, job.Subtasks = list(job.Vertices), list(job.Subtasks)
	job.Problems = list(job.Problems)
	if job.Parallelism == nil {
		job.Parallelism = map[string]int{}
	}
	if job.Params == nil {
		job.Params = map[string]string{}
	}
	if job.Config == nil {
		job.Config = map[string]string{}
	}
	return job
}

func writeJob(s session, job api.JobDetail) error {
	now := s.now()
	ended, restored := "", ""
	if job.EndedAt != 0 {
		ended = age(now, job.EndedAt)
	}
	if job.RestoredFrom != 0 {
		kind := "checkpoint"
		if job.Source != nil && job.Source.Checkpoint == job.RestoredFrom {
			kind = job.Source.Kind
		}
		restored = fmt.Sprintf("%s %d", kind, job.RestoredFrom)
	}
	c := job.Checkpoints
	if err := writeFacts(s.out,
		say("Job", job.Name),
		say("ID", job.ID),
		say("Program", job.Program),
		say("State", job.State),
		say("Reason", strings.Split(job.Reason, "\n")...),
		say("Problems", job.Problems...),
		say("Last failure", lastFailure(now, job)),
		say("Attempt", fmt.Sprintf("%d, after %s", job.Attempt, count(job.Restarts, "restart"))),
		say("Submitted", age(now, job.SubmittedAt)),
		say("Ended", ended),
		say("Submitted from", sourceText(job.Source)...),
		say("Restored from", restored),
		say("Checkpoints", fmt.Sprintf("%d completed, %d failed, %d pending, %d restored",
			c.Completed, c.Failed, c.InProgress, c.Restored)),
		say("Last checkpoint", lastCompleted(now, c)),
		say("Params", assignments(job.Params)...),
		say("Parallelism", parallelismLines(job.Parallelism)...),
	); err != nil {
		return err
	}
	if err := sections(s,
		func() error { return writeConfig(s, job.Config) },
		func() error { return writeVertices(s, job.Vertices) },
	); err != nil {
		return err
	}
	if err := writeVertexMetrics(s, job.Vertices); err != nil {
		return err
	}
	return sections(s, func() error { return writeSubtasks(s, job.Subtasks) })
}

// lastFailure says why the job was restarted last, when it runs again or has ended well: otherwise its reason does.
func lastFailure(now time.Time, job api.JobDetail) string {
	if job.LastFailureAt == 0 || job.Reason != "" {
		return ""
	}
	return age(now, job.LastFailureAt) + ": " + firstLine(job.LastFailure)
}

// sections writes parts of an output, with an empty line before each.
func sections(s session, parts ...func() error) error {
	for _, part := range parts {
		if err := s.printf("\n"); err != nil {
			return err
		}
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

// sourceText says what a job was submitted from, and how; nothing for a fresh start.
func sourceText(source *api.Source) []string {
	if source == nil {
		return nil
	}
	how := modeNoClaim
	if source.Claim {
		how = modeClaim
	}
	if source.AllowNonRestoredState {
		how += ", state without an operator left out"
	}
	return []string{fmt.Sprintf("%s %d of job %s", source.Kind, source.Checkpoint, source.Job), how}
}

// writeConfig shows every key, and beside those that differ from it, the default.
func writeConfig(s session, config map[string]string) error {
	defaults := checkpoint.DefaultConfig().Values()
	var rows [][]string
	for _, key := range slices.Sorted(maps.Keys(config)) {
		row := []string{key, config[key], ""}
		if config[key] != defaults[key] {
			row[2] = defaults[key]
		}
		rows = append(rows, row)
	}
	return writeTable(s.out, "The configuration is not known.", []column{left("KEY"), left("VALUE"), left("DEFAULT")}, rows)
}

// assignments writes a map as sorted key=value.
func assignments(m map[string]string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, key+"="+m[key])
	}
	return lines
}

// writeVertices names the slot sharing groups of a job that has more than the default one.
func writeVertices(s session, vertices []api.Vertex) error {
	var rows [][]string
	grouped := slices.ContainsFunc(vertices, func(v api.Vertex) bool { return v.SlotSharingGroup != "" })
	for _, v := range vertices {
		row := []string{v.ID, fmt.Sprint(v.Parallelism), fmt.Sprint(v.MaxParallelism), v.Name}
		if grouped {
			row = append(row, cmp.Or(v.SlotSharingGroup, checkpoint.DefaultSharingGroup))
		}
		rows = append(rows, row)
	}
	columns := []column{left("VERTEX"), right("PARALLELISM"), right("MAX"), left("OPERATORS")}
	if grouped {
		columns = append(columns, left("SLOT SHARING GROUP"))
	}
	return writeTable(s.out, "The graph is not known yet.", columns, rows)
}

func writeSubtasks(s session, subtasks []api.Subtask) error {
	var rows [][]string
	for _, t := range subtasks {
		rows = append(rows, []string{t.ID, t.Node, t.Status, failureText(t)})
	}
	return writeTable(s.out, "No subtask is placed.", []column{left("SUBTASK"), left("NODE"), left("STATUS"), left("FAILURE")}, rows)
}

// failureText tells the failure of a subtask from that of one that followed it.
func failureText(t api.Subtask) string {
	if t.Secondary {
		return "follows from another one: " + firstLine(t.Failure)
	}
	return firstLine(t.Failure)
}
