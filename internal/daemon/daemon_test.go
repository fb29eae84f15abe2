package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"cairn/checkpoint"
	"cairn/membership"
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

func TestDataDirBelongsToOneMember(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if err := ClaimDataDir(dir, "coordinator", "c1"); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []struct{ role, id string }{{"coordinator", "c2"}, {"node", "c1"}} {
		err := ClaimDataDir(dir, membership.Role(other.role), checkpoint.NodeID(other.id))
		if err == nil || !strings.Contains(err.Error(), dir+" belongs to coordinator c1, not to "+other.role+" "+other.id) {
			t.Errorf("claimed by %v: %v", other, err)
		}
	}
}

func TestEndpointConfigNamesWhatIsWrong(t *testing.T) {
	good := EndpointConfig{ID: "c1", Bind: "127.0.0.1:0", GossipBind: "127.0.0.1:0"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*EndpointConfig){
		"--id":          func(c *EndpointConfig) { c.ID = "a b" },
		"--bind":        func(c *EndpointConfig) { c.Bind = "here" },
		"--advertise":   func(c *EndpointConfig) { c.Bind = "0.0.0.0:7480" },
		"--gossip-bind": func(c *EndpointConfig) { c.GossipBind = "7481" },
		"--zone":        func(c *EndpointConfig) { c.Zone = "rack 7" },
		"--join":        func(c *EndpointConfig) { c.Join = []string{"10.0.0.1"} },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	good.Bind, good.Advertise = ":7480", "10.0.0.1:7480"
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}
