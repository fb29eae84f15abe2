// Package daemon holds what the two daemons have in common around their main loops: the logger, the response
// to signals, and checks of flags.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

// Logger returns a logger that writes to w. Format is "text" or "json"; level is "debug", "info", "warn" or
// "error".
func Logger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q: allowed are debug, info, warn and error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q: allowed are text and json", format)
}

// ErrInterrupted is the cause of a context that a signal has ended.
type ErrInterrupted struct{ Signal os.Signal }

// Error names the signal.
func (e ErrInterrupted) Error() string { return "stopped by signal: " + e.Signal.String() }

// UntilSignal returns a context that ends with the first SIGINT or SIGTERM. A second one ends the process at
// once, for when the graceful stop takes too long. The returned function releases the signals.
func UntilSignal(parent context.Context, log *slog.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2) // the first, and the second
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	released := make(chan struct{})
	go func() {
		for stopping := false; ; stopping = true {
			select {
			case s := <-signals:
				if stopping {
					log.Error("stopped at once by a second signal", "signal", s.String())
					os.Exit(1)
				}
				log.Info("stopping; a second signal stops at once", "signal", s.String())
				cancel(ErrInterrupted{s})
			case <-released:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(released)
		cancel(nil)
	}
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckID returns an error unless id can name a node: it stands in logs, tables and file names.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("--id %q: must be 1 to 63 letters, digits, dots, dashes or underscores, and start with a letter or digit", id)
	}
	return nil
}

// CheckAddress returns an error unless addr, the value of flag, is host:port.
func CheckAddress(flag, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("--%s %q: must be host:port, for example 127.0.0.1:7480: %w", flag, addr, err)
	}
	return nil
}

// DefaultID returns the host's name, which names a node unless it is told otherwise.
func DefaultID() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
