package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

func jobCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "job",
		Usage: "submit, list, show and cancel jobs",
		Description: "A JOB is named by its ID, or by its name: then the one that has not ended is meant,\n" +
			"else the one that ended last.",
		Subcommands: []*cli.Command{
			submitCommand(con),
			{
				Name:   "list",
				Usage:  "list the jobs",
				Flags:  clientFlags(defaultTimeout),
				Action: con.call(listJobs),
			},
			{
				Name:      "show",
				Usage:     "show everything about a job",
				ArgsUsage: "JOB",
				Flags:     clientFlags(defaultTimeout),
				Action:    con.call(showJob),
			},
			cancelCommand(con),
		},
	}
}

func listJobs(ctx context.Context, s session) error {
	jobs, err := s.service.ListJobs(ctx)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, list(jobs))
	}
	now := s.now()
	var rows [][]string
	for _, j := range jobs {
		rows = append(rows, []string{
			j.Name, j.State, fmt.Sprint(j.Attempt), fmt.Sprint(j.Restarts), age(now, j.SubmittedAt), j.ID, j.Reason,
		})
	}
	columns := []column{
		left("NAME"), left("STATE"), right("ATTEMPT"), right("RESTARTS"), left("SUBMITTED"), left("ID"), left("REASON"),
	}
	return writeTable(s.out, "No job was submitted.", columns, rows)
}

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
		restored = fmt.Sprintf("checkpoint %d", job.RestoredFrom)
	}
	c := job.Checkpoints
	if err := writeFacts(s.out,
		say("Job", job.Name),
		say("ID", job.ID),
		say("Program", job.Program),
		say("State", job.State),
		say("Reason", job.Reason),
		say("Attempt", fmt.Sprintf("%d, after %s", job.Attempt, count(job.Restarts, "restart"))),
		say("Submitted", age(now, job.SubmittedAt)),
		say("Ended", ended),
		say("Restored from", restored),
		say("Checkpoints", fmt.Sprintf("%d completed, %d failed, %d pending", c.Completed, c.Failed, c.InProgress)),
		say("Last checkpoint", lastCompleted(now, c)),
		say("Params", assignments(job.Params)...),
		say("Config", assignments(job.Config)...),
	); err != nil {
		return err
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	if err := writeVertices(s, job.Vertices); err != nil {
		return err
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	return writeSubtasks(s, job.Subtasks)
}

// assignments writes a map as sorted key=value.
func assignments(m map[string]string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, key+"="+m[key])
	}
	return lines
}

func writeVertices(s session, vertices []api.Vertex) error {
	var rows [][]string
	for _, v := range vertices {
		rows = append(rows, []string{v.ID, fmt.Sprint(v.Parallelism), fmt.Sprint(v.MaxParallelism), v.Name})
	}
	columns := []column{left("VERTEX"), right("PARALLELISM"), right("MAX"), left("OPERATORS")}
	return writeTable(s.out, "The graph is not known yet.", columns, rows)
}

func writeSubtasks(s session, subtasks []api.Subtask) error {
	var rows [][]string
	for _, t := range subtasks {
		rows = append(rows, []string{t.ID, t.Node, t.Status})
	}
	return writeTable(s.out, "No subtask is placed.", []column{left("SUBTASK"), left("NODE"), left("STATUS")}, rows)
}
