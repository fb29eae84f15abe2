package coordinator

import (
	"fmt"
	"path/filepath"
	"strings"

	"cairn/api"
)

// copiesProblem says what has too few copies, empty when all has enough.
func copiesProblem(s api.StoreStatus) string {
	few, lost := s.UnderReplicated, s.Lost
	if few.Chunks == 0 {
		return ""
	}
	text := fmt.Sprintf("%s (%s) of retained checkpoints %s on fewer than %s", numberOf(few.Chunks, "chunk", "chunks"),
		sizeText(few.Bytes), areText(few), numberOf(int64(s.Replicas), "node", "nodes"))
	if lost.Chunks > 0 {
		text += fmt.Sprintf("; %d (%s) %s on none", lost.Chunks, sizeText(lost.Bytes), areText(lost))
	}
	if made := s.Repairing.Chunks; made > 0 {
		text += fmt.Sprintf("; %s being made", numberOf(made, "copy is", "copies are"))
	}
	return text
}

// damagedProblem says that a living node has damaged copies, empty for none. They are counted until somebody has removed them.
func damagedProblem(n api.StoreNode) string {
	if n.Corrupt == 0 || n.State != nodeAlive.String() && n.State != nodeSuspect.String() {
		return ""
	}
	copies := numberOf(n.Corrupt, "damaged copy", "damaged copies")
	if strings.Contains(n.Path, "://") { // a shared store has no quarantine
		return fmt.Sprintf("node %s has read %s in %s", n.ID, copies, n.Path)
	}
	return fmt.Sprintf("node %s has %s in quarantine under %s: look at its disk, and remove them", n.ID, copies, filepath.Join(n.Path, "quarantine"))
}

func numberOf(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func areText(c api.ChunkCount) string {
	if c.Chunks == 1 {
		return "is"
	}
	return "are"
}

// sizeText writes bytes in the largest binary unit of which there is at least one.
func sizeText(bytes int64) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, units := float64(bytes)/(1<<10), []string{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for len(units) > 1 && value >= 1023.95 {
		value, units = value/(1<<10), units[1:]
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0") + " " + units[0]
}
