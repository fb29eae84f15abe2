package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

func exportCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "copy a savepoint, with all its state, into a directory",
		Description: "DIR must be new or empty. It holds the manifest, every chunk, and savepoint.json, which names them with\n" +
			"their sizes and hashes. It appears under its name when all of it is written: what an interrupted export\n" +
			"leaves is called DIR.partial-... and may be removed. The savepoint stays in the cluster.\n" +
			"Exit code: 0 when it was copied, 1 otherwise.",
		ArgsUsage: "JOB[/ID] [ID] DIR",
		Flags:     transferFlags(),
		Action: func(c *cli.Context) error {
			named, dir, err := namedWithDirectory(c)
			if err != nil {
				return err
			}
			if err := checkEmpty(dir); err != nil {
				return cliargs.Usagef(c, "DIR %s: %v", dir, err)
			}
			return con.open(func(ctx context.Context, s session) error { return exportSavepoint(ctx, s, named, dir) })(c)
		},
	}
}

// namedWithDirectory reads JOB/ID DIR or JOB ID DIR.
func namedWithDirectory(c *cli.Context) (named namedCheckpoint, dir string, err error) {
	args := c.Args().Slice()
	dir = args[len(args)-1]
	if len(args) == 2 {
		if named.job, named.id, err = parseReference(args[0]); err != nil {
			err = cliargs.Usagef(c, `savepoint %q: %v; "coord savepoint list" shows them`, args[0], err)
		}
		return named, dir, err
	}
	named.job = args[0]
	if named.id, err = strconv.ParseUint(args[1], 10, 64); err != nil || named.id == 0 {
		err = cliargs.Usagef(c, `savepoint ID %q: must be a positive whole number; "coord savepoint list" shows them`, args[1])
	}
	return named, dir, err
}

// savepointExported is what --json prints.
type savepointExported struct {
	Job       string `json:"job"` // ID
	JobName   string `json:"job_name"`
	Savepoint uint64 `json:"savepoint"`
	exported
}

func exportSavepoint(ctx context.Context, s session, named namedCheckpoint, dir string) error {
	at, nodes, err := s.located(ctx, named)
	switch {
	case err != nil:
		return err
	case at.Kind != "savepoint":
		return fmt.Errorf("%d of job %s is a checkpoint, which its job may discard at any time: take a savepoint, with coord savepoint create %s --dir %s",
			at.ID, oneLine(at.JobName), oneLine(named.job), oneLine(dir))
	case at.Incomplete:
		return fmt.Errorf("savepoint %d of job %s was not imported completely: import it again first", at.ID, oneLine(at.JobName))
	}
	e, err := s.export(ctx, nodes, exportable{at.Manifest, at.JobName}, dir)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, savepointExported{at.Job, at.JobName, at.ID, e})
	}
	return s.printf("Exported savepoint %d of job %s to %s: %s, %s.\nNext: coord savepoint import %s\n",
		at.ID, oneLine(at.JobName), oneLine(e.Directory), count(e.Chunks, "chunk"), size(e.Bytes), oneLine(e.Directory))
}

// export copies a savepoint into a directory, with a line of progress.
func (s session) export(ctx context.Context, nodes []api.Node, from exportable, dir string) (exported, error) {
	line, done := s.progressLine("exporting")
	e, err := s.directories.save(ctx, nodes, from, dir, line)
	done()
	if err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		err = errors.New("interrupted; nothing was exported")
	}
	return e, err
}
