package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/transport"
)

// Values of badChunk.Finding.
const (
	foundLost    = "lost"
	foundCorrupt = "corrupt"
	foundMissing = "missing"
	foundUnread  = "unread"
)

// replicas has nodes read their copies of chunks.
type replicas interface {
	// verify has a node read the chunks, and calls found with what became of each, in order, from one goroutine. The errors
	// are of package transport.
	verify(ctx context.Context, node api.Node, refs []checkpoint.ChunkRef, found func(i int, err error)) error
	// get returns the content of a chunk from any of the nodes.
	get(ctx context.Context, nodes []api.Node, ref checkpoint.ChunkRef) ([]byte, error)
}

// nodeReplicas asks the nodes' chunk service.
type nodeReplicas struct{}

func (nodeReplicas) verify(ctx context.Context, node api.Node, refs []checkpoint.ChunkRef, found func(i int, err error)) error {
	dialer := transport.NewDialer(transport.DialerOptions{})
	err := dialer.Peer(node.Address).Verify(ctx, refs, found)
	return errors.Join(err, dialer.Close())
}

func (nodeReplicas) get(ctx context.Context, nodes []api.Node, ref checkpoint.ChunkRef) (data []byte, err error) {
	err = withChunks(nodes, func(store *statestore.Remote) error {
		data, err = store.Get(ctx, ref)
		return err
	})
	return data, err
}

// namedChunk is a chunk and what it is of the checkpoint.
type namedChunk struct {
	ref  checkpoint.ChunkRef
	part string
}

// survey is which nodes are to read which chunks of a checkpoint, and what they have found.
type survey struct {
	at     api.CheckpointLocation
	nodes  []api.Node // that are alive
	chunks []namedChunk
	want   int // good copies that each chunk should have

	asked [][]int // of each node: positions of chunks
	// sure says of each chunk that those who are asked should have it. Otherwise everybody is asked, and one who lacks it
	// has lost nothing.
	sure []bool
	next int // node that is asked next in a store that all share

	mu   sync.Mutex // guards what follows
	done int64      // bytes
	good []int      // copies, by chunk
	// unread says of each chunk that a copy of it may be good.
	unread []bool
	v      verification
}

func newSurvey(at api.CheckpointLocation, nodes []api.Node, chunks []namedChunk) *survey {
	s := &survey{
		at: at, nodes: nodes, chunks: chunks, want: min(at.Replicas, len(nodes)), asked: make([][]int, len(nodes)),
		sure: make([]bool, len(chunks)), good: make([]int, len(chunks)), unread: make([]bool, len(chunks)),
	}
	s.v = verification{
		Job: at.Job, JobName: at.JobName, ID: at.ID, Kind: at.Kind, Nodes: len(nodes), Chunks: len(chunks), Bad: []badChunk{},
	}
	for _, c := range chunks {
		s.v.Bytes += c.ref.Size
	}
	return s
}

// located takes in where a part of the chunks is. A chunk of which the leader knows no holder that is alive is asked of
// everybody: a node may have it all the same.
func (s *survey) located(from, n int, found api.ChunkLocations) {
	if found.Shared {
		s.want = 1
	}
	position := make(map[string]int, len(s.nodes))
	for i, node := range s.nodes {
		position[node.ID] = i
	}
	for i := range n {
		chunk := from + i
		var holders []int
		switch {
		case found.Shared:
			holders = []int{s.next}
			s.next = (s.next + 1) % len(s.nodes)
		case found.Complete && i < len(found.Holders):
			for _, h := range found.Holders[i] {
				if at, alive := position[found.Nodes[h]]; alive && !slices.Contains(holders, at) {
					holders = append(holders, at)
				}
			}
		}
		s.sure[chunk] = len(holders) > 0
		if !s.sure[chunk] {
			for at := range s.nodes {
				holders = append(holders, at)
			}
		}
		for _, at := range holders {
			s.asked[at] = append(s.asked[at], chunk)
		}
	}
}

// read has all nodes read at the same time. progress is told how many bytes of how many have been dealt with.
func (s *survey) read(ctx context.Context, from replicas, progress func(done, total int64)) {
	total := int64(0)
	for _, chunks := range s.asked {
		for _, c := range chunks {
			total += s.chunks[c].ref.Size
		}
	}
	var nodes sync.WaitGroup
	for at, chunks := range s.asked {
		if len(chunks) == 0 {
			continue
		}
		nodes.Go(func() {
			refs := make([]checkpoint.ChunkRef, len(chunks))
			for i, c := range chunks {
				refs[i] = s.chunks[c].ref
			}
			read := 0
			found := func(i int, err error) {
				s.found(at, chunks[i], err, func(done int64) { progress(done, total) })
				read = i + 1
			}
			if err := from.verify(ctx, s.nodes[at], refs, found); err != nil {
				for i := read; i < len(chunks); i++ {
					found(i, err)
				}
			}
		})
	}
	nodes.Wait()
}

// found takes in what a node has found of a chunk.
func (s *survey) found(at, chunk int, err error, progress func(done int64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += s.chunks[chunk].ref.Size
	progress(s.done)
	switch {
	case err == nil:
		s.v.Copies++
		s.v.Good++
		s.good[chunk]++
	case errors.Is(err, transport.ErrChunkNotFound) && !s.sure[chunk]: // it need not have it
	case errors.Is(err, transport.ErrChunkNotFound):
		s.v.Missing++
		s.bad(foundMissing, at, chunk, "")
	case errors.Is(err, transport.ErrChunkCorrupt):
		s.v.Corrupt++
		s.bad(foundCorrupt, at, chunk, "")
	default:
		s.v.Unread++
		s.unread[chunk] = true
		s.bad(foundUnread, at, chunk, err.Error())
	}
}

// bad notes a copy that is not good.
func (s *survey) bad(finding string, at, chunk int, cause string) {
	s.v.Copies++
	c := s.chunks[chunk]
	s.v.Bad = append(s.v.Bad, badChunk{finding, s.nodes[at].ID, c.ref.ID.String(), c.ref.Size, c.part, oneLine(cause)})
}

// sum returns what was found, the worst first.
func (s *survey) sum() verification {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.v
	v.Replicas = s.want
	for i, c := range s.chunks {
		switch {
		case s.good[i] == 0 && s.unread[i]: // nobody knows
		case s.good[i] == 0:
			v.Lost++
			v.Bad = append(v.Bad, badChunk{foundLost, "", c.ref.ID.String(), c.ref.Size, c.part, ""})
		case s.good[i] < s.want:
			v.UnderReplicated++
		}
	}
	slices.SortFunc(v.Bad, compareBad)
	return v
}
