package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/fsm"
	"cairn/internal/cliargs"
)

const waitInterval = 200 * time.Millisecond

// waitFlags are those of a command that waits unless it is told not to.
func waitFlags(wait, noWait string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "wait", Value: true, DisableDefaultText: true, Usage: wait + "; the default"},
		&cli.BoolFlag{Name: "no-wait", DisableDefaultText: true, Usage: noWait},
	}
}

// checkWait refuses a command line that asks for both.
func checkWait(c *cli.Context) error {
	if c.IsSet("wait") && c.Bool("wait") && c.Bool("no-wait") {
		return cliargs.Usagef(c, "--wait and --no-wait: give one of them")
	}
	return nil
}

// waits reports what the flags of waitFlags say.
func (s session) waits() bool { return s.Bool("wait") && !s.Bool("no-wait") }

// askOnce bounds one question, so that a coordinator that hangs does not use up the time for all.
func askOnce(ctx context.Context, service api.Service, id string) (api.JobDetail, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	return service.ShowJob(ctx, id)
}

// waitForJob asks for a job until done says so of it. It asks by ID: the name may pass to another job. The leader may
// change meanwhile, so it goes on while the cluster is unavailable. When the time is over it returns the job as it was
// last seen, and an error of code Unavailable.
func waitForJob(ctx context.Context, service api.Service, job api.JobDetail, done func(api.JobDetail) bool) (api.JobDetail, error) {
	ticks := time.NewTicker(waitInterval)
	defer ticks.Stop()
	for !done(job) {
		select {
		case <-ctx.Done():
			return job, api.Errorf(api.Unavailable, "job %s: the time is over", job.Name)
		case <-ticks.C:
		}
		next, err := askOnce(ctx, service, job.ID)
		switch {
		case err == nil:
			job = next
		case api.CodeOf(err) != api.Unavailable:
			return job, err
		}
	}
	return job, nil
}

// waitUntilRunning returns the job as it is once every subtask runs, or has done all it had to do. What happens meanwhile
// is shown: as a line that changes, where a person sits, otherwise whatever is new about it.
func (s session) waitUntilRunning(ctx context.Context, job api.JobDetail) (api.JobDetail, error) {
	last := job.Reason
	job, err := waitForJob(ctx, s.service, job, func(job api.JobDetail) bool {
		switch stage := stageOf(job); {
		case job.EndedAt != 0 || runs(job):
			return true
		case s.interactive:
			fmt.Fprint(s.err, clearLine+oneLine(job.Name)+": "+stage)
		case job.Reason != "" && job.Reason != last:
			last = job.Reason
			fmt.Fprintln(s.err, oneLine(job.Name)+": "+stage)
		}
		return false
	})
	if s.interactive {
		fmt.Fprint(s.err, clearLine)
	}
	switch {
	case err != nil && api.CodeOf(err) == api.Unavailable:
		return job, api.Errorf(api.Unavailable, "job %s does not run yet on all subtasks: %s", job.Name, stageOf(job))
	case err != nil:
		return job, fmt.Errorf("wait until job %s runs: %w", job.Name, err)
	case job.EndedAt != 0 && job.State != fsm.JobFinished.String():
		return job, fmt.Errorf("job %s is %s", job.Name, stateText(job.Job))
	}
	return job, nil
}

// runs reports whether every subtask of a job runs, or has finished.
func runs(job api.JobDetail) bool {
	return job.State == fsm.JobRunning.String() && len(job.Subtasks) > 0 && running(job) == len(job.Subtasks)
}

func running(job api.JobDetail) int {
	n := 0
	for _, t := range job.Subtasks {
		if slices.Contains([]string{"RUNNING", "FINISHING", "FINISHED"}, t.Status) {
			n++
		}
	}
	return n
}

// stageOf says how far a job has come with its attempt.
func stageOf(job api.JobDetail) string {
	if job.State != fsm.JobRunning.String() || len(job.Subtasks) == 0 {
		return stateText(job.Job)
	}
	text := fmt.Sprintf("%d of %s of attempt %d running", running(job), count(len(job.Subtasks), "subtask"), job.Attempt)
	if job.Reason != "" {
		text += ", " + oneLine(firstLine(job.Reason))
	}
	return text
}
