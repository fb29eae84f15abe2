package coordinator

import (
	"slices"

	"cairn/checkpoint"
)

// formerSlots returns where each slot of a job was in its last attempt, which may have run with another parallelism. The
// slots of a group in which that has changed are others, although their numbers are the same: they have been nowhere.
func formerSlots(next, last checkpoint.Topology, a checkpoint.Assignment) []checkpoint.NodeID {
	if len(a.NodeOf) == 0 || len(a.NodeOf) != last.NumSubtasks() {
		return nil
	}
	parallelism := make(map[checkpoint.VertexID]int, len(last.Vertices))
	groups := make(map[checkpoint.VertexID]string, len(last.Vertices))
	for _, v := range last.Vertices {
		parallelism[v.ID], groups[v.ID] = v.Parallelism, v.Group()
	}
	changed := make(map[string]bool)
	for _, v := range next.Vertices {
		if parallelism[v.ID] != v.Parallelism || groups[v.ID] != v.Group() {
			changed[v.Group()] = true
		}
	}
	bases, n := next.SlotBases()
	former := make([]checkpoint.NodeID, n)
	for v, vertex := range next.Vertices {
		if changed[vertex.Group()] {
			continue
		}
		first := last.Ordinal(checkpoint.SubtaskID{Vertex: vertex.ID})
		for i := range vertex.Parallelism {
			former[bases[v]+i] = a.Node(first + i).ID
		}
	}
	return former
}

// bytesBySlot returns how many bytes of what its subtasks are restored from each node has, for each slot. The nodes that
// wrote the state have it; where else copies are is not known here. states are those of the subtasks by ordinal, parts of
// what is in the manifest. It looks at each handle of both once.
func bytesBySlot(t checkpoint.Topology, states []checkpoint.SubtaskState, m checkpoint.Manifest) []stateByNode {
	written := writtenBy(m)
	bases, n := t.SlotBases()
	bytes := make([]stateByNode, n)
	ordinal := 0
	for v, vertex := range t.Vertices {
		for i := range vertex.Parallelism {
			slot := bases[v] + i
			if bytes[slot] == nil {
				bytes[slot] = make(stateByNode)
			}
			for _, h := range states[ordinal].Handles {
				bytes[slot].add(h, written)
			}
			ordinal++
		}
	}
	return bytes
}

// writtenChunk is what a manifest says of a chunk.
type writtenChunk struct {
	nodes []checkpoint.NodeID // that wrote it: more than one when their states were equal
	// groups is how many key groups the chunk holds at most: those of the handle that names it.
	groups int
}

func writtenBy(m checkpoint.Manifest) map[checkpoint.ChunkID]*writtenChunk {
	written := make(map[checkpoint.ChunkID]*writtenChunk)
	if len(m.Writers) != len(m.Subtasks) {
		return written // nobody knows
	}
	for i, s := range m.Subtasks {
		if m.Writers[i] == "" {
			continue
		}
		for _, h := range s.Handles {
			for _, c := range h.Chunks {
				w := written[c.ID]
				if w == nil {
					w = &writtenChunk{}
					written[c.ID] = w
				}
				w.add(m.Writers[i], h)
			}
		}
	}
	return written
}

// add notes that a node wrote the chunk as a part of h.
func (w *writtenChunk) add(id checkpoint.NodeID, h checkpoint.Handle) {
	w.groups = max(w.groups, h.KeyGroups.Len())
	if !slices.Contains(w.nodes, id) {
		w.nodes = append(w.nodes, id)
	}
}

// add counts the part of its chunks that a subtask restores from h, where the chunks are.
func (s stateByNode) add(h checkpoint.Handle, written map[checkpoint.ChunkID]*writtenChunk) {
	for _, c := range h.Chunks {
		w := written[c.ID]
		if w == nil {
			continue
		}
		part, whole := restoredPart(h, w.groups)
		for _, id := range w.nodes {
			s[id] += c.Size/whole*part + c.Size%whole*part/whole // without overflow
		}
	}
}

// restoredPart returns how much of a chunk with the given key groups h stands for, as a fraction of at most 1. Bytes are
// taken to be spread evenly over key groups, and over the entries of lists.
func restoredPart(h checkpoint.Handle, groups int) (part, whole int64) {
	switch {
	case h.Kind == checkpoint.KeyedState && groups > 0:
		return int64(min(h.KeyGroups.Len(), groups)), int64(groups)
	case h.Take.Count > 0 && h.Entries > 0:
		return int64(min(h.Take.Count, h.Entries)), int64(h.Entries)
	}
	return 1, 1
}
