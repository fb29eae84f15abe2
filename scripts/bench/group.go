package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// group is figures that are measured together.
type group struct {
	name    string
	doc     string
	measure func(context.Context, *bench) error
}

// groups are all groups, in the order in which they are measured.
var groups = []group{
	{"throughput", "a keyed count, with checkpoints and without, on one node and two", measureThroughput},
	{"pause", "the synchronous part of a snapshot", measurePause},
	{"recovery", "from the start of a restore to the first record", measureRecovery},
	{"restore", "how fast a state is read, from the local disk and from a peer", measureRestore},
	{"nodekill", "a node of a real cluster is killed", measureNodeKill},
	{"incremental", "what a checkpoint stores when little has changed", measureIncremental},
	{"bandwidth", "how fast a snapshot gets to the disk", measureBandwidth},
	{"compression", "a snapshot of what can be compressed", measureCompression},
	{"small", "many small chunks at a time", measureSmall},
	{"gc", "what a leader works out before anything is deleted", measureGC},
	{"locations", "what a leader remembers of where the chunks are", measureLocations},
	{"backpressure", "checkpoints of a job with a slow sink", measureBackpressure},
}

func groupNames() []string {
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.name
	}
	return names
}

// chooseGroups returns the group of that name, or all for no name.
func chooseGroups(name string) ([]group, error) {
	if name == "" {
		return groups, nil
	}
	i := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
	if i < 0 {
		return nil, fmt.Errorf("unknown group %q: there are %s", name, strings.Join(groupNames(), ", "))
	}
	return groups[i : i+1], nil
}

// bench is what a group measures with. It belongs to one goroutine.
type bench struct {
	quick   bool
	bin     string // where the coord binary is
	dir     string // empty at first; for all that the group writes
	figures []figure
}

func (b *bench) add(f figure) { b.figures = append(b.figures, f.judged()) }

// choose returns the quick value or the full one.
func choose[T any](b *bench, quick, full T) T {
	if b.quick {
		return quick
	}
	return full
}

// subdir makes a directory for one part of the group.
func (b *bench) subdir(name string) (string, error) {
	dir := filepath.Join(b.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}
