package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/internal/daemon"
)

// Config is what a task node is told at start-up. It does not change afterwards.
type Config struct {
	ID            checkpoint.NodeID
	Bind          string // host:port of its RPC port: data channels and chunks; port 0 picks one
	Advertise     string // host:port at which others reach Bind, where it differs
	GossipBind    string // host:port of its gossip port, UDP and TCP; port 0 picks one
	Join          []string
	DataDir       string // where its chunks are
	Slots         int
	Replicas      int // copies of each chunk, over all nodes
	OrphanTimeout time.Duration
	Registry      *dataflow.Registry
	Logger        *slog.Logger
}

// DefaultConfig returns the configuration of a node on this machine alone. ID, DataDir, Registry and Logger
// remain to be set.
func DefaultConfig() Config {
	return Config{
		Bind: "127.0.0.1:7490", GossipBind: "127.0.0.1:7491", Slots: 4, Replicas: 2, OrphanTimeout: time.Minute,
	}
}

// Validate returns an error that names the first flag with a value that is not allowed, and what is.
func (c Config) Validate() error {
	if err := daemon.CheckID(string(c.ID)); err != nil {
		return err
	}
	for flag, addr := range map[string]string{"bind": c.Bind, "gossip-bind": c.GossipBind} {
		if err := daemon.CheckAddress(flag, addr); err != nil {
			return err
		}
	}
	for _, addr := range c.Join {
		if err := daemon.CheckAddress("join", addr); err != nil {
			return err
		}
	}
	switch {
	case c.DataDir == "":
		return errors.New("--data-dir is missing: name a directory for this node's chunks")
	case c.Slots < 1:
		return fmt.Errorf("--slots %d: must be at least 1", c.Slots)
	case c.Replicas < 1:
		return fmt.Errorf("--replicas %d: must be at least 1", c.Replicas)
	case c.OrphanTimeout <= 0:
		return fmt.Errorf("--orphan-timeout %s: must be positive", c.OrphanTimeout)
	}
	return nil
}
