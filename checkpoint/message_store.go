package checkpoint

import "fmt"

// The messages of a session that are about the state store: which node holds which chunks, copies that the leader
// orders, and sweeps.
//
// Where chunks are is soft state of the leader (HDFS treats its blocks so). A node that answers Leading sends its whole
// inventory behind its Report, in pieces, and changes from then on. Nodes with a shared store send none: the leader asks
// one of them with ListChunks.

// MarkChunks opens a sweep of the node's chunks. The node answers with ChunksMarked, and notes for every chunk that
// it is asked to keep from now on that this came after the mark.
type MarkChunks struct {
	Term  Term
	Sweep uint64 // numbers the leader's sweeps: the reference generation that its plan sees
	// Live are the processes that are alive or may be, for a shared store only. Gone are owners of objects in it who have
	// ended for good: what this sweep deletes of theirs, the first of Live deletes on their behalf. For an owner in
	// neither list nobody else deletes: it may have started behind the mark, and be storing.
	Live, Gone []NodeRef
}

// DeleteChunks makes a node delete chunks that no checkpoint names, or of which there are copies enough elsewhere. It
// refuses those that it was asked to keep, or to keep again, after the mark: a checkpoint that the leader did not know of
// when it drew up the list may name them (I5). The node answers with ChunksDeleted.
type DeleteChunks struct {
	Term   Term
	Sweep  uint64 // of the mark; of a mark that the node does not remember it deletes nothing
	Chunks []ChunkID
}

// CopyChunks makes a node fetch chunks from others and store them. The node answers with ChunksCopied. A copy counts as
// asked for after a mark that is in force.
type CopyChunks struct {
	Term   Term
	Order  uint64 // numbers the leader's orders
	Copies []ChunkCopy
}

// ChunkCopy is a chunk that is to be fetched, and who has it.
type ChunkCopy struct {
	Chunk ChunkRef
	From  []NodeRef // in the order in which they are to be asked
}

// ListChunks asks for all that is in a shared store. The node answers with pieces of an Inventory.
type ListChunks struct {
	Term    Term
	Request uint64 // not 0
}

// ChunksLocated answers LocateChunks.
type ChunksLocated struct {
	Term    Term
	Request uint64
	// Nodes are those that hold some of the chunks, and Holders, in the order of the question, the positions of each
	// chunk's in Nodes; none for a chunk of which the leader knows no copy.
	Nodes   []NodeRef
	Holders [][]int
}

// ChunksMarked answers MarkChunks.
type ChunksMarked struct {
	Sweep uint64
}

// ChunksDeleted answers DeleteChunks.
type ChunksDeleted struct {
	Sweep   uint64
	Deleted int    // chunks that are gone now
	Refused int    // chunks that were asked for again since the mark
	Error   string // empty on success; then all that was not refused is gone
}

// Inventory is a piece of the list of a node's chunks. The first piece begins the list anew. Changes are sent between
// the pieces, and hold.
type Inventory struct {
	Request     uint64 // of ListChunks, 0 for the node's own
	First, Last bool
	Chunks      []ChunkRef
	// Owners are, in the last piece of the list of a shared store, all processes that own objects in it.
	Owners []NodeRef
}

// InventoryChange says what has changed on a node's disk, about as it happens.
type InventoryChange struct {
	Added   []ChunkRef
	Removed []ChunkID
	// Corrupt are copies that failed their check and were put into quarantine: they are not there any more either.
	Corrupt []ChunkID
}

// StoreReport says how a node's part of the store is. A node sends it every few seconds, to the leader only, and not at
// all to one that does not keep up.
type StoreReport struct {
	Path   string // of the directory, or the name of the shared store
	Chunks int64
	Bytes  int64 // of the chunks' content
	// StoredBytes is what they take on the disk: less where they are compressed.
	StoredBytes int64
	// FreeBytes and TotalBytes are of the disk, 0 where that means nothing.
	FreeBytes, TotalBytes int64
	// Quarantined counts the damaged copies that lie in quarantine.
	Quarantined int64
	Scrub       ScrubProgress
}

// ScrubProgress says how far a node has come with reading all its chunks again.
type ScrubProgress struct {
	// CompletedAt is when the last full pass was over, 0 before the first; Corrupt counts the bad copies that it found.
	CompletedAt Timestamp
	Corrupt     int64
	// StartedAt is when the present pass began, 0 between passes; Done of Total bytes have been read in it.
	StartedAt   Timestamp
	Done, Total int64
}

// LocateChunks asks the leader who holds chunks. It answers with ChunksLocated.
type LocateChunks struct {
	Request uint64
	Chunks  []ChunkID
}

// ChunksCopied answers CopyChunks.
type ChunksCopied struct {
	Order  uint64
	Copied []ChunkID // that the node holds durably now
	Failed []ChunkFailure
}

// ChunkFailure says why a chunk could not be had.
type ChunkFailure struct {
	Chunk ChunkID
	Error string
}

func (m MarkChunks) LeaderTerm() Term    { return m.Term }
func (m DeleteChunks) LeaderTerm() Term  { return m.Term }
func (m CopyChunks) LeaderTerm() Term    { return m.Term }
func (m ListChunks) LeaderTerm() Term    { return m.Term }
func (m ChunksLocated) LeaderTerm() Term { return m.Term }

func (MarkChunks) toNode()    {}
func (DeleteChunks) toNode()  {}
func (CopyChunks) toNode()    {}
func (ListChunks) toNode()    {}
func (ChunksLocated) toNode() {}

func (ChunksMarked) fromNode()    {}
func (ChunksDeleted) fromNode()   {}
func (Inventory) fromNode()       {}
func (InventoryChange) fromNode() {}
func (StoreReport) fromNode()     {}
func (LocateChunks) fromNode()    {}
func (ChunksCopied) fromNode()    {}

func (m MarkChunks) String() string { return fmt.Sprintf("mark-chunks(sweep %d)", m.Sweep) }
func (m DeleteChunks) String() string {
	return fmt.Sprintf("delete-chunks(sweep %d, %d chunks)", m.Sweep, len(m.Chunks))
}
func (m CopyChunks) String() string {
	return fmt.Sprintf("copy-chunks(order %d, %d chunks)", m.Order, len(m.Copies))
}
func (m ListChunks) String() string { return fmt.Sprintf("list-chunks(request %d)", m.Request) }
func (m ChunksLocated) String() string {
	return fmt.Sprintf("chunks-located(request %d, %d chunks)", m.Request, len(m.Holders))
}
