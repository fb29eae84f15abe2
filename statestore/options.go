package statestore

import (
	"fmt"
	"log/slog"
	"time"

	"cairn/checkpoint"
)

// Options configures Replicated and Remote. Zero fields get the values of DefaultOptions.
type Options struct {
	// Replicas is the number of nodes that should hold each chunk, the writer included.
	Replicas int
	// Zone is the one of the node that writes, empty when it has none: the copies go to others first.
	Zone string
	// PutTimeout bounds one attempt to store a chunk on one peer.
	PutTimeout time.Duration
	// GetTimeout bounds one attempt to read a chunk from one peer.
	GetTimeout time.Duration
	// SlowAfter is how long a peer may take to store or send a chunk of up to 8 MiB, in proportion longer for a larger
	// one, before the next one is tried beside it; whichever is done first counts.
	SlowAfter time.Duration
	// Locator, when set, is asked which peers hold a chunk that this node has to read from one.
	Locator Locator
	// OnPut, when set, is told of every Put and Write that succeeded, before it returns. It must be quick and
	// safe for concurrent use.
	OnPut func(PutResult)
	// Logger gets a line when a peer stops or resumes answering, and when the local copy cannot be healed. Nil
	// means no log.
	Logger *slog.Logger
}

// DefaultOptions returns two replicas, two seconds until a peer counts as slow, and ten for each attempt with one.
func DefaultOptions() Options {
	return Options{
		Replicas: 2, PutTimeout: 10 * time.Second, GetTimeout: 10 * time.Second, SlowAfter: 2 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	}
}

// Validate returns an error that names the first field with a value that is not allowed, and what is.
func (o Options) Validate() error {
	switch {
	case o.Replicas < 0:
		return fmt.Errorf("state store replicas %d: must be at least 1, or 0 for the default", o.Replicas)
	case o.PutTimeout < 0:
		return fmt.Errorf("state store put timeout %s: must be positive, or 0 for the default", o.PutTimeout)
	case o.GetTimeout < 0:
		return fmt.Errorf("state store get timeout %s: must be positive, or 0 for the default", o.GetTimeout)
	case o.SlowAfter < 0:
		return fmt.Errorf("state store slow after %s: must be positive, or 0 for the default", o.SlowAfter)
	}
	return nil
}

// withDefaults fills in what is not set. Values that Validate refuses count as not set.
func (o Options) withDefaults() Options {
	d := DefaultOptions()
	if o.Replicas < 1 {
		o.Replicas = d.Replicas
	}
	if o.PutTimeout <= 0 {
		o.PutTimeout = d.PutTimeout
	}
	if o.GetTimeout <= 0 {
		o.GetTimeout = d.GetTimeout
	}
	if o.SlowAfter <= 0 {
		o.SlowAfter = d.SlowAfter
	}
	if o.OnPut == nil {
		o.OnPut = func(PutResult) {}
	}
	if o.Logger == nil {
		o.Logger = d.Logger
	}
	return o
}

// PutResult says where a chunk went.
type PutResult struct {
	Ref      checkpoint.ChunkRef
	Nodes    []checkpoint.NodeID // that hold it durably, the writer first
	Replicas int                 // how many nodes should hold it
	Failed   NodeErrors          // live nodes that were tried and did not take it
}

// UnderReplicated reports whether fewer nodes hold the chunk than should, be it for lack of live nodes or
// because some failed.
func (r PutResult) UnderReplicated() bool { return len(r.Nodes) < r.Replicas }
