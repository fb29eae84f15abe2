package fsm

import (
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

func parallelismToPB(of map[checkpoint.OperatorID]int) []*fsmpb.OperatorParallelism {
	return each(slices.Sorted(maps.Keys(of)), func(op checkpoint.OperatorID) *fsmpb.OperatorParallelism {
		return &fsmpb.OperatorParallelism{Operator: []byte(op), Parallelism: int64(of[op])}
	})
}

func (d *decoding) parallelism(pb []*fsmpb.OperatorParallelism) map[checkpoint.OperatorID]int {
	if len(pb) == 0 {
		return nil
	}
	of := make(map[checkpoint.OperatorID]int, len(pb))
	for i, o := range pb {
		if i > 0 && string(pb[i-1].GetOperator()) >= string(o.GetOperator()) {
			d.fail("the parallelism of operator %q is out of order", o.GetOperator())
		}
		of[checkpoint.OperatorID(o.GetOperator())] = int(o.GetParallelism())
	}
	return of
}

// shapeToPB returns nil when there is none.
func shapeToPB(x *Shape) *fsmpb.Shape {
	if x == nil {
		return nil
	}
	return &fsmpb.Shape{Topology: topologyToPB(x.Topology), Parallelism: parallelismToPB(x.Parallelism)}
}

func (d *decoding) shape(pb *fsmpb.Shape) *Shape {
	if pb == nil {
		return nil
	}
	return &Shape{Topology: d.topology(pb.GetTopology()), Parallelism: d.parallelism(pb.GetParallelism())}
}

func formerToPB(f FormerTopology) *fsmpb.FormerTopology {
	return &fsmpb.FormerTopology{Last: uint32(f.Last), Topology: topologyToPB(f.Topology)}
}

func (d *decoding) former(pb *fsmpb.FormerTopology) FormerTopology {
	return FormerTopology{Last: checkpoint.Attempt(pb.GetLast()), Topology: d.topology(pb.GetTopology())}
}

func (s *State) drainedToPB() []*fsmpb.DrainedNode {
	return each(s.SortedDrained(), func(id checkpoint.NodeID) *fsmpb.DrainedNode {
		return &fsmpb.DrainedNode{Node: []byte(id), At: int64(s.Drained[id])}
	})
}

func (d *decoding) drained(pb []*fsmpb.DrainedNode) map[checkpoint.NodeID]checkpoint.Timestamp {
	drained := make(map[checkpoint.NodeID]checkpoint.Timestamp, len(pb))
	for i, n := range pb {
		if len(n.GetNode()) == 0 || i > 0 && string(pb[i-1].GetNode()) >= string(n.GetNode()) {
			d.fail("the drained node %q has no name or is out of order", n.GetNode())
		}
		drained[checkpoint.NodeID(n.GetNode())] = checkpoint.Timestamp(n.GetAt())
	}
	return drained
}
