package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

// completed is api.Checkpoint.Status of a checkpoint that can be restored.
const completed = "completed"

func checkpointCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "checkpoint",
		Usage: "list, show and trigger the checkpoints of a job",
		Subcommands: []*cli.Command{
			{
				Name:      "list",
				Usage:     "list pending and recent checkpoints, newest first",
				ArgsUsage: "JOB",
				Flags:     clientFlags(defaultTimeout),
				Action:    con.call(listCheckpoints),
			},
			{
				Name:      "show",
				Usage:     "show a checkpoint, subtask by subtask",
				ArgsUsage: "JOB ID",
				Flags:     clientFlags(defaultTimeout),
				Action:    con.call(showCheckpoint),
			},
			{
				Name:        "trigger",
				Usage:       "take a checkpoint now and wait for its outcome",
				Description: "Exit code: 0 when the checkpoint completed, 1 otherwise.",
				ArgsUsage:   "JOB",
				Flags:       clientFlags(patientTimeout),
				Action:      con.call(triggerCheckpoint),
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
			size(c.StateSize), acknowledged(c), c.FailureMessage,
		})
	}
	columns := []column{
		right("ID"), left("STATUS"), left("KIND"), left("TRIGGERED"), right("DURATION"), right("SIZE"), right("ACKED"),
		left("FAILURE"),
	}
	return writeTable(s.out, "No checkpoint was triggered.", columns, rows)
}

func acknowledged(c api.Checkpoint) string {
	return fmt.Sprintf("%d/%d", c.NumAcknowledgedSubtasks, c.NumSubtasks)
}

func showCheckpoint(ctx context.Context, s session) error {
	id, err := strconv.ParseUint(s.Args().Get(1), 10, 64)
	if err != nil || id == 0 {
		return cliargs.Usagef(s.Context, "checkpoint ID %q: must be a positive whole number", s.Args().Get(1))
	}
	detail, err := s.service.ShowCheckpoint(ctx, s.Args().First(), id)
	if err != nil {
		return err
	}
	if s.asJSON() {
		detail.Subtasks = list(detail.Subtasks)
		return writeJSON(s.out, detail)
	}
	return writeCheckpoint(s, detail)
}

func writeCheckpoint(s session, c api.CheckpointDetail) error {
	retained := "no"
	if c.Retained {
		retained = "yes"
	}
	if err := writeFacts(s.out,
		say("Checkpoint", fmt.Sprint(c.ID)),
		say("Status", c.Status),
		say("Failure", c.FailureMessage),
		say("Kind", c.Kind),
		say("Attempt", fmt.Sprint(c.Attempt)),
		say("Triggered", age(s.now(), c.TriggerTimestamp)),
		say("Duration", duration(c.EndToEndDurationMillis)),
		say("State size", size(c.StateSize)),
		say("Acknowledged", acknowledged(c.Checkpoint)+" subtasks"),
		say("Leader's term", terms(c.Checkpoint)),
		say("Retained", retained),
		say("Manifest", c.Manifest),
	); err != nil {
		return err
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	return writeSubtaskCheckpoints(s, c.Subtasks)
}

// terms tells whether a checkpoint has outlived the leader that began it.
func terms(c api.Checkpoint) string {
	if c.EndedTerm == 0 || c.EndedTerm == c.BeganTerm {
		return fmt.Sprint(c.BeganTerm)
	}
	return fmt.Sprintf("began in %d, ended in %d", c.BeganTerm, c.EndedTerm)
}

func writeSubtaskCheckpoints(s session, subtasks []api.SubtaskCheckpoint) error {
	var rows [][]string
	for _, t := range subtasks {
		row := []string{t.ID, t.Node, "no", "", "", "", "", ""}
		if t.Acknowledged {
			row = []string{
				t.ID, t.Node, "yes", size(t.StateSize), duration(t.StartDelayMillis), duration(t.AlignmentMillis),
				duration(t.SyncMillis), duration(t.AsyncMillis),
			}
		}
		rows = append(rows, row)
	}
	columns := []column{
		left("SUBTASK"), left("NODE"), left("ACKED"), right("SIZE"), right("START DELAY"), right("ALIGN"), right("SYNC"),
		right("ASYNC"),
	}
	return writeTable(s.out, "The leader does not know the subtasks' parts any more.", columns, rows)
}

func triggerCheckpoint(ctx context.Context, s session) error {
	job := s.Args().First()
	c, err := s.service.TriggerCheckpoint(ctx, job)
	if err != nil {
		return err
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
	return s.printf("Checkpoint %d of job %s completed in %s: %s, %s subtasks.\n",
		c.ID, job, duration(c.EndToEndDurationMillis), size(c.StateSize), acknowledged(c))
}
