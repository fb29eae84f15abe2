package executor

import (
	"path/filepath"
	"testing"

	"cairn/checkpoint"
)

// TestWorkDirsDiffer: each task of each attempt has a directory of its own right below the node's, whatever the names of
// its vertex are.
func TestWorkDirsDiffer(t *testing.T) {
	e := &Executor{cfg: Config{WorkDir: "/data/work"}}
	seen := make(map[string]bool)
	n := 0
	for _, attempt := range []checkpoint.Attempt{1, 2} {
		for _, vertex := range []checkpoint.VertexID{"count", "../count", "a/b", "a-1"} {
			for index := range 3 {
				dir := e.workDir(checkpoint.Deploy{Job: checkpoint.JobID{7}, Attempt: attempt}, checkpoint.SubtaskID{Vertex: vertex, Index: index})
				if filepath.Dir(dir) != "/data/work" || seen[dir] {
					t.Errorf("%s: not below /data/work, or another task's", dir)
				}
				seen[dir] = true
				n++
			}
		}
	}
	if len(seen) != n {
		t.Errorf("%d directories for %d tasks", len(seen), n)
	}
	if dir := (&Executor{}).workDir(checkpoint.Deploy{}, checkpoint.SubtaskID{}); dir != "" {
		t.Errorf("a node without a directory gives its tasks %s", dir)
	}
}
