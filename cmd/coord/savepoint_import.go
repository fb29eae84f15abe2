package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

func importCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "copy an exported savepoint from a directory into the cluster",
		Description: "All of DIR is verified before anything of it is taken. The savepoint is listed as soon as the import\n" +
			"begins, and a job can start from it when it is complete. An import that was interrupted is repeated with\n" +
			"the same command: it goes on where it ended. Or give it up with \"coord savepoint dispose\". The savepoint\n" +
			"keeps its job and its ID; one that its job has still is not imported a second time, but chunks of it that\n" +
			"are missing on the nodes are stored again. Exit code: 0 when it is complete, 1 otherwise.",
		ArgsUsage: "DIR",
		Flags:     transferFlags(),
		Action: con.open(func(ctx context.Context, s session) error {
			i, err := s.importFrom(ctx, s.Args().First())
			switch {
			case err != nil:
				return err
			case s.asJSON():
				return writeJSON(s.out, i)
			}
			return s.printf("%s\nNext: coord job submit PROGRAM --from-savepoint %s\n", importedText(i), reference(i.Savepoint))
		}),
	}
}

// imported is what --json prints.
type imported struct {
	api.Savepoint
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"`
	Stored int   `json:"stored"` // chunks that were not there already
}

func importedText(i imported) string {
	there := ""
	switch {
	case i.Stored == 0 && i.Chunks > 0:
		there = ", all of which were there"
	case i.Stored < i.Chunks:
		there = fmt.Sprintf(", of which %d were stored now", i.Stored)
	}
	verb := "Imported savepoint"
	if !i.Imported {
		verb = "The cluster still had savepoint"
	}
	return fmt.Sprintf("%s %d of job %s: %s, %s%s.", verb, i.ID, oneLine(nameOf(i.Savepoint)), count(i.Chunks, "chunk"), size(i.Bytes), there)
}

// nameOf is what the job of a savepoint is called.
func nameOf(s api.Savepoint) string {
	if s.JobName == "" {
		return s.Job
	}
	return s.JobName
}

// importFrom copies the savepoint of a directory into the cluster.
func (s session) importFrom(ctx context.Context, dir string) (imported, error) {
	line, done := s.progressLine("verifying " + oneLine(dir))
	from, err := s.directories.open(ctx, dir, line)
	done()
	if err != nil {
		return imported{}, s.stopped(ctx, err, "nothing was imported")
	}
	nodes, begun, err := s.beginImport(ctx, from)
	if err != nil {
		return imported{}, s.stopped(ctx, err, "nothing was imported")
	}
	unfinished := fmt.Sprintf("the import of savepoint %s is not complete: repeat the command, or give it up with coord savepoint dispose %s",
		reference(begun), reference(begun))
	line, done = s.progressLine("importing " + oneLine(dir))
	stored, err := from.storeChunks(ctx, nodes, line)
	done()
	if err != nil {
		return imported{}, s.stopped(ctx, err, unfinished)
	}
	about := from.about()
	i := imported{Chunks: about.chunks, Bytes: about.bytes, Stored: stored}
	i.Savepoint, err = s.service.FinishImport(ctx, begun.Job, begun.ID)
	if err != nil {
		return imported{}, s.stopped(ctx, err, unfinished)
	}
	i.Savepoint = withUsers(i.Savepoint)
	return i, nil
}

// importTries is how often a manifest is stored that a sweep has taken before it was named.
const importTries = 3

// beginImport stores the manifest and has it registered, before anything else of the savepoint is stored.
func (s session) beginImport(ctx context.Context, from importable) (nodes []api.Node, begun api.Savepoint, err error) {
	if err = s.within(ctx, func(ctx context.Context) error { nodes, err = s.aliveNodes(ctx); return err }); err != nil {
		return nil, api.Savepoint{}, err
	}
	about := from.about()
	for range importTries {
		if err = from.storeManifest(ctx, nodes); err != nil {
			return nil, api.Savepoint{}, err
		}
		begun, err = s.service.BeginImport(ctx, about.manifest, about.jobName)
		if api.CodeOf(err) != api.Unavailable || ctx.Err() != nil {
			break
		}
	}
	return nodes, begun, err
}

// stopped adds to the error of an import what has become of it.
func (s session) stopped(ctx context.Context, err error, state string) error {
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	return fmt.Errorf("%w; %s", err, state)
}
