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
too few slots, or the checkpoint fails, the job goes on as it was.

It waits until every subtask runs in the new shape. With --no-wait it returns as soon as the job has
been stopped to go on in it. Exit code: 0 when that happened, 1 otherwise.`

func rescaleCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "rescale",
		Usage:       "change the parallelism of a running job",
		Description: rescaleDescription,
		ArgsUsage:   "JOB",
		Flags: clientFlags(patientTimeout, append([]cli.Flag{
			&cli.IntFlag{Name: "parallelism", DefaultText: "none, it must be given", Usage: "`NUMBER` of subtasks"},
			&cli.StringSliceFlag{Name: "operator", Usage: "`ID` of an operator; may be repeated (default: all operators)"},
		}, waitFlags("wait until every subtask runs in the new shape", "return as soon as the job goes on in the new shape")...)...),
		Action: func(c *cli.Context) error {
			if err := checkWait(c); err != nil {
				return err
			}
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
	switch {
	case !c.IsSet("parallelism"):
		return api.Parallelism{}, cliargs.Usagef(c, "--parallelism is missing: give a positive NUMBER of subtasks")
	case n < 1:
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
	if !s.asJSON() {
		if err := writeRescaled(s, r); err != nil {
			return err
		}
	}
	if s.waits() {
		if r.Job, err = s.waitUntilRunning(ctx, r.Job); err != nil {
			return err
		}
	}
	if s.asJSON() {
		r.Job = withoutNulls(r.Job)
		return writeJSON(s.out, r)
	}
	if !s.waits() {
		return nil
	}
	return s.printf("\n%s\n", runningText(r.Job))
}

// writeRescaled says what was decided.
func writeRescaled(s session, r api.Rescaled) error {
	said := fmt.Sprintf("Checkpoint %d is taken; job %s restarts from it with this parallelism:\n\n", r.Checkpoint, oneLine(r.Job.Name))
	if r.Checkpoint == 0 {
		said = fmt.Sprintf("Nothing was changed: job %s has this parallelism already:\n\n", oneLine(r.Job.Name))
	}
	if err := s.printf("%s", said); err != nil {
		return err
	}
	return writeVertices(s, r.Job.Vertices)
}

// runningText says of a job that it runs, or that it had nothing left to do.
func runningText(job api.JobDetail) string {
	if job.EndedAt != 0 {
		return fmt.Sprintf("Job %s is %s.", oneLine(job.Name), job.State)
	}
	return fmt.Sprintf("Job %s runs: attempt %d, %s on %s.", oneLine(job.Name), job.Attempt,
		count(len(job.Subtasks), "subtask"), count(nodesOf(job), "node"))
}

// nodesOf counts the nodes that a job's subtasks are on.
func nodesOf(job api.JobDetail) int {
	nodes := make(map[string]bool)
	for _, t := range job.Subtasks {
		nodes[t.Node] = true
	}
	return len(nodes)
}
