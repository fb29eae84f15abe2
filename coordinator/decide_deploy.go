package coordinator

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
)

// maxDeploySize bounds a deployment, in bytes: a session takes messages of 16 MiB, and what is beside the states and the
// assignment has to fit too.
const maxDeploySize = 15 << 20

// oversized says that a node's share of an attempt does not fit into a message; empty when it does. Waiting would not
// make it smaller, nor would another attempt.
func oversized(m checkpoint.Deploy, id checkpoint.NodeID) string {
	size, chunks := assignmentSize(m), 0
	for _, s := range m.States {
		size += proto.Size(checkpoint.SubtaskStateToPB(s)) + 8 // its tag and length
		for _, h := range s.Handles {
			chunks += len(h.Chunks)
		}
	}
	if size <= maxDeploySize {
		return ""
	}
	return fmt.Sprintf("the deployment to node %s takes %d bytes, a message at most %d: %d subtasks are restored there from %d chunks; "+
		"submit the job again with more nodes or slots to spread it over", id, size, maxDeploySize, len(m.States), chunks)
}

// assignmentSize returns at least what the parts of a deployment take that do not depend on the node.
func assignmentSize(m checkpoint.Deploy) int {
	const number = 10 // at most, as a varint with its tag
	size := number * len(m.Assignment.NodeOf)
	for _, n := range m.Assignment.Nodes {
		size += len(n.ID) + len(n.Address) + 4*number
	}
	for _, v := range m.Topology.Vertices {
		size += len(v.ID) + len(v.Name) + 6*number
		for _, op := range v.Operators {
			size += len(op) + number
		}
	}
	for op := range m.Overrides.MaxParallelism {
		size += 2 * (len(op) + 4*number)
	}
	for name, value := range m.Params {
		size += len(name) + len(value) + 3*number
	}
	return size + 4*number*len(m.Topology.Edges)
}
