package checkpoint

import "slices"

// Records in flight belong to the channel between two subtasks. Another parallelism has other channels, and another
// graph other records; so the vertices at both ends have to be what they were. Number of key groups included: it decides
// which channel a record takes.

// inFlight returns the part of a subtask's state that was found in channels.
func inFlight(s SubtaskState) []Handle {
	var handles []Handle
	for _, h := range s.Handles {
		if h.Kind == ChannelState {
			handles = append(handles, h)
		}
	}
	return handles
}

// checkInFlight makes sure that every channel with records in flight is there.
func (x *matcher) checkInFlight() {
	type edge struct {
		own VertexID
		end ChannelEnd
	}
	var checked []edge
	for _, s := range x.manifest.Subtasks {
		for _, h := range inFlight(s) {
			e := edge{s.Subtask.Vertex, h.Channel}
			if slices.Contains(checked, e) {
				continue
			}
			checked = append(checked, e)
			if x.sameVertex(e.own) && x.sameVertex(e.end.Peer) && x.hasEdge(e.own, e.end) {
				continue
			}
			from, to := e.end.Peer, e.own
			if e.end.Output {
				from, to = to, from
			}
			x.failf("it was taken unaligned, with records in flight from vertex %s to %s, which are no longer what they were: "+
				"restore with the graph and the parallelism as they were, take a savepoint (which is always aligned) or a "+
				"checkpoint with checkpointing.alignment aligned, and change them from there", from, to)
		}
	}
}

// sameVertex reports whether the job has the vertex as the manifest has it.
func (x *matcher) sameVertex(id VertexID) bool {
	i := slices.IndexFunc(x.topology.Vertices, func(v Vertex) bool { return v.ID == id })
	if i < 0 {
		return false
	}
	v := x.topology.Vertices[i]
	was := slices.IndexFunc(x.manifest.Vertices, func(was Vertex) bool { return was.ID == id })
	_, unchanged := x.unchanged(v)
	return unchanged && x.manifest.Vertices[was].MaxParallelism == v.MaxParallelism
}

func (x *matcher) hasEdge(own VertexID, end ChannelEnd) bool {
	_, found := x.topology.EdgeOf(own, end)
	return found
}
