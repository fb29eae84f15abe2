package membership

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// Timing tunes failure detection. All members of a cluster should use the same values.
//
// A process that dies is suspected after a probe or two and reported failed between SuspicionMult and
// SuspicionMult*SuspicionMaxMult probe intervals later, in clusters of up to ten; beyond, that grows with
// the logarithm of the size. With the defaults that is about one second. Under overload memberlist slows
// its probes down, by up to AwarenessMax times, rather than accuse healthy members.
type Timing struct {
	ProbeInterval    time.Duration // between two probes that a member sends
	ProbeTimeout     time.Duration // for a direct answer, before others are asked to probe
	SuspicionMult    int
	SuspicionMaxMult int
	AwarenessMax     int
	GossipInterval   time.Duration // between two rounds of gossip
	PushPullInterval time.Duration // between two exchanges of the whole state with a random member
	StreamTimeout    time.Duration // for dialling, and for exchanging the whole state
}

// Config is what a process brings to gossip. Start from DefaultConfig. It is not changed afterwards.
type Config struct {
	// Self describes this process: ID, Role and Incarnation are needed. RPCAddr and HTTPAddr can follow
	// (UpdateMeta); GossipAddr, ProtocolVersion and State are filled in, and Started when it is 0.
	Self Member
	// BindAddr is the host:port to listen on, UDP and TCP. Port 0 picks one that is free for both.
	BindAddr string
	// AdvertiseAddr is the host or host:port at which others reach BindAddr. Empty means BindAddr itself,
	// or the first private address of the host when that is 0.0.0.0. Without a port it is the bound one.
	AdvertiseAddr string
	// Join holds the host:port gossip addresses of members to join through; one that answers is enough.
	// Empty makes this process one that others join. It may contain this process's own address.
	Join []string

	RetryInterval     time.Duration // before the second attempt to join; doubled each time, with jitter
	RetryMax          time.Duration // the longest pause between two attempts while alone
	ReconnectInterval time.Duration // between attempts to find failed members and silent seeds while not alone
	LeaveTimeout      time.Duration // bounds Leave, besides its context
	ForgetAfter       time.Duration // how long members that left or failed stay in Members

	Timing    Timing
	Logger    *slog.Logger         // nil discards
	Transport memberlist.Transport // replaces UDP and TCP when set; BindAddr is then not used
}

// DefaultConfig returns the configuration that production uses. Self and BindAddr remain to be set.
func DefaultConfig() Config {
	return Config{
		RetryInterval:     200 * time.Millisecond,
		RetryMax:          5 * time.Second,
		ReconnectInterval: 10 * time.Second,
		LeaveTimeout:      3 * time.Second,
		ForgetAfter:       24 * time.Hour,
		Timing: Timing{
			ProbeInterval:    200 * time.Millisecond,
			ProbeTimeout:     100 * time.Millisecond,
			SuspicionMult:    3,
			SuspicionMaxMult: 2,
			AwarenessMax:     4,
			GossipInterval:   50 * time.Millisecond,
			PushPullInterval: 15 * time.Second,
			StreamTimeout:    time.Second,
		},
	}
}

// Validate returns an error that names the first field with a value that is not allowed, and what is.
func (c Config) Validate() error {
	if err := c.Self.validate(); err != nil {
		return fmt.Errorf("gossip: %w", err)
	}
	if c.Transport == nil {
		if _, _, err := net.SplitHostPort(c.BindAddr); err != nil {
			return fmt.Errorf("gossip.bind %q: must be host:port: %w", c.BindAddr, err)
		}
	}
	for _, seed := range c.Join {
		if host, port, err := net.SplitHostPort(seed); err != nil || host == "" || port == "" || port == "0" {
			return fmt.Errorf("gossip.join %q: must be the host:port of a member's gossip", seed)
		}
	}
	for _, d := range []struct {
		field string
		value time.Duration
	}{
		{"gossip.retry_interval", c.RetryInterval},
		{"gossip.reconnect_interval", c.ReconnectInterval},
		{"gossip.leave_timeout", c.LeaveTimeout},
		{"gossip.forget_after", c.ForgetAfter},
	} {
		if d.value <= 0 {
			return fmt.Errorf("%s %s: must be positive", d.field, d.value)
		}
	}
	if c.RetryMax < c.RetryInterval {
		return fmt.Errorf("gossip.retry_max %s: must not be below gossip.retry_interval %s", c.RetryMax, c.RetryInterval)
	}
	return c.Timing.validate()
}

func (t Timing) validate() error {
	switch {
	case t.ProbeTimeout <= 0 || t.ProbeInterval <= t.ProbeTimeout:
		return fmt.Errorf("gossip.probe_interval %s: must be longer than gossip.probe_timeout %s, and both positive",
			t.ProbeInterval, t.ProbeTimeout)
	case t.SuspicionMult < 1:
		return fmt.Errorf("gossip.suspicion_mult %d: must be at least 1", t.SuspicionMult)
	case t.SuspicionMaxMult < 1:
		return fmt.Errorf("gossip.suspicion_max_mult %d: must be at least 1", t.SuspicionMaxMult)
	case t.AwarenessMax < 1:
		return fmt.Errorf("gossip.awareness_max %d: must be at least 1", t.AwarenessMax)
	case t.GossipInterval <= 0:
		return fmt.Errorf("gossip.gossip_interval %s: must be positive", t.GossipInterval)
	case t.PushPullInterval <= 0:
		return fmt.Errorf("gossip.push_pull_interval %s: must be positive", t.PushPullInterval)
	case t.StreamTimeout <= 0:
		return fmt.Errorf("gossip.stream_timeout %s: must be positive", t.StreamTimeout)
	}
	return nil
}

// memberlist returns memberlist's configuration with these timings; names, addresses and delegates are left
// to the caller.
func (t Timing) memberlist() *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.ProbeInterval, c.ProbeTimeout = t.ProbeInterval, t.ProbeTimeout
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = t.SuspicionMult, t.SuspicionMaxMult
	c.AwarenessMaxMultiplier = t.AwarenessMax
	c.GossipInterval, c.PushPullInterval = t.GossipInterval, t.PushPullInterval
	c.TCPTimeout = t.StreamTimeout
	// The packets are small and frequent: compressing each costs more than it saves.
	c.EnableCompression = false
	return c
}
