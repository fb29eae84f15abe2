package faults

import (
	"errors"
	"sync"

	"cairn/checkpoint"
)

// links are the data channels that are open. It is safe for concurrent use.
type links struct {
	mu   sync.Mutex
	open map[*link]bool
}

var errCut = errors.New("the channel was cut")

// add notes a link to a node, unless that has been killed meanwhile.
func (ls *links) add(l *link, to *node) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if to.dead.Load() {
		return false
	}
	ls.open[l] = true
	return true
}

func (ls *links) remove(l *link) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.open, l)
}

// matching returns the links for which match is true.
func (ls *links) matching(match func(*link) bool) []*link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var found []*link
	for l := range ls.open {
		if match(l) {
			found = append(found, l)
		}
	}
	return found
}

// breakOf breaks all links of a node.
func (ls *links) breakOf(id checkpoint.NodeID, cause error) {
	for _, l := range ls.matching(func(l *link) bool { return l.from == id || l.to == id }) {
		l.fail(cause)
	}
}
