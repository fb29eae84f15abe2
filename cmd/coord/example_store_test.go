package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/transport"
)

func exampleManifestRef() checkpoint.ChunkRef {
	id, err := checkpoint.ParseChunkID(exampleManifest)
	if err != nil {
		panic(err)
	}
	return checkpoint.ChunkRef{ID: id, Size: 2100}
}

// exampleStore lacks some copies, and has found some to be damaged.
func exampleStore() api.StoreStatus {
	return api.StoreStatus{
		Backend: "nodes", Replicas: 2, Chunks: 412, Bytes: 1<<30 + 200<<20, Complete: true,
		UnderReplicated: api.ChunkCount{Chunks: 3, Bytes: 12 << 20}, Repairing: api.ChunkCount{Chunks: 2, Bytes: 8 << 20},
		SweptAt: ago(3 * time.Minute),
		Nodes: []api.StoreNode{
			{
				ID: "n1", Zone: "east", State: "alive", Path: "/data/n1", Complete: true, Chunks: 300, Bytes: 900 << 20, StoredBytes: 400 << 20,
				FreeBytes: 40 << 30, TotalBytes: 100 << 30, UnderReplicated: 3, Corrupt: 1, ScrubbedAt: ago(50 * time.Hour), ScrubCorrupt: 1, ScrubShare: 0.41,
			},
			{
				ID: "n2", Zone: "west", State: "alive", Path: "/data/n2", Complete: true, Chunks: 280, Bytes: 850 << 20, StoredBytes: 390 << 20,
				FreeBytes: 4 << 30, TotalBytes: 100 << 30, Repairing: 2,
			},
			{ID: "n3", Zone: "west", State: "lost", Path: "/data/n3"},
		},
		Problems: []string{"node n1 has damaged copies in quarantine: 1 chunk"},
	}
}

func exampleLocation() api.CheckpointLocation {
	return api.CheckpointLocation{
		Job: exampleJobID, JobName: "wordcount", ID: 41, Kind: "savepoint", Manifest: exampleManifestRef(),
		Detail: checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xde}, Size: 3000}, Replicas: 2,
	}
}

// onBoth says that n1 and n2 hold all chunks.
func onBoth(chunks []checkpoint.ChunkRef) api.ChunkLocations {
	l := api.ChunkLocations{Complete: true, Nodes: []string{"n2", "n1"}}
	for range chunks {
		l.Holders = append(l.Holders, []int{1, 0})
	}
	return l
}

// fakeReplicas are the copies of three chunks of state, of the manifest and of the statistics.
type fakeReplicas struct {
	manifest []byte
	err      error // of get

	mu    sync.Mutex
	found map[string]error // by node and the first byte of the chunk: "n1 01"
	broke map[string]int   // nodes that break off after so many chunks
	hang  bool             // they read nothing until they are interrupted
	asked map[string]int   // chunks, by node
}

func newFakeReplicas() *fakeReplicas {
	m := checkpoint.Manifest{Job: checkpoint.JobID{1}, ID: 41, Kind: checkpoint.KindSavepoint}
	for i := range 3 {
		h := checkpoint.Handle{
			Operator: "count", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(i, 128, 3),
			Chunks: []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{byte(i + 1)}, Size: 1 << 20}, {ID: checkpoint.ChunkID{1}, Size: 1 << 20}},
		}
		m.Subtasks = append(m.Subtasks, checkpoint.SubtaskState{Subtask: checkpoint.SubtaskID{Vertex: "count", Index: i}, Handles: []checkpoint.Handle{h}})
	}
	m.Vertices = []checkpoint.Vertex{{ID: "count", Operators: []checkpoint.OperatorID{"count"}, Parallelism: 3, MaxParallelism: 128}}
	data, err := checkpoint.EncodeManifest(m)
	if err != nil {
		panic(err)
	}
	return &fakeReplicas{manifest: data, found: make(map[string]error), broke: make(map[string]int), asked: make(map[string]int)}
}

func (f *fakeReplicas) get(context.Context, []api.Node, checkpoint.ChunkRef) ([]byte, error) {
	return f.manifest, f.err
}

func (f *fakeReplicas) verify(ctx context.Context, node api.Node, refs []checkpoint.ChunkRef, found func(i int, err error)) error {
	if f.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	for i, ref := range refs {
		f.mu.Lock()
		f.asked[node.ID]++
		err, broke := f.found[fmt.Sprintf("%s %02x", node.ID, ref.ID[0])], f.broke[node.ID]
		f.mu.Unlock()
		if broke > 0 && i+1 >= broke {
			return errors.New("verify chunks at node " + node.Address + ": connection reset")
		}
		found(i, err)
	}
	return nil
}

var (
	errMissing = fmt.Errorf("chunk: %w", transport.ErrChunkNotFound)
	errDamaged = fmt.Errorf("chunk: %w", transport.ErrChunkCorrupt)
)
