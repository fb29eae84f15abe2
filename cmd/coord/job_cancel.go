package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/fsm"
)

func cancelCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "cancel",
		Usage: "end a job; its output since the last checkpoint is dropped",
		Description: "Without --wait it returns as soon as the cluster has taken the order. With --wait it returns\n" +
			"when the job has ended, and fails if the job ended otherwise first.",
		ArgsUsage: "JOB",
		Flags:     cancelFlags(),
		Action: con.open(func(ctx context.Context, s session) error {
			if s.Bool("wait") && !s.IsSet("timeout") {
				s.timeout = patientTimeout
			}
			return s.within(ctx, func(ctx context.Context) error { return cancelJob(ctx, s) })
		}),
	}
}

func cancelFlags() []cli.Flag {
	flags := clientFlags(defaultTimeout, &cli.BoolFlag{DisableDefaultText: true, Name: "wait", Usage: "wait until the job has ended"})
	for _, f := range flags {
		if d, ok := f.(*cli.DurationFlag); ok {
			d.DefaultText = fmt.Sprintf("%s; with --wait %s", defaultTimeout, patientTimeout)
		}
	}
	return flags
}

func cancelJob(ctx context.Context, s session) error {
	job, err := s.service.CancelJob(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.Bool("wait") {
		if job, err = waitForEnd(ctx, s.service, job); err != nil {
			return err
		}
	}
	if s.asJSON() {
		err = writeJSON(s.out, job)
	} else {
		err = s.printf("Job %s with ID %s is %s.\n", oneLine(job.Name), job.ID, stateText(job))
	}
	if err != nil {
		return err
	}
	if job.EndedAt != 0 && job.State != fsm.JobCanceled.String() {
		return fmt.Errorf("job %s was %s before it could be cancelled", job.Name, job.State)
	}
	return nil
}

// waitForEnd returns the job as it is once it has ended.
func waitForEnd(ctx context.Context, service api.Service, job api.Job) (api.Job, error) {
	detail, err := waitForJob(ctx, service, api.JobDetail{Job: job}, func(job api.JobDetail) bool { return job.EndedAt != 0 })
	switch {
	case err != nil && api.CodeOf(err) == api.Unavailable:
		return detail.Job, api.Errorf(api.Unavailable, "job %s has not ended in time; it was %s when last seen", detail.Name, detail.State)
	case err != nil:
		return detail.Job, fmt.Errorf("wait for the end of job %s: %w", job.Name, err)
	}
	return detail.Job, nil
}
