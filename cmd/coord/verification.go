package main

import (
	"cmp"
	"fmt"
	"strings"
)

// verification is what was found of a checkpoint, and what --json prints.
type verification struct {
	Job      string `json:"job"` // ID
	JobName  string `json:"job_name"`
	ID       uint64 `json:"id"`
	Kind     string `json:"kind"`
	Replicas int    `json:"replicas"` // copies that each chunk should have now: no more than there are nodes
	Nodes    int    `json:"nodes"`    // that were asked
	Chunks   int    `json:"chunks"`
	Bytes    int64  `json:"bytes"`
	// Copies were looked at, of which Good are good. Copies of one chunk in a store that the nodes share are one.
	Copies int `json:"copies"`
	Good   int `json:"good"`
	// Lost are chunks without a good copy. Corrupt, Missing and Unread are copies: damaged; not there although the leader
	// has been told that they are; not to be read for another reason.
	Lost            int `json:"lost"`
	Corrupt         int `json:"corrupt"`
	Missing         int `json:"missing"`
	Unread          int `json:"unread"`
	UnderReplicated int `json:"under_replicated"` // chunks with too few good copies, but one
	// Manifest says why the manifest could not be read, so that nothing that it names was looked at; empty when it could.
	Manifest string     `json:"manifest_unreadable"`
	Bad      []badChunk `json:"bad"`
}

// badChunk is a chunk that is lost, or a copy that is not good.
type badChunk struct {
	Finding string `json:"finding"` // "lost", "corrupt", "missing" or "unread"
	Node    string `json:"node"`    // empty when the chunk is lost
	Chunk   string `json:"chunk"`
	Size    int64  `json:"size"`
	Part    string `json:"part"` // of the checkpoint
	Cause   string `json:"cause"`
}

// text sums up how the copies are.
func (v verification) text() string {
	var bad []string
	add := func(n int, text string) {
		if n > 0 {
			bad = append(bad, fmt.Sprintf("%d %s", n, text))
		}
	}
	add(v.Corrupt, "corrupt")
	add(v.Missing, "missing")
	add(v.Unread, "not read")
	switch {
	case v.Lost > 0:
		bad = append([]string{count(v.Lost, "chunk") + " lost"}, bad...)
	case len(bad) == 0:
		return "all good"
	}
	return fmt.Sprintf("%d good, %s", v.Good, strings.Join(bad, ", "))
}

// failure returns the error for which the command fails, if it does.
func (v verification) failure(replicated bool) error {
	what := fmt.Sprintf("%s %d of job %s", v.Kind, v.ID, oneLine(v.JobName))
	switch {
	case v.Manifest != "":
		return fmt.Errorf("%s cannot be restored: its manifest cannot be read: %s", what, oneLine(v.Manifest))
	case v.Lost > 0:
		return fmt.Errorf("%s cannot be restored: %s without a good copy", what, count(v.Lost, "chunk"))
	case v.Corrupt > 0:
		return fmt.Errorf("%s has %s; it can be restored from others", what, counted(v.Corrupt, "damaged copy", "damaged copies"))
	case v.Unread > 0:
		return fmt.Errorf("%s was not verified as a whole: %s not read", what, counted(v.Unread, "copy was", "copies were"))
	case replicated && v.UnderReplicated > 0:
		return fmt.Errorf("%s is under-replicated: %s with fewer than %d good copies", what, count(v.UnderReplicated, "chunk"), v.Replicas)
	}
	return nil
}

// compareBad puts the worst first.
func compareBad(a, b badChunk) int {
	rank := map[string]int{foundLost: 0, foundCorrupt: 1, foundUnread: 2, foundMissing: 3}
	return cmp.Or(cmp.Compare(rank[a.Finding], rank[b.Finding]), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Chunk, b.Chunk), cmp.Compare(a.Node, b.Node))
}
