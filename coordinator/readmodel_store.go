package coordinator

import (
	"fmt"
	"strings"

	"cairn/api"
)

// fullShare is the share of a disk that should be free: with less, checkpoints are soon declined.
const fullShare = 0.05

// roomProblems says which nodes' disks are nearly full, and of which nodes nothing is known yet.
func roomProblems(s api.StoreStatus) []string {
	var said, untold []string
	for _, n := range s.Nodes {
		if n.State != nodeAlive.String() {
			continue
		}
		if n.TotalBytes > 0 && float64(n.FreeBytes) < fullShare*float64(n.TotalBytes) {
			said = append(said, fmt.Sprintf("the disk of node %s is nearly full: %s of %s free at %s", n.ID,
				sizeText(n.FreeBytes), sizeText(n.TotalBytes), n.Path))
		}
		if !n.Complete {
			untold = append(untold, n.ID)
		}
	}
	if len(untold) > 0 {
		said = append(said, "what is stored is not known of "+strings.Join(untold, ", ")+": no inventory yet")
	}
	return said
}

// sweptAt returns when the last full sweep of this leadership ended, in ms since 1970; 0 before.
func sweptAt(v *View) int64 {
	if at := v.SweptAt(); !at.IsZero() {
		return at.UnixMilli()
	}
	return 0
}
