package node

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"cairn/dataflow"
	"cairn/internal/daemon"
	"cairn/membership"
	"cairn/statestore"
	"cairn/statestore/objectstore"
)

// Config is what a task node is told at start-up. It does not change afterwards.
type Config struct {
	daemon.EndpointConfig
	DataDir string // where its chunks are, and the work of its tasks
	// Store is where chunks are kept: NodesStore, or the URL of a store that all nodes share (see package objectstore).
	Store         string
	Slots         int
	Replicas      int // copies of each chunk, over all nodes
	OrphanTimeout time.Duration
	// CancellationTimeout is how long a cancelled task may take to return before the process ends; 0 means for ever.
	CancellationTimeout time.Duration
	// ScrubInterval is the time in which every chunk of the node's own is read again; 0 means never.
	ScrubInterval time.Duration
	Registry      *dataflow.Registry
}

// minScrubInterval is the least ScrubInterval. With less a node without chunks would do nothing but say that it has read all.
const minScrubInterval = time.Second

// NodesStore is the Store of nodes that keep chunks in their data directories, and replicate them among themselves.
const NodesStore = "nodes"

// DefaultConfig returns the configuration of a node on this machine alone. ID, DataDir, Registry and Logger
// remain to be set.
func DefaultConfig() Config {
	return Config{
		EndpointConfig: daemon.EndpointConfig{Role: membership.RoleNode, Bind: "127.0.0.1:7490", GossipBind: "127.0.0.1:7491"},
		Store:          NodesStore, Slots: 4, Replicas: 2, OrphanTimeout: time.Minute, CancellationTimeout: 3 * time.Minute,
		ScrubInterval: statestore.DefaultScrubInterval,
	}
}

// Validate returns an error that names the first flag with a value that is not allowed, and what is.
func (c Config) Validate() error {
	if err := c.EndpointConfig.Validate(); err != nil {
		return err
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
	case c.CancellationTimeout < 0:
		return fmt.Errorf("--cancellation-timeout %s: must be positive, or 0 to wait for ever", c.CancellationTimeout)
	case c.ScrubInterval < minScrubInterval && c.ScrubInterval != 0:
		return fmt.Errorf("--scrub-interval %s: must be at least %s, or 0 for never", c.ScrubInterval, minScrubInterval)
	}
	if c.Store != NodesStore {
		if _, err := objectstore.Parse(c.Store); err != nil {
			if !strings.Contains(c.Store, "://") {
				return fmt.Errorf("--store: %w, or %s", err, NodesStore)
			}
			return fmt.Errorf("--store: %w", err)
		}
	}
	return nil
}
