package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// RaftLogger returns a logger for raft that writes to log, level by level.
func RaftLogger(log *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	logger.RegisterSink(&slogSink{log: log, last: make(map[string]time.Time)})
	return logger
}

// repeatAfter is how long a line that raft says again and again, a few times a second for each peer that is down,
// is kept back.
const repeatAfter = 30 * time.Second

// slogSink implements hclog.SinkAdapter.
type slogSink struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // when a line was written; keys are messages with their peer, so they are few
}

func (s *slogSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	key := msg
	for i, arg := range args {
		switch arg := arg.(type) {
		case error:
			if errors.Is(arg, net.ErrClosed) {
				to = slog.LevelDebug // we closed it: that is how raft notices our own stop
			}
		case fmt.Stringer:
			args[i] = arg.String()
		case hclog.Format:
			if format, ok := arg[0].(string); ok {
				args[i] = fmt.Sprintf(format, arg[1:]...)
			}
		}
		if i > 0 && args[i-1] == "peer" {
			key += fmt.Sprint(args[i])
		}
	}
	if s.log.Enabled(context.Background(), to) && (to < slog.LevelWarn || s.due(key)) {
		s.log.Log(context.Background(), to, "raft: "+msg, args...)
	}
}

// due reports whether a warning was not written lately.
func (s *slogSink) due(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if last, found := s.last[key]; found && now.Sub(last) < repeatAfter {
		return false
	}
	s.last[key] = now
	return true
}

// slogLevel maps a level of hclog's. Raft tells of every election and every peer at Info: that is Debug to
// somebody who operates a checkpoint coordinator, and what matters of it is logged by ourselves.
func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error, hclog.Warn:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
