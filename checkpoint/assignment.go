package checkpoint

// NodeRef names one process of a task node and where its peers reach it.
type NodeRef struct {
	ID          NodeID
	Incarnation Incarnation
	Address     string // host:port of its RPC port: data channels and chunks
}

// Assignment places the subtasks of one attempt on nodes.
type Assignment struct {
	Nodes []NodeRef // each node once, ordered by ID
	// NodeOf[ordinal] is the position in Nodes of the node that runs the subtask with that ordinal
	// (Topology.Subtasks).
	NodeOf []int
}

// Node returns the node of the subtask with the given ordinal.
func (a Assignment) Node(ordinal int) NodeRef { return a.Nodes[a.NodeOf[ordinal]] }

// Ordinals returns the ordinals of the subtasks on a node, ascending.
func (a Assignment) Ordinals(id NodeID) []int {
	var ordinals []int
	for ordinal, n := range a.NodeOf {
		if a.Nodes[n].ID == id {
			ordinals = append(ordinals, ordinal)
		}
	}
	return ordinals
}

// Has reports whether the node takes part in the attempt as the given incarnation.
func (a Assignment) Has(id NodeID, inc Incarnation) bool {
	for _, n := range a.Nodes {
		if n.ID == id && n.Incarnation == inc {
			return true
		}
	}
	return false
}
