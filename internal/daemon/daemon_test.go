package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
)

func TestLoggerRejectsWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct{ format, level, want string }{
		{"text", "loud", "--log-level"},
		{"xml", "info", "--log-format"},
	} {
		if _, err := Logger(io.Discard, c.format, c.level); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Logger(%q, %q): %v, want an error about %s", c.format, c.level, err, c.want)
		}
	}
}

func TestCheckID(t *testing.T) {
	for id, ok := range map[string]bool{
		"c1": true, "node-3.rack_2": true, "": false, "-x": false, "a b": false, "a/b": false, strings.Repeat("x", 64): false,
	} {
		if err := checkID(id); (err == nil) != ok {
			t.Errorf("checkID(%q): %v", id, err)
		}
	}
}

func TestUntilSignalEndsTheContextWithTheSignal(t *testing.T) {
	ctx, release := UntilSignal(t.Context(), slog.New(slog.DiscardHandler))
	defer release()
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	var cause ErrInterrupted
	if _ = errors.As(context.Cause(ctx), &cause); cause.Signal != syscall.SIGTERM {
		t.Fatalf("cause %v", context.Cause(ctx))
	}
}
