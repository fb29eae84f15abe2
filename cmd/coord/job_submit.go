package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

const intervalKey = "checkpointing.interval"

const submitDescription = `PROGRAM is a job that the nodes were built with.

Each --param goes to the program; each --set changes a key of the job's configuration
from its default. An unknown key is refused, with the list of the known ones.`

func submitCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "submit",
		Usage:       "run a program of the nodes as a job",
		Description: submitDescription,
		ArgsUsage:   "PROGRAM",
		Flags: clientFlags(defaultTimeout,
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the job (default: the program's)"},
			&cli.GenericFlag{Name: "param", Value: pairs{}, Usage: "`KEY=VALUE` for the program; may be repeated"},
			&cli.GenericFlag{Name: "set", Value: pairs{}, Usage: "`KEY=VALUE` of the configuration; may be repeated"},
			&cli.DurationFlag{
				Name: "interval", DefaultText: checkpoint.DefaultConfig().Interval.String(),
				Usage: "`DURATION` between checkpoints, short for --set " + intervalKey,
			},
		),
		Action: con.call(submitJob),
	}
}

func submitJob(ctx context.Context, s session) error {
	config := s.Generic("set").(pairs)
	if s.IsSet("interval") {
		if _, given := config[intervalKey]; given {
			return cliargs.Usagef(s.Context, "--interval and --set %s are the same: give one of them", intervalKey)
		}
		config[intervalKey] = s.Duration("interval").String()
	}
	job, err := s.service.SubmitJob(ctx, api.SubmitJobRequest{
		Program: s.Args().First(), Name: s.String("name"), Params: s.Generic("param").(pairs), Config: config,
	})
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, job)
	}
	if err := s.printf("Submitted job %s with ID %s: %s.\n", oneLine(job.Name), job.ID, stateText(job)); err != nil {
		return err
	}
	return s.printf("Next: coord job show %s\n", job.ID)
}

// stateText says where the job stands, and why.
func stateText(job api.Job) string {
	if job.Reason == "" {
		return job.State
	}
	return job.State + ", " + oneLine(job.Reason)
}
