package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
)

const verifyDescription = `Every node reads its copies of all chunks of a checkpoint or savepoint that is kept - the manifest,
the breakdown of its statistics, and the state - and compares them with their hashes. No state is
transferred. A damaged copy is put into quarantine, and another one is made from a good copy.

Exit code: 1 when a chunk has no good copy, a copy is damaged, or one could not be read. Chunks with
fewer good copies than they should have are shown, and change the exit code only with --replicated:
they are repaired by and by.`

func verifyCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "verify",
		Usage:       "read and check every copy of a checkpoint's or savepoint's chunks",
		Description: verifyDescription,
		ArgsUsage:   "JOB[/ID] [ID]",
		Flags: transferFlags(&cli.BoolFlag{
			Name: "replicated", DisableDefaultText: true, Usage: "exit with 1 also when a chunk has fewer good copies than it should have",
		}),
		Action: withNamed("checkpoint", func(named namedCheckpoint) cli.ActionFunc {
			return con.open(func(ctx context.Context, s session) error { return verifyCheckpoint(ctx, s, named) })
		}),
	}
}

func verifyCheckpoint(ctx context.Context, s session, named namedCheckpoint) error {
	v, err := s.verified(ctx, named)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		return err
	}
	if s.asJSON() {
		err = writeJSON(s.out, v)
	} else {
		err = writeVerified(s, v)
	}
	if err != nil {
		return err
	}
	return v.failure(s.Bool("replicated"))
}

// verified finds out where the chunks are, has them read, and sums up what was found.
func (s session) verified(ctx context.Context, named namedCheckpoint) (verification, error) {
	at, nodes, err := s.located(ctx, named)
	if err != nil {
		return verification{}, err
	}
	if at.Incomplete {
		return verification{}, fmt.Errorf("savepoint %d of job %s was not imported completely: import it again, or give it up", at.ID, oneLine(at.JobName))
	}
	chunks, unreadable := s.chunksToVerify(ctx, nodes, at)
	if ctx.Err() != nil {
		return verification{}, ctx.Err()
	}
	survey := newSurvey(at, nodes, chunks)
	if err := s.locate(ctx, survey); err != nil {
		return verification{}, err
	}
	line, done := s.progressLine(fmt.Sprintf("verifying %s %d", at.Kind, at.ID))
	survey.read(ctx, s.replicas, line)
	done()
	if ctx.Err() != nil {
		return verification{}, ctx.Err()
	}
	v := survey.sum()
	v.Manifest = unreadable
	return v, nil
}

// chunksToVerify returns what a checkpoint names. Of one whose manifest cannot be read, that is all that is known, and
// unreadable says why.
func (s session) chunksToVerify(ctx context.Context, nodes []api.Node, at api.CheckpointLocation) (chunks []namedChunk, unreadable string) {
	chunks = []namedChunk{{at.Manifest, "manifest"}}
	if !at.Detail.ID.IsZero() {
		chunks = append(chunks, namedChunk{at.Detail, "statistics"})
	}
	data, err := s.replicas.get(ctx, nodes, at.Manifest)
	var m checkpoint.Manifest
	if err == nil {
		m, err = checkpoint.DecodeManifest(data)
	}
	if err != nil {
		return chunks, err.Error()
	}
	seen := make(map[checkpoint.ChunkID]bool)
	for _, t := range m.Subtasks {
		for _, h := range t.Handles {
			for _, c := range h.Chunks {
				if !seen[c.ID] {
					seen[c.ID] = true
					chunks = append(chunks, namedChunk{c, fmt.Sprintf("%s, operator %s", t.Subtask, h.Operator)})
				}
			}
		}
	}
	return chunks, ""
}

// locate asks the leader who has what, a bounded number of chunks at a time.
func (s session) locate(ctx context.Context, survey *survey) error {
	for from := 0; from < len(survey.chunks); from += api.MaxLocated {
		part := survey.chunks[from:min(from+api.MaxLocated, len(survey.chunks))]
		refs := make([]checkpoint.ChunkRef, len(part))
		for i, c := range part {
			refs[i] = c.ref
		}
		var found api.ChunkLocations
		err := s.within(ctx, func(ctx context.Context) (err error) { found, err = s.service.LocateChunks(ctx, refs); return err })
		if err != nil {
			return err
		}
		survey.located(from, len(part), found)
	}
	return nil
}

func writeVerified(s session, v verification) error {
	all := fmt.Sprintf("%s %d of job %s: %s, %s, %s on %s", strings.ToUpper(v.Kind[:1])+v.Kind[1:], v.ID, oneLine(v.JobName),
		count(v.Chunks, "chunk"), size(v.Bytes), counted(v.Copies, "copy", "copies"), count(v.Nodes, "node"))
	if err := s.printf("%s: %s.\n", all, v.text()); err != nil {
		return err
	}
	if v.UnderReplicated > 0 {
		if err := s.printf("Under-replicated: %s with fewer than %d good copies.\n", count(v.UnderReplicated, "chunk"), v.Replicas); err != nil {
			return err
		}
	}
	if len(v.Bad) == 0 {
		return nil
	}
	var rows [][]string
	for _, b := range v.Bad[:min(len(v.Bad), shownBad)] {
		rows = append(rows, []string{b.Finding, b.Node, b.Chunk[:16], size(b.Size), b.Part, b.Cause})
	}
	columns := []column{left("FOUND"), left("NODE"), left("CHUNK"), right("SIZE"), left("PART"), left("CAUSE")}
	if err := s.printf("\n"); err != nil {
		return err
	}
	if err := writeTable(s.out, "", columns, rows); err != nil || len(v.Bad) <= shownBad {
		return err
	}
	return s.printf("and %d more, which --json shows.\n", len(v.Bad)-shownBad)
}

// shownBad bounds the lines that a person is shown.
const shownBad = 50

// counted is count for a noun whose plural is not its singular and an s.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
