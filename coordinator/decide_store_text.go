package coordinator

import (
	"fmt"
	"strings"

	"cairn/api"
)

func countText(c api.ChunkCount) string {
	if c.Chunks == 1 {
		return "1 chunk (" + sizeText(c.Bytes) + ")"
	}
	return fmt.Sprintf("%d chunks (%s)", c.Chunks, sizeText(c.Bytes))
}

func areText(c api.ChunkCount) string {
	if c.Chunks == 1 {
		return "is"
	}
	return "are"
}

func nodesText(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

func copiesText(n int64) string {
	if n == 1 {
		return "copy"
	}
	return "copies"
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
