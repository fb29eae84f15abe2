package membership

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"
)

// logWriter turns the lines that memberlist logs, "[LEVEL] memberlist: text", into slog records.
type logWriter struct{ logger *slog.Logger }

var _ io.Writer = logWriter{}

// newLibraryLogger returns what memberlist logs to.
func newLibraryLogger(logger *slog.Logger) *log.Logger { return log.New(logWriter{logger}, "", 0) }

// Write takes one line, as package log guarantees. It never fails.
func (w logWriter) Write(line []byte) (int, error) {
	level, text := parseLogLine(line)
	if strings.Contains(text, net.ErrClosed.Error()) {
		level = slog.LevelDebug // we closed it: that is how memberlist notices our own stop
	}
	w.logger.Log(context.Background(), level, text, "component", "memberlist")
	return len(line), nil
}

// parseLogLine splits a line into level and text. A line without a level that is known is a warning:
// memberlist forgets the level only where something went wrong.
func parseLogLine(line []byte) (slog.Level, string) {
	line = bytes.TrimSpace(line)
	level := slog.LevelWarn
	if tag, rest, found := bytes.Cut(line, []byte("] ")); found && bytes.HasPrefix(tag, []byte("[")) {
		known := true
		switch string(tag[1:]) {
		case "DEBUG":
			level = slog.LevelDebug
		case "INFO":
			level = slog.LevelInfo
		case "WARN":
			level = slog.LevelWarn
		case "ERR", "ERROR":
			level = slog.LevelError
		default:
			known = false
		}
		if known {
			line = rest
		}
	}
	return level, string(bytes.TrimPrefix(line, []byte("memberlist: ")))
}
