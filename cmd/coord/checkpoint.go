package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
)

// Values of api.Checkpoint.Status.
const (
	inProgress = "in_progress"
	completed  = "completed" // it can be restored
)

func checkpointCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "checkpoint",
		Usage: "list, show, verify, trigger and sum up the checkpoints of a job",
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list pending and recent checkpoints and savepoints, newest first",
				Description: "NOTES says which are retained, so that a job can be submitted from them, and which one the running\n" +
					"attempt was restored from. SIZE is that of the state, NEW what was stored for it that was not there.",
				ArgsUsage: "JOB",
				Flags:     readFlags(defaultTimeout),
				Action:    con.call(listCheckpoints),
			},
			showCheckpointCommand(con),
			verifyCommand(con),
			{
				Name:        "trigger",
				Usage:       "take a checkpoint now and wait for its outcome",
				Description: "Exit code: 0 when the checkpoint completed, 1 otherwise.",
				ArgsUsage:   "JOB",
				Flags:       clientFlags(patientTimeout),
				Action:      con.call(triggerCheckpoint),
			},
			{
				Name:      "stats",
				Usage:     "count and sum up a job's checkpoints since its submission",
				ArgsUsage: "JOB",
				Flags:     readFlags(defaultTimeout),
				Action:    con.call(showStatistics),
			},
		},
	}
}

func listCheckpoints(ctx context.Context, s session) error {
	checkpoints, err := s.service.ListCheckpoints(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, list(checkpoints))
	}
	now := s.now()
	var rows [][]string
	for _, c := range checkpoints {
		rows = append(rows, []string{
			fmt.Sprint(c.ID), c.Status, c.Kind, age(now, c.TriggerTimestamp), duration(c.EndToEndDurationMillis),
			size(c.StateSize), size(c.CheckpointedSize), acknowledged(c), notes(c), cmp.Or(c.FailureMessage, c.GivenUp),
		})
	}
	columns := []column{
		right("ID"), left("STATUS"), left("KIND"), left("TRIGGERED"), right("DURATION"), right("SIZE"), right("NEW"),
		right("ACKED"), left("NOTES"), left("FAILURE"),
	}
	return writeTable(s.out, "No checkpoint was triggered.", columns, rows)
}

// notes say what has become of a checkpoint.
func notes(c api.Checkpoint) string {
	var notes []string
	if c.Retained {
		notes = append(notes, "retained")
	}
	if c.RestoredFrom {
		notes = append(notes, "restored from")
	}
	if c.GivenUp != "" {
		notes = append(notes, "given up")
	}
	return strings.Join(notes, ", ")
}

func acknowledged(c api.Checkpoint) string {
	return fmt.Sprintf("%d/%d", c.NumAcknowledgedSubtasks, c.NumSubtasks)
}

// overdue adds to the error of a call that --timeout has ended where to look for what it waited for.
func overdue(ctx context.Context, err error, job string) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w; if it was begun it goes on, as \"coord checkpoint list %s\" shows", err, oneLine(job))
}

func triggerCheckpoint(ctx context.Context, s session) error {
	job := s.Args().First()
	stopWatching := s.watchCheckpoint(ctx, job, checkpoint.KindCheckpoint)
	c, err := s.service.TriggerCheckpoint(ctx, job)
	stopWatching()
	if err != nil {
		return overdue(ctx, err, job)
	}
	if s.asJSON() {
		if err := writeJSON(s.out, c); err != nil {
			return err
		}
	}
	switch {
	case c.Status != completed && c.FailureMessage == "":
		return fmt.Errorf("checkpoint %d of job %s is %s", c.ID, job, c.Status)
	case c.Status != completed:
		return fmt.Errorf("checkpoint %d of job %s %s: %s", c.ID, job, c.Status, oneLine(c.FailureMessage))
	case s.asJSON():
		return nil
	}
	return s.printf("Checkpoint %d of job %s completed in %s: %s, %s.\n",
		c.ID, job, duration(c.EndToEndDurationMillis), size(c.StateSize), count(c.NumSubtasks, "subtask"))
}
