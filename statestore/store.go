package statestore

import (
	"context"
	"errors"
	"iter"

	"cairn/checkpoint"
)

// MaxChunkSize is the size in bytes of the largest chunk that a store takes.
const MaxChunkSize = 64 << 20

var (
	// ErrNotFound says that the store, or every node that was asked, does not have the chunk.
	ErrNotFound = errors.New("chunk not found")
	// ErrCorrupt says that bytes do not have the size and hash that their reference names.
	ErrCorrupt = errors.New("chunk does not match its reference")
	// ErrTooLarge says that a chunk is larger than MaxChunkSize.
	ErrTooLarge = errors.New("chunk too large")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("state store is closed")
	// ErrInUse says that another process holds the store's directory.
	ErrInUse = errors.New("state store is in use")
	// ErrNoNodes says that no task node is live, so there is nowhere to keep a chunk.
	ErrNoNodes = errors.New("no live task node to store on")
	// ErrNoMark says that a sweep's chunks were not deleted, because its mark is not the one in force.
	ErrNoMark = errors.New("the mark of the sweep is not in force")
	// ErrUnavailable says that no good copy of a chunk could be had from any node that was asked.
	ErrUnavailable = errors.New("no good copy of the chunk")
)

// Store holds chunks. Every method returns the context's error when the context is done before the work
// starts; a write that has begun may finish all the same, which does no harm.
type Store interface {
	// Put stores data and returns its reference. The chunk is durable when Put returns, on as many nodes as
	// the store's policy says. Putting a chunk that is there already is fine, also from several goroutines.
	Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error)
	// Write is Put for a chunk whose name is already known, such as one that a peer sent. It stores nothing
	// and returns ErrCorrupt when data is not what ref names.
	Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error
	// Get returns the content of a chunk after checking its size and hash. It returns ErrNotFound when there
	// is none, and ErrCorrupt when there is one that does not match ref.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
	// Has reports whether this node holds a durable copy of the size that ref names. It does not read it.
	Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
}

// FilePutter is a Store that need not copy what lies in a file already.
type FilePutter interface {
	// PutFile is Put of the whole content of the file at path, to which nobody writes any more. Where it can, the node's
	// own copy becomes another name (a hard link) of that file, and either name may be removed without the other;
	// otherwise the file is copied. The file's name is not needed when PutFile has returned. A file that changes all the
	// same is found by the check on read, like a copy that has gone bad.
	PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error)
}

// Inventory is the view of a store that owns its copies. Replicated has none on purpose: which copies a node
// gives up is decided for the cluster as a whole, and carried out on each node's own store.
type Inventory interface {
	// List yields the chunks of the store in ascending order of their IDs. A chunk that is stored or deleted
	// meanwhile may or may not be among them. After an error it yields that, with a zero reference, and ends.
	List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error]
	// Delete removes the chunks that keep does not want kept, and goes on behind one that it cannot remove.
	// deleted counts the chunks that are gone now, also those that were not there, so that an interrupted sweep
	// can be repeated; refused counts those that keep wanted. When err is nil the deletion is durable. keep is
	// called with the chunk's lock held: a Put of the chunk either ended before, or starts from nothing after
	// it is deleted. keep must not call the store.
	Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (deleted, refused int, err error)
}

// trustingStore is a store that takes data whose hash the caller has just computed or verified, so that
// replicating a chunk hashes it once and not once per layer.
type trustingStore interface {
	writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error
}

// writeVerified stores data, which is known to match ref, as cheaply as the store allows.
func writeVerified(ctx context.Context, s Store, ref checkpoint.ChunkRef, c content) error {
	if t, ok := s.(trustingStore); ok {
		return t.writeVerified(ctx, ref, c)
	}
	data, err := c.load(osFS{}, ref)
	if err != nil {
		return err
	}
	return s.Write(ctx, ref, data)
}
