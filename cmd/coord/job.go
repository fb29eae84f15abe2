package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"
)

func jobCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "job",
		Usage: "submit, list, show, change, rescale, stop and cancel jobs",
		Description: "A JOB is named by its ID, or by its name: then the one that has not ended is meant,\n" +
			"else the one that ended last.",
		Subcommands: []*cli.Command{
			submitCommand(con),
			{
				Name:   "list",
				Usage:  "list the jobs",
				Flags:  readFlags(defaultTimeout),
				Action: con.call(listJobs),
			},
			{
				Name:      "show",
				Usage:     "show everything about a job",
				ArgsUsage: "JOB",
				Flags:     readFlags(defaultTimeout),
				Action:    con.call(showJob),
			},
			metricsCommand(con),
			setCommand(con),
			rescaleCommand(con),
			stopCommand(con),
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
			j.Name, j.State, fmt.Sprint(j.Attempt), fmt.Sprint(j.Restarts), age(now, j.SubmittedAt), j.ID, firstLine(j.Reason),
		})
	}
	columns := []column{
		left("NAME"), left("STATE"), right("ATTEMPT"), right("RESTARTS"), left("SUBMITTED"), left("ID"), left("REASON"),
	}
	return writeTable(s.out, "No job was submitted.", columns, rows)
}
