package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

const savepointDescription = `A savepoint is a checkpoint that belongs to the user: nothing but "dispose" deletes it. A job is
submitted from it with "coord job submit PROGRAM --from-savepoint JOB/ID", also after the job
that took it has ended. "coord job stop" takes one and ends the job with it. "export" copies one
into a directory that holds all its state, and "import" copies that into this or another cluster.`

func savepointCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "savepoint",
		Usage:       "take, list, export, import and dispose of savepoints",
		Description: savepointDescription,
		Subcommands: []*cli.Command{
			{
				Name:  "create",
				Usage: "take a savepoint and wait for its outcome; the job goes on",
				Description: "With --dir the savepoint is also copied into a directory that holds all its state and can be\n" +
					"kept anywhere. Exit code: 0 when it completed (and was copied), 1 otherwise.",
				ArgsUsage: "JOB",
				Flags:     clientFlags(patientTimeout, dirFlag()),
				Action:    func(c *cli.Context) error { return con.takeSavepoint(c, api.StopNone) },
			},
			{
				Name:  "list",
				Usage: "list the savepoints of a job, or of all jobs, newest first",
				Description: "NOTES says which were imported, and which imports are incomplete: no job can start from those; repeat\n" +
					"the import, or dispose of them. Of a savepoint that a job was stopped with it says how.",
				ArgsUsage: "[JOB]",
				Flags:     readFlags(defaultTimeout),
				Action:    con.call(listSavepoints),
			},
			exportCommand(con),
			importCommand(con),
			disposeCommand(con),
		},
	}
}

func dirFlag() cli.Flag {
	return &cli.StringFlag{Name: "dir", Usage: "copy the savepoint into this new or empty `DIR` as well"}
}

// takenSavepoint is what --json prints of a savepoint that was taken.
type takenSavepoint struct {
	api.Savepoint
	Exported *exported `json:"exported"` // null without --dir
}

// takeSavepoint looks at the directory first: a job is not stopped for a slip.
func (con *console) takeSavepoint(c *cli.Context, stop api.Stop) error {
	dir := c.String("dir")
	if dir != "" {
		if err := checkEmpty(dir); err != nil {
			return cliargs.Usagef(c, "--dir %s: %v", dir, err)
		}
	}
	return con.call(func(ctx context.Context, s session) error { return takeSavepoint(ctx, s, stop, dir) })(c)
}

func takeSavepoint(ctx context.Context, s session, stop api.Stop, dir string) error {
	ref := s.Args().First()
	stopWatching := s.watchCheckpoint(ctx, ref, checkpoint.KindSavepoint)
	savepoint, err := s.service.TriggerSavepoint(ctx, ref, stop)
	stopWatching()
	if err != nil {
		return overdue(ctx, err, ref)
	}
	taken := takenSavepoint{Savepoint: withUsers(savepoint)}
	if dir != "" {
		copied, err := s.exportTaken(ctx, savepoint, dir)
		if err != nil {
			return fmt.Errorf("savepoint %d of job %s completed, but was not copied to %s: %w", savepoint.ID, ref, dir, err)
		}
		taken.Exported = &copied
	}
	if s.asJSON() {
		return writeJSON(s.out, taken)
	}
	return writeTaken(s, taken)
}

func (s session) exportTaken(ctx context.Context, savepoint api.Savepoint, dir string) (exported, error) {
	id, err := checkpoint.ParseChunkID(savepoint.Manifest)
	if err != nil {
		return exported{}, err
	}
	nodes, err := s.aliveNodes(ctx)
	if err != nil {
		return exported{}, err
	}
	from := exportable{checkpoint.ChunkRef{ID: id, Size: savepoint.ManifestSize}, savepoint.JobName}
	return s.export(ctx, nodes, from, dir)
}

func writeTaken(s session, taken takenSavepoint) error {
	stopped := ""
	switch api.Stop(taken.Stop) {
	case api.StopSuspend:
		stopped = "The job has stopped.\n"
	case api.StopDrain:
		stopped = "The job has stopped, at the end of its input.\n"
	}
	if err := s.printf("Savepoint %d of job %s completed in %s: %s, %s.\n%s", taken.ID, oneLine(taken.JobName),
		duration(taken.CompletedAt-taken.TriggeredAt), size(taken.StateSize), count(taken.NumSubtasks, "subtask"), stopped); err != nil {
		return err
	}
	if e := taken.Exported; e != nil {
		if err := s.printf("Copied to %s: %s, %s.\n", oneLine(e.Directory), count(e.Chunks, "chunk"), size(e.Bytes)); err != nil {
			return err
		}
	}
	if taken.Stop == string(api.StopDrain) {
		return nil // there is nothing to go on with
	}
	from := reference(taken.Savepoint)
	if taken.Exported != nil {
		from = asDirectory(taken.Exported.Directory)
	}
	return s.printf("Next: coord job submit PROGRAM --from-savepoint %s\n", oneLine(from))
}

// reference names a savepoint as --from-savepoint reads it. It has the job's ID: names may pass to other jobs.
func reference(s api.Savepoint) string { return fmt.Sprintf("%s/%d", s.Job, s.ID) }

func listSavepoints(ctx context.Context, s session) error {
	savepoints, err := s.service.ListSavepoints(ctx, s.Args().First())
	if err != nil {
		return err
	}
	for i := range savepoints {
		savepoints[i] = withUsers(savepoints[i])
	}
	if s.asJSON() {
		return writeJSON(s.out, list(savepoints))
	}
	now := s.now()
	var rows [][]string
	for _, p := range savepoints {
		rows = append(rows, []string{
			p.JobName, age(now, p.CompletedAt), size(p.StateSize), savepointNotes(p), usedBy(p), reference(p),
		})
	}
	columns := []column{
		left("JOB"), left("TAKEN"), right("SIZE"), left("NOTES"), left("USED BY"), left("REFERENCE"),
	}
	return writeTable(s.out, "There is no savepoint.", columns, rows)
}

// savepointNotes say where a savepoint comes from, when that is not its job's going on.
func savepointNotes(s api.Savepoint) string {
	switch {
	case s.Incomplete:
		return "incomplete"
	case s.Imported:
		return "imported"
	}
	return s.Stop
}

// withUsers makes an empty list of what JSON would show as null.
func withUsers(s api.Savepoint) api.Savepoint {
	s.UsedBy = list(s.UsedBy)
	return s
}

// usedBy names the jobs that need a savepoint by the first digits of their IDs.
func usedBy(s api.Savepoint) string {
	var short []string
	for _, id := range s.UsedBy {
		short = append(short, id[:min(8, len(id))])
	}
	return strings.Join(short, ",")
}
