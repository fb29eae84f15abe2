package sim

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// What stories print of how things stand.

// doLog prints the committed log, or what follows from=index.
func (s *story) doLog(t *testing.T, d *datadriven.TestData) string {
	from := 1
	d.MaybeScanArgs(t, "from", &from)
	var b strings.Builder
	for index := from; index <= len(s.check.log); index++ {
		fmt.Fprintln(&b, s.entryText(index))
	}
	return b.String()
}

// doShow prints the committed state of a job, what nodes hold, or how many chunks are on their disks.
func (s *story) doShow(t *testing.T, d *datadriven.TestData) string {
	if d.HasArg("nodes") {
		return s.showNodes()
	}
	if d.HasArg("disks") {
		return s.showDisks()
	}
	_, j := s.storyJob(t, d)
	return jobText(j)
}

func (s *story) showNodes() string {
	var b strings.Builder
	for _, h := range s.hosts {
		if h.proc == nil {
			fmt.Fprintf(&b, "%s is down\n", h.id)
			continue
		}
		fmt.Fprintf(&b, "%s incarnation %d, follows %s\n", h.id, h.proc.ref.Incarnation, leaderText(h.proc.fence))
		h.proc.eachAttempt(func(a *attempt) {
			for _, t := range a.tasks {
				fmt.Fprintf(&b, "   %s of attempt %d %s, notified of %d\n", t.id, a.number(), t.last.Status, t.notified)
				for _, p := range t.pending {
					fmt.Fprintf(&b, "   %s waits for barriers of %d\n", t.id, p.barrier.ID)
				}
			}
			for _, ack := range unresolved(a.book.acks) {
				fmt.Fprintf(&b, "   keeps its ack of %d by %s\n", ack.Checkpoint, ack.State.Subtask)
			}
		})
	}
	return b.String()
}

// showDisks counts the chunks on each disk: those that something in use names, and the others.
func (s *story) showDisks() string {
	var b strings.Builder
	for _, h := range s.hosts {
		inUse := 0
		for id := range h.disk {
			if _, found := s.check.chunksInUse()[id]; found {
				inUse++
			}
		}
		fmt.Fprintf(&b, "%s has %d chunks in use, %d others\n", h.id, inUse, len(h.disk)-inUse)
	}
	return b.String()
}

func leaderText(f fence) string {
	if f.session == nil {
		return fmt.Sprintf("nobody since term %d", f.term)
	}
	return fmt.Sprintf("%s in term %d", f.leader, f.term)
}
