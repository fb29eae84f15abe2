package coordinator

import (
	"fmt"
	"strings"

	"cairn/api"
)

// fullShare is the share of a disk that should be free: with less, checkpoints are soon declined.
const fullShare = 0.05

// storeProblems says what is wrong with the state store. While inventories are missing nothing can be said of copies.
func storeProblems(s api.StoreStatus) []string {
	problems := []string{}
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if few := copiesProblem(s); s.Complete && few != "" {
		problem("%s", few)
	}
	for _, n := range s.Nodes {
		if bad := damagedProblem(n); bad != "" {
			problem("%s", bad)
		}
		if n.TotalBytes > 0 && float64(n.FreeBytes) < fullShare*float64(n.TotalBytes) {
			problem("the disk of node %s is nearly full: %d of %d MiB free at %s", n.ID, n.FreeBytes>>20, n.TotalBytes>>20, n.Path)
		}
	}
	if ids := untold(s); len(ids) > 0 {
		problem("what is stored is not known of %s: no inventory yet", strings.Join(ids, ", "))
	}
	return problems
}

// untold returns the living nodes that have not told all that they hold.
func untold(s api.StoreStatus) []string {
	var ids []string
	for _, n := range s.Nodes {
		if !n.Complete && n.State == nodeAlive.String() {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

func chunks(n int64) string {
	if n == 1 {
		return "1 chunk"
	}
	return fmt.Sprintf("%d chunks", n)
}
