package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/coordinator"
)

func saveSnapshotCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "save",
		Usage: "save the replicated state: jobs, checkpoint counters, the log of completed checkpoints",
		Description: "The file holds what the coordinators agree on. The state of the jobs' operators is not part of it: that stays\n" +
			"on the task nodes, and the file only names it. FILE appears whole or not at all, and replaces an older one.",
		ArgsUsage: "FILE",
		Flags:     clientFlags(patientTimeout),
		Action:    con.call(saveSnapshot),
	}
}

func restoreSnapshotCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "restore",
		Usage: "replace the replicated state of the whole cluster by a saved one",
		Description: "Running jobs restart from their newest checkpoint. Checkpoint IDs and attempts go on, they are never used\n" +
			"twice; checkpoints that completed since the snapshot stay completed; a job that the snapshot does not know\n" +
			"ends as FAILED and keeps its checkpoints. A file that cannot be read to its end changes nothing.",
		ArgsUsage: "FILE",
		Flags:     clientFlags(patientTimeout),
		Action:    con.call(restoreSnapshot),
	}
}

func inspectSnapshotCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "check a saved snapshot and say what is in it; needs no cluster",
		ArgsUsage: "FILE",
		Flags:     []cli.Flag{&cli.BoolFlag{DisableDefaultText: true, Name: "json", Usage: "print JSON"}},
		Action: func(c *cli.Context) error {
			info, err := inspectFile(c.Args().First())
			if err != nil {
				return err
			}
			return con.writeSnapshot(c.Bool("json"), fmt.Sprintf("%s is whole.", c.Args().First()), info)
		},
	}
}

// writeSnapshot prints what a snapshot holds.
func (con *console) writeSnapshot(asJSON bool, headline string, info api.SnapshotInfo) error {
	if asJSON {
		return writeJSON(con.out, info)
	}
	if err := con.printf("%s\n", oneLine(headline)); err != nil {
		return err
	}
	return writeFacts(con.out,
		say("Format", fmt.Sprintf("version %d", info.Version)),
		say("Taken", fmt.Sprintf("in term %d, after log entry %d", info.Term, info.Index)),
		say("Size", size(info.Size)),
		say("SHA-256", info.SHA256),
		say("Jobs", fmt.Sprint(info.Jobs)),
		say("Checkpoints", fmt.Sprint(info.Checkpoints)),
		say("Savepoints", fmt.Sprint(info.Savepoints)),
	)
}

func inspectFile(path string) (api.SnapshotInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return api.SnapshotInfo{}, err
	}
	defer f.Close()
	info, err := coordinator.InspectSnapshot(f)
	if err != nil {
		return info, fmt.Errorf("snapshot %s: %w", path, err)
	}
	return info, nil
}

func saveSnapshot(ctx context.Context, s session) error {
	path := s.Args().First()
	info, err := writeWhole(path, func(w io.Writer) (api.SnapshotInfo, error) { return s.service.SaveSnapshot(ctx, w) })
	if err != nil {
		return err
	}
	return s.writeSnapshot(s.asJSON(), fmt.Sprintf("Saved to %s.", path), info)
}

// writeWhole lets save write a snapshot to a file beside path, which takes path's name when it is durable and has
// been read back. Otherwise nothing is left of it.
func writeWhole(path string, save func(io.Writer) (api.SnapshotInfo, error)) (info api.SnapshotInfo, err error) {
	temporary := path + ".tmp"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			if failed := os.Remove(temporary); !errors.Is(failed, os.ErrNotExist) {
				err = errors.Join(err, failed)
			}
		}
	}()
	out := bufio.NewWriter(f)
	info, err = save(out)
	for _, finish := range []func() error{out.Flush, f.Sync} {
		if err == nil {
			err = finish()
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return info, err
	}
	found, err := inspectFile(temporary)
	if err != nil {
		return info, err
	}
	if found.SHA256 != info.SHA256 {
		return info, fmt.Errorf("snapshot %s: what arrived has the SHA-256 %s, what was sent %s", temporary, found.SHA256, info.SHA256)
	}
	if err := os.Rename(temporary, path); err != nil {
		return info, err
	}
	return info, syncDir(filepath.Dir(path))
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// restoreSnapshot looks at the whole file before the cluster hears of it; the cluster looks again.
func restoreSnapshot(ctx context.Context, s session) error {
	path := s.Args().First()
	if _, err := inspectFile(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := s.service.RestoreSnapshot(ctx, f)
	if err != nil {
		return err
	}
	return s.writeSnapshot(s.asJSON(), fmt.Sprintf("Restored from %s.", path), info)
}
