package statestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"

	"cairn/checkpoint"
)

// SharedOptions configures a Shared.
type SharedOptions struct {
	// Node is the process that stores: its ID and its incarnation name what it stores.
	Node   checkpoint.NodeRef
	Logger *slog.Logger // nil means no log
}

// Shared keeps a node's chunks in a store of objects that all nodes use. Each process writes and deletes objects of its
// own, and reads those of all: so what is stored survives the process without being copied, and a chunk that two
// processes store is there twice. There is an object for each chunk, however small.
//
// What processes left that are gone, one of the living deletes for them (see fence). It is safe for concurrent use, and
// needs no closing.
type Shared struct {
	objects Objects
	node    checkpoint.NodeID
	process string
	log     *slog.Logger
	locks   chunkLocks

	owner atomic.Pointer[owner] // the present life, registered
	// renewing holds the number of the last life that was tried, for whoever begins another. Capacity 1.
	renewing chan int
	corrupt  atomic.Int64 // bad objects that were found
}

var (
	_ Store         = (*Shared)(nil)
	_ FilePutter    = (*Shared)(nil)
	_ EncodedStore  = (*Shared)(nil)
	_ Inventory     = (*Shared)(nil)
	_ trustingStore = (*Shared)(nil)
)

// OpenShared returns the node's store over objects, after it has stored, read and deleted an object there, and announced
// the process. The error names the store.
func OpenShared(ctx context.Context, objects Objects, opts SharedOptions) (*Shared, error) {
	s := &Shared{
		objects: objects, node: opts.Node.ID, process: processName(opts.Node), log: opts.Logger, renewing: make(chan int, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.persist(ctx, func() error { return Probe(ctx, objects, "probe/"+s.process) }); err != nil {
		return nil, err
	}
	s.renewing <- 0
	if err := s.renew(ctx, nil); err != nil {
		return nil, fmt.Errorf("shared store %s: announce this process: %w", objects.Name(), err)
	}
	return s, nil
}

// Name returns the name of the shared store, without secrets.
func (s *Shared) Name() string { return s.objects.Name() }

// renew begins another life, unless somebody has since old. It is announced before anything is stored in it.
func (s *Shared) renew(ctx context.Context, old *owner) error {
	var life int
	select {
	case life = <-s.renewing:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.renewing <- life }()
	if s.owner.Load() != old {
		return nil
	}
	return s.persist(ctx, func() error {
		// The name of a life whose announcement failed is not used: it might be announced late, over what others wrote there.
		life++
		o := newOwner(s.objects, ownerName(s.process, life))
		if err := o.register(ctx); err != nil {
			return err
		}
		s.owner.Store(o)
		return nil
	})
}

// maxLives is how often a call begins another life.
const maxLives = 3

// alive calls f with the present owner, and with another one when that was taken for gone: what f did then counts for
// nothing. f confirms the owner.
func (s *Shared) alive(ctx context.Context, f func(*owner) error) error {
	for tries := 1; ; tries++ {
		o := s.owner.Load()
		err := f(o)
		if !errors.Is(err, errDeparted) || tries == maxLives {
			return err
		}
		s.log.Warn("the other nodes took this process for gone; it goes on under another name in the shared store", "store", s.Name(),
			"owner", o.name, "cause", err)
		if err := s.renew(ctx, o); err != nil {
			return err
		}
	}
}

// failed wraps an error of the store. A full one gets words that an operator can act on.
func (s *Shared) failed(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("no space in the shared store (%s): node %s: %s: %w", s.Name(), s.node, doing, err)
	}
	return fmt.Errorf("shared store, node %s: %s: %w", s.node, doing, err)
}
