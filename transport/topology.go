package transport

import (
	"math"
	"time"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// The parts that several session messages share.

func subtaskToPB(s checkpoint.SubtaskID) *transportpb.Subtask {
	return &transportpb.Subtask{Vertex: string(s.Vertex), Index: int64(s.Index)}
}

func (d *decoder) subtask(pb *transportpb.Subtask) checkpoint.SubtaskID {
	return checkpoint.SubtaskID{
		Vertex: checkpoint.VertexID(pb.GetVertex()),
		Index:  d.int("subtask index", pb.GetIndex(), 0, checkpoint.MaxMaxParallelism-1),
	}
}

func barrierToPB(b checkpoint.Barrier) *transportpb.Barrier {
	return &transportpb.Barrier{
		Id: uint64(b.ID), Timestamp: int64(b.Timestamp), Kind: uint32(b.Kind), Mode: uint32(b.Mode),
		Alignment: uint32(b.Alignment), AlignmentTimeout: int64(b.AlignmentTimeout), Stop: uint32(b.Stop), Full: b.Full,
	}
}

func (d *decoder) barrier(pb *transportpb.Barrier) checkpoint.Barrier {
	return checkpoint.Barrier{
		ID:        checkpoint.ID(pb.GetId()),
		Timestamp: checkpoint.Timestamp(pb.GetTimestamp()),
		Kind:      enum(d, "checkpoint kind", pb.GetKind(), checkpoint.KindSavepoint),
		Mode:      enum(d, "checkpointing mode", pb.GetMode(), checkpoint.AtLeastOnce),
		Alignment: enum(d, "alignment", pb.GetAlignment(), checkpoint.AlignmentAdaptive),

		AlignmentTimeout: time.Duration(d.count("alignment timeout", pb.GetAlignmentTimeout())),
		Stop:             enumOrNone(d, "stop", pb.GetStop(), checkpoint.StopDrain),
		Full:             pb.GetFull(),
	}
}

func nodeToPB(n checkpoint.NodeRef) *transportpb.NodeRef {
	return &transportpb.NodeRef{Id: string(n.ID), Incarnation: uint64(n.Incarnation), Address: n.Address}
}

func nodeFromPB(pb *transportpb.NodeRef) checkpoint.NodeRef {
	return checkpoint.NodeRef{
		ID: checkpoint.NodeID(pb.GetId()), Incarnation: checkpoint.Incarnation(pb.GetIncarnation()), Address: pb.GetAddress(),
	}
}

func assignmentToPB(a checkpoint.Assignment) *transportpb.Assignment {
	return &transportpb.Assignment{
		Nodes:  each(a.Nodes, nodeToPB),
		NodeOf: each(a.NodeOf, func(n int) int64 { return int64(n) }),
	}
}

// assignment reads where the subtasks of a topology run. Assignment.Node indexes without looking, so every
// position is checked here.
func (d *decoder) assignment(pb *transportpb.Assignment, subtasks int) checkpoint.Assignment {
	a := checkpoint.Assignment{Nodes: each(pb.GetNodes(), nodeFromPB)}
	if len(pb.GetNodeOf()) != subtasks {
		d.failf("assignment of %d subtasks, the job has %d", len(pb.GetNodeOf()), subtasks)
		return a
	}
	a.NodeOf = each(pb.GetNodeOf(), func(n int64) int {
		return d.int("assigned node", n, 0, int64(len(a.Nodes)-1))
	})
	return a
}

func topologyToPB(t checkpoint.Topology) *transportpb.Topology {
	if len(t.Vertices) == 0 && len(t.Edges) == 0 {
		return nil
	}
	return &transportpb.Topology{
		Vertices: each(t.Vertices, func(v checkpoint.Vertex) *transportpb.Vertex {
			return &transportpb.Vertex{
				Id: string(v.ID), Name: v.Name,
				Operators:   each(v.Operators, func(op checkpoint.OperatorID) string { return string(op) }),
				Parallelism: int64(v.Parallelism), MaxParallelism: int64(v.MaxParallelism),
				SharingGroup: v.SharingGroup,
			}
		}),
		Edges: each(t.Edges, func(e checkpoint.Edge) *transportpb.Edge {
			return &transportpb.Edge{From: int64(e.From), To: int64(e.To), Partitioning: uint32(e.Partitioning)}
		}),
	}
}

// topology reads the shape of a job graph, and refuses one that is not well-formed: the receiver indexes by
// what it says.
func (d *decoder) topology(pb *transportpb.Topology) checkpoint.Topology {
	t := checkpoint.Topology{
		Vertices: each(pb.GetVertices(), func(v *transportpb.Vertex) checkpoint.Vertex {
			return checkpoint.Vertex{
				ID: checkpoint.VertexID(v.GetId()), Name: v.GetName(),
				Operators:      each(v.GetOperators(), func(op string) checkpoint.OperatorID { return checkpoint.OperatorID(op) }),
				Parallelism:    d.int("parallelism", v.GetParallelism(), 1, checkpoint.MaxMaxParallelism),
				MaxParallelism: d.int("max parallelism", v.GetMaxParallelism(), 1, checkpoint.MaxMaxParallelism),
				SharingGroup:   v.GetSharingGroup(),
			}
		}),
		Edges: each(pb.GetEdges(), func(e *transportpb.Edge) checkpoint.Edge {
			return checkpoint.Edge{
				From:         d.int("edge's start", e.GetFrom(), 0, math.MaxInt32),
				To:           d.int("edge's end", e.GetTo(), 0, math.MaxInt32),
				Partitioning: enum(d, "partitioning", e.GetPartitioning(), checkpoint.Custom),
			}
		}),
	}
	if d.err == nil {
		d.err = t.Validate()
	}
	return t
}

// overridesToPB returns nil when there are none.
func overridesToPB(o checkpoint.Overrides) *transportpb.Overrides {
	if o.All == 0 && len(o.Parallelism) == 0 && len(o.MaxParallelism) == 0 {
		return nil
	}
	return &transportpb.Overrides{
		All: int64(o.All), Parallelism: numbersToPB(o.Parallelism), MaxParallelism: numbersToPB(o.MaxParallelism),
	}
}

func (d *decoder) overrides(pb *transportpb.Overrides) checkpoint.Overrides {
	return checkpoint.Overrides{
		All:            d.int("parallelism", pb.GetAll(), 0, checkpoint.MaxMaxParallelism),
		Parallelism:    d.numbers("parallelism", pb.GetParallelism()),
		MaxParallelism: d.numbers("max parallelism", pb.GetMaxParallelism()),
	}
}

func numbersToPB(of map[checkpoint.OperatorID]int) map[string]int64 {
	if len(of) == 0 {
		return nil
	}
	pb := make(map[string]int64, len(of))
	for op, n := range of {
		pb[string(op)] = int64(n)
	}
	return pb
}

// numbers reads a parallelism, or a max parallelism, by operator.
func (d *decoder) numbers(name string, pb map[string]int64) map[checkpoint.OperatorID]int {
	if len(pb) == 0 {
		return nil
	}
	of := make(map[checkpoint.OperatorID]int, len(pb))
	for op, n := range pb {
		of[checkpoint.OperatorID(op)] = d.int(name+" of operator "+op, n, 1, checkpoint.MaxMaxParallelism)
	}
	return of
}
