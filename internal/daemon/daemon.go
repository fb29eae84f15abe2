// Package daemon holds what the two daemons have in common: their ports and gossip, the flags for them, the logger,
// and the response to signals.
package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
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

// sameSignal is how soon after the first a signal is not meant as a second one: whoever signals a process and its
// group sends two.
const sameSignal = 300 * time.Millisecond

// UntilSignal returns a context that ends with the first SIGINT or SIGTERM. A second one ends the process at
// once, for when the graceful stop takes too long. The returned function releases the signals.
func UntilSignal(parent context.Context, log *slog.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2) // the first, and the second
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	released := make(chan struct{})
	go func() {
		var first time.Time
		for {
			select {
			case s := <-signals:
				switch {
				case first.IsZero():
					first = time.Now()
					log.Info("stopping; a second signal stops at once", "signal", s.String())
					cancel(ErrInterrupted{s})
				case time.Since(first) > sameSignal:
					log.Error("stopped at once by a second signal", "signal", s.String())
					os.Exit(1)
				}
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
