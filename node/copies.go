package node

import (
	"log/slog"
	"sync"
	"time"

	"cairn/statestore"
)

// copyWatchPause is how long a warning about too few copies is not repeated.
const copyWatchPause = 30 * time.Second

// copyWatch remembers when the last warning was.
type copyWatch struct {
	log *slog.Logger

	mu     sync.Mutex
	warned time.Time
}

// WarnOfFewCopies returns a function for statestore.Options.OnPut that warns when chunks are stored on fewer nodes
// than they should be, now and then.
func WarnOfFewCopies(log *slog.Logger) func(statestore.PutResult) { return (&copyWatch{log: log}).put }

func (w *copyWatch) put(r statestore.PutResult) {
	if !r.UnderReplicated() {
		return
	}
	w.mu.Lock()
	due := time.Since(w.warned) > copyWatchPause
	if due {
		w.warned = time.Now()
	}
	w.mu.Unlock()
	if due {
		w.log.Warn("state is stored on fewer nodes than it should be", "chunk", r.Ref.ID, "nodes", r.Nodes,
			"replicas", r.Replicas, "cause", r.Failed)
	}
}
