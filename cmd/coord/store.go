package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

const storeDescription = `The state store keeps the chunks of checkpoints and savepoints: on the nodes themselves, each chunk on
several of them, or in a store that the nodes share.`

const storeStatusDescription = `State is what retained checkpoints and savepoints name, each chunk once. Complete says whether the leader has
heard from every node what it holds. A full sweep compares that with what is named, and deletes the
rest: about every ten minutes, and soon after a node has come back.

The first table shows what each node holds: SIZE is that of the chunks' content, ON DISK what they take
there, to which chunks belong that are being stored or wait for their deletion. UNDER-REPLICATED are those of its chunks that have fewer copies than they should, CORRUPT
damaged copies in quarantine, REPAIRING copies that the node is making. A scrub reads everything
again. "coord checkpoint verify" reads all copies of one checkpoint at once.`

func storeCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "store",
		Usage:       "show how the state store is",
		Description: storeDescription,
		Subcommands: []*cli.Command{{
			Name:        "status",
			Usage:       "show what the nodes hold, and what lacks copies or is damaged",
			Description: storeStatusDescription,
			Flags:       clientFlags(defaultTimeout),
			Action:      con.call(storeStatus),
		}},
	}
}

func storeStatus(ctx context.Context, s session) error {
	status, err := s.service.StoreStatus(ctx)
	if err != nil {
		return err
	}
	status.Nodes, status.Problems = list(status.Nodes), list(status.Problems)
	if s.asJSON() {
		return writeJSON(s.out, status)
	}
	return writeStoreStatus(s, s.now(), status)
}

func writeStoreStatus(s session, now time.Time, status api.StoreStatus) error {
	if err := writeFacts(s.out,
		say("Store", storeText(status)),
		say("State", chunkCount(api.ChunkCount{Chunks: status.Chunks, Bytes: status.Bytes})),
		say("Complete", completeText(status)),
		say("Under-replicated", unless(status.UnderReplicated.Chunks == 0, chunkCount(status.UnderReplicated))),
		say("Lost", unless(status.Lost.Chunks == 0, chunkCount(status.Lost))),
		say("Repairing", unless(status.Repairing.Chunks == 0, chunkCount(status.Repairing))),
		say("Full sweep", age(now, status.SweptAt)),
		say("Problems", status.Problems...),
	); err != nil {
		return err
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	if err := writeStoreNodes(s, status.Nodes); err != nil || len(status.Nodes) == 0 {
		return err
	}
	if err := s.printf("\n"); err != nil {
		return err
	}
	return writeStoreHealth(s, now, status.Nodes)
}

func storeText(s api.StoreStatus) string {
	if s.Backend != "nodes" {
		return s.Backend
	}
	return "on the nodes, " + counted(s.Replicas, "copy", "copies") + " of each chunk"
}

// completeText says whether the figures can be relied upon.
func completeText(s api.StoreStatus) string {
	if s.Complete {
		return "yes"
	}
	var missing []string
	for _, n := range s.Nodes {
		if !n.Complete && n.State == "alive" {
			missing = append(missing, n.ID)
		}
	}
	switch len(missing) {
	case 0:
		return "no: the figures are not reliable yet"
	case 1:
		return missing[0] + " has not told yet what it holds: the figures are not reliable"
	}
	return strings.Join(missing, ", ") + " have not told yet what they hold: the figures are not reliable"
}

func chunkCount(c api.ChunkCount) string { return count(int(c.Chunks), "chunk") + ", " + size(c.Bytes) }

// unless returns text, or nothing.
func unless(not bool, text string) string {
	if not {
		return ""
	}
	return text
}

func writeStoreNodes(s session, nodes []api.StoreNode) error {
	var rows [][]string
	for _, n := range nodes {
		rows = append(rows, []string{n.ID, n.Zone, n.State, fmt.Sprint(n.Chunks), size(n.Bytes), size(n.StoredBytes), freeText(n)})
	}
	columns := []column{
		left("NODE"), left("ZONE"), left("STATE"), right("CHUNKS"), right("SIZE"), right("ON DISK"), right("FREE"),
	}
	return writeTable(s.out, "No node is known.", columns, rows)
}

// freeText is the room on a node's disk, and which share of it that is.
func freeText(n api.StoreNode) string {
	if n.TotalBytes == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d%%)", size(n.FreeBytes), 100*n.FreeBytes/n.TotalBytes)
}

func writeStoreHealth(s session, now time.Time, nodes []api.StoreNode) error {
	var rows [][]string
	for _, n := range nodes {
		rows = append(rows, []string{
			n.ID, fmt.Sprint(n.UnderReplicated), fmt.Sprint(n.Corrupt), fmt.Sprint(n.Repairing), scrubText(now, n), scrubbing(n),
		})
	}
	columns := []column{
		left("NODE"), right("UNDER-REPLICATED"), right("CORRUPT"), right("REPAIRING"), left("LAST SCRUB"), right("NEXT"),
	}
	return writeTable(s.out, "", columns, rows)
}

func scrubText(now time.Time, n api.StoreNode) string {
	text := age(now, n.ScrubbedAt)
	if n.ScrubCorrupt > 0 {
		text += fmt.Sprintf(", %d corrupt", n.ScrubCorrupt)
	}
	return text
}

// scrubbing is how far the present pass has come.
func scrubbing(n api.StoreNode) string {
	if n.ScrubShare == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f%% done", 100*n.ScrubShare)
}
