package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestSentinelsCrossTheNetwork(t *testing.T) {
	sentinels := []error{context.Canceled, context.DeadlineExceeded}
	for _, r := range remoteErrors {
		sentinels = append(sentinels, r.sentinel)
	}
	for _, sent := range sentinels {
		err := fmt.Errorf("job 7: %w", sent)
		received := fromStatus(toStatus(err))
		if received.Error() != err.Error() {
			t.Errorf("sent %q, received %q", err, received)
		}
		for _, s := range sentinels {
			if errors.Is(received, s) != (s == sent) {
				t.Errorf("sent %q: received is %q: %t", sent, s, errors.Is(received, s))
			}
		}
	}
}

func TestStatusOfOtherErrors(t *testing.T) {
	if toStatus(nil) != nil || fromStatus(nil) != nil {
		t.Error("no error became one")
	}
	if err := fromStatus(toStatus(errors.New("disk on fire"))); err.Error() != "disk on fire" {
		t.Errorf("received %q", err)
	}
	wantError(t, fromStatus(toStatus(fmt.Errorf("write /data/x: %w", syscall.ENOSPC))), ErrNoSpace)
	own := errors.New("never crossed the network")
	if err := fromStatus(own); err != own {
		t.Errorf("an error of our own became %v", err)
	}
	// What gRPC itself reports with the same code is not mistaken for a sentinel.
	if err := fromStatus(status.Error(codes.ResourceExhausted, "window")); errors.Is(err, ErrNoSpace) || errors.Is(err, ErrOverflow) {
		t.Errorf("gRPC's own %v stands for a sentinel", err)
	}
}

func TestErrorTextIsBoundedAndValid(t *testing.T) {
	long := status.Convert(toStatus(fmt.Errorf("%s: %w", strings.Repeat("ü\xff", 1<<20), ErrChunkCorrupt)))
	if n := len(long.Message()); n > maxErrorText*3 || n < maxErrorText/2 {
		t.Errorf("%d bytes of text are sent", n)
	}
	if !strings.HasPrefix(long.Message(), "ü\uFFFDü") {
		t.Errorf("text begins with %q", long.Message()[:10])
	}
}
