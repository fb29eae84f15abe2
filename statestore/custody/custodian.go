package custody

import (
	"context"
	"errors"
	"iter"
	"log/slog"

	"cairn/checkpoint"
	"cairn/statestore"
)

// Store is the node's own part of the state store, or a store that it shares with others. *statestore.Swept is one.
type Store interface {
	WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e statestore.Encoded) error
	Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
	// List yields the chunks of the store. A chunk that is stored or deleted meanwhile may or may not be among them.
	List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error]
	// Owners returns the processes that own what is in a shared store, as far as they have not been fenced, and none for
	// another one.
	Owners(ctx context.Context) ([]checkpoint.NodeRef, error)
}

// Source is where a chunk can be fetched. A statestore.Peer is one.
type Source interface {
	Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error)
}

// Config is what a Custodian needs to know. It is not changed after New.
type Config struct {
	Self  checkpoint.NodeID
	Store Store
	// Feed is told by the store what changes. It is nil for a store that is shared: of that the leader is told when it
	// asks.
	Feed *Feed
	// Report says how the store is. The leader is told every few seconds; nil for a store of which there is nothing to say.
	Report func() checkpoint.StoreReport
	// Source is another node's part of the store.
	Source func(checkpoint.NodeRef) Source
	Logger *slog.Logger
}

// Validate returns an error that names the first field that is missing.
func (c Config) Validate() error {
	if c.Self == "" || c.Store == nil || c.Source == nil || c.Logger == nil {
		return errors.New("custody: Self, Store, Source and Logger must be set")
	}
	return nil
}

// Leader is the leader as a node reaches it: the executor of the node's tasks has the session.
type Leader = interface {
	// Tell queues a message. It is lost with the session.
	Tell(checkpoint.FromNode)
	// Offer queues messages, all or none: none, and false, when anything that was sent before still waits.
	Offer(...checkpoint.FromNode) bool
	// Lists are the numbers of the leader's requests for a list of all chunks. A newer one takes an older one's place.
	Lists() <-chan uint64
}

// Custodian keeps the node's part of the state store for the leader. Create one with New.
type Custodian struct {
	cfg       Config
	log       *slog.Logger
	maxPiece  int           // of chunks that one message names
	fetching  chan struct{} // a token for each chunk that is being fetched
	large     chan struct{} // one for each of them that is large
	questions questions
	// flushes are the calls of Flush; the channel has no capacity and is never closed. Serve closes what it has received.
	flushes chan chan struct{}
}

// New returns a custodian that does nothing until it is asked to.
func New(cfg Config) (*Custodian, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Custodian{
		cfg: cfg, log: cfg.Logger, maxPiece: maxPiece,
		fetching: make(chan struct{}, maxFetching), large: make(chan struct{}, maxLarge),
		flushes: make(chan chan struct{}),
	}, nil
}

var (
	_ Store = (*statestore.Swept)(nil)
)

// errOvertaken says that the leader has to be given the list anew: more has changed than is remembered.
var errOvertaken = errors.New("more has changed than is remembered until the leader can be told")
