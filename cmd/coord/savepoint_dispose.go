package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func disposeCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "dispose",
		Usage: "give up a savepoint; its state is deleted",
		Description: "Asks for confirmation on a terminal, unless --yes is given. A savepoint that a job still needs\n" +
			"is not given up. Copies in directories are not touched. It is named JOB/ID, as \"coord savepoint list\"\n" +
			"shows it, or JOB ID.",
		ArgsUsage: "JOB[/ID] [ID]",
		Flags: clientFlags(defaultTimeout,
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, DisableDefaultText: true, Usage: "do not ask"}),
		Action: withNamed("savepoint", func(named namedCheckpoint) cli.ActionFunc {
			return con.open(func(ctx context.Context, s session) error { return disposeSavepoint(ctx, s, named) })
		}),
	}
}

// disposed is what --json prints.
type disposed struct {
	Job       string `json:"job"` // as it was named
	Savepoint uint64 `json:"savepoint"`
	Disposed  bool   `json:"disposed"`
}

func disposeSavepoint(ctx context.Context, s session, named namedCheckpoint) error {
	job, id := named.job, named.id
	// A person may take longer than --timeout over the question: it does not count.
	if s.interactive && !s.Bool("yes") {
		if err := s.confirm(fmt.Sprintf("Delete savepoint %d of job %s and its state?", id, oneLine(job))); err != nil {
			return err
		}
	}
	err := s.within(ctx, func(ctx context.Context) error { return s.service.DisposeSavepoint(ctx, job, id) })
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, disposed{Job: job, Savepoint: id, Disposed: true})
	}
	return s.printf("Savepoint %d of job %s is disposed of; its state is being deleted.\n", id, oneLine(job))
}

// confirm asks a question that is answered with y or yes, and returns an error otherwise.
func (con *console) confirm(question string) error {
	if _, err := fmt.Fprintf(con.err, "%s [y/N] ", question); err != nil {
		return err
	}
	answer, _ := bufio.NewReader(con.in).ReadString('\n') // no answer is a no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was deleted: the question was not answered with y")
}
