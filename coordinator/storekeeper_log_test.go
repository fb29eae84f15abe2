package coordinator

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

// The log tells when chunks come to have too few copies, when they have none, and when it is over; each once.
func TestLogOfRepairs(t *testing.T) {
	var said strings.Builder
	w := settledWorld(t)
	k := &storekeeper{log: slog.New(slog.NewTextHandler(&said, nil)), view: w.view}
	pass := func(want string) {
		t.Helper()
		said.Reset()
		for range 30 {
			w.pass(time.Second)
			k.logRepair(w.now)
		}
		if got := said.String(); strings.Count(got, "\n") != min(1, len(want)) || !strings.Contains(got, want) {
			t.Fatalf("the log says %q, want one line with %q", got, want)
		}
	}
	pass("")
	w.kept("n1", "n2")
	for id, n := range w.nodes {
		n.mute = true // so that nobody makes copies
		if id != "n1" && id != "n2" {
			w.lose(id)
		}
	}
	pass("")
	w.lose("n2")
	pass("level=WARN msg=\"chunks of retained checkpoints have too few copies\"")
	w.lose("n1")
	pass("level=ERROR msg=\"chunks of retained checkpoints are on no living node\"")
	w.start("n1")
	w.start("n2")
	pass("level=INFO msg=\"all chunks of retained checkpoints have enough copies again\"")
}
