package faults

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// kept is a checkpoint or savepoint that the cluster has promised to keep.
type kept struct {
	job      checkpoint.JobID
	id       checkpoint.ID
	manifest checkpoint.ChunkRef
}

func (k kept) String() string { return fmt.Sprintf("checkpoint %d of job %s", k.id, k.job) }

// promised is what the replicated state names: what is retained, and the breakdowns of the history.
type promised struct {
	kept    []kept
	details []checkpoint.ChunkRef
}

// promises reads the replicated state.
func (c *cluster) promises(ctx context.Context) (promised, error) {
	state, err := c.state(ctx)
	if err != nil {
		return promised{}, err
	}
	var p promised
	for _, j := range state.SortedJobs() {
		for _, one := range slices.Concat(j.Completed, j.Savepoints) {
			p.kept = append(p.kept, kept{j.ID, one.ID, one.Manifest})
		}
		for _, o := range j.History {
			if o.Detail.Chunk != (checkpoint.ChunkRef{}) {
				p.details = append(p.details, o.Detail.Chunk)
			}
		}
	}
	return p, nil
}

// state returns the replicated state, out of the envelope of a snapshot: 22 bytes before it say how long it is.
func (c *cluster) state(ctx context.Context) (*fsm.State, error) {
	file, err := ask(ctx, c, func(ctx context.Context, s api.Service) ([]byte, error) {
		var file bytes.Buffer
		_, err := s.SaveSnapshot(ctx, &file)
		return file.Bytes(), err
	})
	if err != nil {
		return nil, err
	}
	const header = 22
	size := binary.BigEndian.Uint64(file[header-8:])
	return fsm.DecodeSnapshot(file[header : header+size])
}

// read returns a chunk from the disk of any living node. Nothing is carried by the network, and nothing is asked that would
// make a node keep it.
func (c *cluster) read(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	var failed []error
	for _, id := range c.aliveNodes() {
		n := c.nodeOf(id)
		if n == nil {
			continue
		}
		data, err := n.store.Get(ctx, ref)
		if err == nil {
			return data, nil
		}
		failed = append(failed, fmt.Errorf("node %s: %w", id, err))
	}
	return nil, errors.Join(failed...)
}

// names returns the manifest of what is kept, and all chunks that it names, after reading them.
func (c *cluster) names(ctx context.Context, k kept) ([]checkpoint.ChunkRef, error) {
	data, err := c.read(ctx, k.manifest)
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s, chunk %s: %w", k, k.manifest.ID, err)
	}
	m, err := checkpoint.DecodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("the manifest of %s: %w", k, err)
	}
	if m.Job != k.job || m.ID != k.id {
		return nil, fmt.Errorf("the manifest of %s is that of checkpoint %d of job %s", k, m.ID, m.Job)
	}
	refs := []checkpoint.ChunkRef{k.manifest}
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			for _, ref := range h.Chunks {
				if _, err := c.read(ctx, ref); err != nil {
					return nil, fmt.Errorf("%s: %s, chunk %s: %w", k, s.Subtask, ref.ID, err)
				}
				refs = append(refs, ref)
			}
		}
	}
	return refs, nil
}

// named returns all that is promised, after reading it from the disks of the living nodes. What is given up while it is
// read is left out.
func (c *cluster) named(ctx context.Context) (map[checkpoint.ChunkRef]bool, error) {
	refs, unread, err := c.readPromised(ctx)
	if err != nil || len(unread) == 0 {
		return refs, err
	}
	now, err := c.promises(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range now.kept {
		if problem := unread[k]; problem != nil {
			return nil, problem
		}
	}
	return refs, nil
}

func (c *cluster) readPromised(ctx context.Context) (refs map[checkpoint.ChunkRef]bool, unread map[kept]error, err error) {
	p, err := c.promises(ctx)
	if err != nil {
		return nil, nil, err
	}
	refs, unread = make(map[checkpoint.ChunkRef]bool), make(map[kept]error)
	for _, k := range p.kept {
		names, err := c.names(ctx, k)
		if err != nil {
			unread[k] = err
		}
		for _, ref := range names {
			refs[ref] = true
		}
	}
	for _, ref := range p.details {
		refs[ref] = true
	}
	return refs, unread, nil
}

// holders returns which living nodes list a copy of each chunk.
func (c *cluster) holders(ctx context.Context) (map[checkpoint.ChunkRef][]checkpoint.NodeID, error) {
	on := make(map[checkpoint.ChunkRef][]checkpoint.NodeID)
	for _, id := range c.aliveNodes() {
		n := c.nodeOf(id)
		if n == nil {
			continue
		}
		for ref, err := range n.store.List(ctx) {
			if err != nil {
				return nil, fmt.Errorf("node %s: %w", id, err)
			}
			on[ref] = append(on[ref], id)
		}
	}
	return on, nil
}

// fewCopies says which of what is promised has not as many copies as it should have, nil when all has.
func (c *cluster) fewCopies(ctx context.Context) error {
	refs, err := c.named(ctx)
	if err != nil {
		return err
	}
	on, err := c.holders(ctx)
	if err != nil {
		return err
	}
	for ref := range refs {
		if len(on[ref]) < storeReplicas {
			return fmt.Errorf("chunk %s (%d bytes) is on %v", ref.ID, ref.Size, on[ref])
		}
	}
	return nil
}

// accounts says in what the bytes that the nodes hold differ from those that are promised, times copies; nil when they do
// not.
func (c *cluster) accounts(ctx context.Context) error {
	refs, err := c.named(ctx)
	if err != nil {
		return err
	}
	on, err := c.holders(ctx)
	if err != nil {
		return err
	}
	for ref := range maps.Keys(refs) {
		if len(on[ref]) != storeReplicas {
			return fmt.Errorf("chunk %s (%d bytes), which is named, is on %v", ref.ID, ref.Size, on[ref])
		}
	}
	for ref, nodes := range on {
		if !refs[ref] {
			return fmt.Errorf("chunk %s (%d bytes), which nothing names, is on %v", ref.ID, ref.Size, nodes)
		}
	}
	return nil
}

// storeStatus returns what the leader says of the store.
func (c *cluster) storeStatus(ctx context.Context) (api.StoreStatus, error) {
	return ask(ctx, c, func(ctx context.Context, s api.Service) (api.StoreStatus, error) { return s.StoreStatus(ctx) })
}
