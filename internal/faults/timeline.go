package faults

import (
	"bytes"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// timeline is what was done to the cluster, one line for each event, in virtual time since the start. It is safe for
// concurrent use.
type timeline struct {
	start time.Time
	log   *slog.Logger

	mu    sync.Mutex
	lines []string
}

func (t *timeline) note(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	t.log.Info("=== " + what)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf("%8.3fs  %s", time.Since(t.start).Seconds(), what))
}

func (t *timeline) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.lines...)
}

// logBook keeps what all processes log, as text. It is safe for concurrent use.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line)
}

func (b *logBook) content() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.text.Bytes())
}
