package membership

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

func TestConfigValidate(t *testing.T) {
	good := testConfig("c1", 1)
	good.BindAddr = "127.0.0.1:0"
	good.Join = []string{"10.0.0.1:7481", "coord.example:7481", "[::1]:7481"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*Config){
		"node ID of 0 characters":     func(c *Config) { c.Self.ID = "" },
		"node ID of 129 characters":   func(c *Config) { c.Self.ID = checkpoint.NodeID(strings.Repeat("n", 129)) },
		`node ID "a#b"`:               func(c *Config) { c.Self.ID = "a#b" },
		`role "observer"`:             func(c *Config) { c.Self.Role = "observer" },
		"incarnation 0":               func(c *Config) { c.Self.Incarnation = 0 },
		"bootstrap_expect -1":         func(c *Config) { c.Self.BootstrapExpect = -1 },
		"bootstrap_expect 3 of c1":    func(c *Config) { c.Self.Role = RoleNode },
		`gossip.bind "7481"`:          func(c *Config) { c.BindAddr = "7481" },
		`gossip.join "10.0.0.1"`:      func(c *Config) { c.Join = []string{"10.0.0.1"} },
		`gossip.join ":7481"`:         func(c *Config) { c.Join = []string{":7481"} },
		`gossip.join "h:0"`:           func(c *Config) { c.Join = []string{"h:0"} },
		"gossip.retry_interval 0s":    func(c *Config) { c.RetryInterval = 0 },
		"gossip.retry_max 1ms":        func(c *Config) { c.RetryMax = time.Millisecond },
		"gossip.reconnect_interval":   func(c *Config) { c.ReconnectInterval = -1 },
		"gossip.leave_timeout":        func(c *Config) { c.LeaveTimeout = 0 },
		"gossip.forget_after":         func(c *Config) { c.ForgetAfter = 0 },
		"gossip.probe_interval 1ms":   func(c *Config) { c.Timing.ProbeInterval = time.Millisecond },
		"gossip.suspicion_mult 0":     func(c *Config) { c.Timing.SuspicionMult = 0 },
		"gossip.suspicion_max_mult 0": func(c *Config) { c.Timing.SuspicionMaxMult = 0 },
		"gossip.awareness_max 0":      func(c *Config) { c.Timing.AwarenessMax = 0 },
		"gossip.gossip_interval 0s":   func(c *Config) { c.Timing.GossipInterval = 0 },
		"gossip.push_pull_interval":   func(c *Config) { c.Timing.PushPullInterval = 0 },
		"gossip.stream_timeout 0s":    func(c *Config) { c.Timing.StreamTimeout = 0 },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("want an error about %s, got %v", field, err)
		}
		if g, err := New(bad); err == nil {
			g.Close()
			t.Errorf("New accepted a config with a bad %s", field)
		}
	}
}

func TestParseLogLine(t *testing.T) {
	for line, want := range map[string]struct {
		level slog.Level
		text  string
	}{
		"[DEBUG] memberlist: Stream connection from=1\n": {slog.LevelDebug, "Stream connection from=1"},
		"[INFO] memberlist: Suspect n1 has failed\n":     {slog.LevelInfo, "Suspect n1 has failed"},
		"[WARN] memberlist: x [y] z":                     {slog.LevelWarn, "x [y] z"},
		"[ERR] Failed to shutdown transport: e\n":        {slog.LevelError, "Failed to shutdown transport: e"},
		"[ERROR] memberlist: x":                          {slog.LevelError, "x"},
		"Err: Could not set the deadline: e":             {slog.LevelWarn, "Err: Could not set the deadline: e"},
		"[odd] memberlist: x":                            {slog.LevelWarn, "[odd] memberlist: x"},
		"":                                               {slog.LevelWarn, ""},
	} {
		if level, text := parseLogLine([]byte(line)); level != want.level || text != want.text {
			t.Errorf("%q: %s %q, want %s %q", line, level, text, want.level, want.text)
		}
	}
}
