package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
	"cairn/dataflow/executor"
	"cairn/statestore"
	"cairn/transport"
)

// The types here fit the packages together that do not know each other: each names the same thing in its own
// words, and translates the errors that the other side has to recognise.

// Connector is the way of a node's tasks to those on other nodes.
func Connector(d *transport.Dialer) exchange.Connector { return dialer{d} }

// PeerServices is what a node answers its peers: channels to its tasks, and the chunks of its own store.
func PeerServices(e *executor.Executor, own *statestore.Swept, log *slog.Logger) transport.ServerOptions {
	return transport.ServerOptions{Channels: channels{e}, Chunks: chunks{own}, Logger: log}
}

// dialer opens channels to tasks on other nodes.
type dialer struct{ *transport.Dialer }

var _ exchange.Connector = dialer{}

func (d dialer) Connect(ctx context.Context, to checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	w, err := d.OpenChannel(ctx, to.Address, transport.ChannelID(id), ready)
	switch {
	case errors.Is(err, transport.ErrUnknownAttempt):
		return nil, fmt.Errorf("node %s: %w: %w", to.ID, executor.ErrUnknownAttempt, err)
	case errors.Is(err, transport.ErrStaleAttempt):
		return nil, fmt.Errorf("node %s: %w: %w", to.ID, executor.ErrStaleAttempt, err)
	case err != nil:
		return nil, fmt.Errorf("node %s: %w", to.ID, err)
	}
	return w, nil
}

// channels lets peers open channels to this node's tasks.
type channels struct{ executor *executor.Executor }

var _ transport.ChannelHandler = channels{}

func (c channels) AcceptChannel(ctx context.Context, id transport.ChannelID, grant func(transport.Credit)) (transport.FrameSink, error) {
	w, err := c.executor.AcceptChannel(ctx, exchange.ChannelID(id), func(more exchange.Credit) { grant(transport.Credit(more)) })
	switch {
	case errors.Is(err, executor.ErrUnknownAttempt):
		return nil, fmt.Errorf("%w: %w", transport.ErrUnknownAttempt, err)
	case errors.Is(err, executor.ErrStaleAttempt):
		return nil, fmt.Errorf("%w: %w", transport.ErrStaleAttempt, err)
	case err != nil:
		return nil, err
	}
	return frameSink{w}, nil
}

// frameSink is the receiving end of a channel.
type frameSink struct{ exchange.FrameWriter }

// Write takes a frame for which the sender has credit, or which needs none.
func (s frameSink) Write(frame []byte) error { return s.Force(frame) }

func (s frameSink) Fail(cause error) {
	if w, ok := s.FrameWriter.(exchange.FailingWriter); ok {
		w.Fail(cause)
		return
	}
	s.Close() // without the end of the partition, closing says that the channel broke
}

// chunks lets peers and coordinators store and read chunks here. It is the store under sweeps, like that of the node's
// own tasks: what others store here is theirs to keep as well.
type chunks struct{ store *statestore.Swept }

var (
	_ transport.ChunkStore  = chunks{}
	_ executor.ChunkSweeper = (*statestore.Swept)(nil)
	// Unchanged files of an incremental checkpoint are neither read nor sent, also in a shared store.
	_ dataflow.ChunkKeeper = (*statestore.Swept)(nil)
	_ dataflow.ChunkKeeper = (*statestore.Replicated)(nil)
)

func (c chunks) Write(ctx context.Context, ref checkpoint.ChunkRef, chunk transport.EncodedChunk) error {
	return translateChunkError(c.store.WriteEncoded(ctx, ref, encodedOf(chunk)))
}

func (c chunks) Get(ctx context.Context, ref checkpoint.ChunkRef) (transport.EncodedChunk, error) {
	e, err := c.store.GetEncoded(ctx, ref)
	return chunkOf(e), translateChunkError(err)
}

func (c chunks) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	has, err := c.store.Has(ctx, ref)
	return has, translateChunkError(err)
}

func (c chunks) Verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	return translateChunkError(c.store.Verify(ctx, ref))
}

func translateChunkError(err error) error {
	switch {
	case errors.Is(err, statestore.ErrNotFound):
		return fmt.Errorf("%w: %w", transport.ErrChunkNotFound, err)
	case errors.Is(err, statestore.ErrCorrupt):
		return fmt.Errorf("%w: %w", transport.ErrChunkCorrupt, err)
	case errors.Is(err, statestore.ErrTooLarge):
		return fmt.Errorf("%w: %w", transport.ErrChunkTooLarge, err)
	}
	return err
}

// encodedOf and chunkOf translate the form of a chunk. Both ends know the same encodings, and refuse others.
func encodedOf(chunk transport.EncodedChunk) statestore.Encoded {
	e := statestore.Encoded{Encoding: statestore.EncodingRaw, Data: chunk.Data}
	if chunk.Encoding == transport.ChunkZstd {
		e.Encoding = statestore.EncodingZstd
	}
	return e
}

func chunkOf(e statestore.Encoded) transport.EncodedChunk {
	chunk := transport.EncodedChunk{Encoding: transport.ChunkRaw, Data: e.Data}
	if e.Encoding == statestore.EncodingZstd {
		chunk.Encoding = transport.ChunkZstd
	}
	return chunk
}

// storePeer is another node's part of the store.
type storePeer struct{ *transport.Peer }

func (p storePeer) Put(ctx context.Context, ref checkpoint.ChunkRef, e statestore.Encoded) error {
	return p.Peer.Put(ctx, ref, chunkOf(e))
}

func (p storePeer) Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	chunk, err := p.Peer.Get(ctx, ref)
	switch {
	case errors.Is(err, transport.ErrChunkNotFound):
		return statestore.Encoded{}, fmt.Errorf("%w: %w", statestore.ErrNotFound, err)
	case errors.Is(err, transport.ErrChunkCorrupt):
		return statestore.Encoded{}, fmt.Errorf("%w: %w", statestore.ErrCorrupt, err)
	}
	return encodedOf(chunk), err
}
