package coordinator

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// RaftLogger returns a logger for raft that writes to log, level by level.
func RaftLogger(log *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	logger.RegisterSink(slogSink{log})
	return logger
}

// slogSink implements hclog.SinkAdapter.
type slogSink struct{ log *slog.Logger }

func (s slogSink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	if !s.log.Enabled(context.Background(), to) {
		return
	}
	for i, arg := range args {
		switch arg := arg.(type) {
		case fmt.Stringer:
			args[i] = arg.String()
		case hclog.Format:
			if format, ok := arg[0].(string); ok {
				args[i] = fmt.Sprintf(format, arg[1:]...)
			}
		}
	}
	s.log.Log(context.Background(), to, "raft: "+msg, args...)
}

// slogLevel maps a level of hclog's. Raft tells of every election and every peer at Info: that is Debug to
// somebody who operates a checkpoint coordinator, and what matters of it is logged by ourselves.
func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}
