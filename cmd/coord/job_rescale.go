package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

const rescaleDescription = `The job takes a checkpoint, stops, and goes on from it at once with its state redistributed. Its
output is the same as if nothing had happened. Without --operator every operator gets the new
parallelism. With it only those that are named do, and those behind them to which the program gives
no parallelism of their own.

Max parallelism, the number of key groups, never changes and bounds the parallelism. When there are
too few slots, or the checkpoint fails, the job goes on as it was. Exit code: 0 when the job goes on
in its new shape, 1 otherwise.`

func rescaleCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "rescale",
		Usage:       "change the parallelism of a running job",
		Description: rescaleDescription,
		ArgsUsage:   "JOB",
		Flags: clientFlags(patientTimeout,
			&cli.IntFlag{Name: "parallelism", Usage: "`NUMBER` of subtasks, required"},
			&cli.StringSliceFlag{Name: "operator", Usage: "`ID` of an operator; may be repeated (default: all operators)"},
		),
		Action: func(c *cli.Context) error {
			to, err := rescaling(c)
			if err != nil {
				return err
			}
			return con.call(func(ctx context.Context, s session) error { return rescaleJob(ctx, s, to) })(c)
		},
	}
}

func rescaling(c *cli.Context) (api.Parallelism, error) {
	n := c.Int("parallelism")
	if n < 1 {
		return api.Parallelism{}, cliargs.Usagef(c, "--parallelism %d: give a positive NUMBER of subtasks", n)
	}
	operators := c.StringSlice("operator")
	if len(operators) == 0 {
		return api.Parallelism{All: n}, nil
	}
	to := api.Parallelism{Operators: make(map[string]int)}
	for _, op := range operators {
		if op == "" {
			return api.Parallelism{}, cliargs.Usagef(c, "--operator: an operator without ID")
		}
		to.Operators[op] = n
	}
	return to, nil
}

func rescaleJob(ctx context.Context, s session, to api.Parallelism) error {
	job := s.Args().First()
	stopWatching := s.watchCheckpoint(ctx, job, checkpoint.KindCheckpoint)
	r, err := s.service.RescaleJob(ctx, job, to)
	stopWatching()
	if err != nil {
		return err
	}
	r.Job = withoutNulls(r.Job)
	if s.asJSON() {
		return writeJSON(s.out, r)
	}
	said := fmt.Sprintf("Job %s goes on from checkpoint %d with this parallelism:\n\n", oneLine(r.Job.Name), r.Checkpoint)
	if r.Checkpoint == 0 {
		said = fmt.Sprintf("Nothing was changed: job %s has this parallelism already:\n\n", oneLine(r.Job.Name))
	}
	if err := s.printf("%s", said); err != nil {
		return err
	}
	return writeVertices(s, r.Job.Vertices)
}
