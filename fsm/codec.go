package fsm

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
	"cairn/fsm/fsmpb"
)

// deterministic makes equal values equal bytes (I10); the schema has no map fields, which protobuf orders
// in no documented way.
var deterministic = proto.MarshalOptions{Deterministic: true}

// checkVersion accepts the versions that this build reads: 1 to current.
func checkVersion(what string, version, current int) error {
	switch {
	case version > current:
		return fmt.Errorf("%s: %w: version %d, this build reads up to %d", what, ErrNewerVersion, version, current)
	case version < 1:
		return fmt.Errorf("%s: %w: version %d", what, ErrCorrupt, version)
	}
	return nil
}

// decoding converts protobuf values to ours. It remembers the first value that is out of range, so that a
// conversion is one expression and the error is looked at once, at its end.
type decoding struct {
	version int // of the bytes: commands and snapshots changed what they share in the same version
	err     error
}

func (d *decoding) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
	}
}

func (d *decoding) job(b []byte) (id checkpoint.JobID) {
	if len(b) != len(id) {
		d.fail("job ID of %d bytes", len(b))
		return checkpoint.JobID{}
	}
	return checkpoint.JobID(b)
}

// enum is for the enums that fit a byte. What the value means is for Step and check to judge.
func (d *decoding) enum(v uint32) uint8 {
	if v > math.MaxUint8 {
		d.fail("enum value %d", v)
	}
	return uint8(v)
}

func (d *decoding) chunk(pb *checkpointpb.ChunkRef) checkpoint.ChunkRef {
	c, err := checkpoint.ChunkRefFromPB(pb)
	if err != nil {
		d.fail("%w", err)
	}
	return c
}

// each converts a list element by element; an empty list becomes nil.
func each[A, B any](list []A, convert func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	converted := make([]B, len(list))
	for i, e := range list {
		converted[i] = convert(e)
	}
	return converted
}

func paramsToPB(params map[string]string) []*fsmpb.Param {
	return each(slices.Sorted(maps.Keys(params)), func(key string) *fsmpb.Param {
		return &fsmpb.Param{Key: []byte(key), Value: []byte(params[key])}
	})
}

func (d *decoding) params(pb []*fsmpb.Param) map[string]string {
	if len(pb) == 0 {
		return nil
	}
	params := make(map[string]string, len(pb))
	for i, p := range pb {
		if i > 0 && string(pb[i-1].GetKey()) >= string(p.GetKey()) {
			d.fail("parameter %q is out of order", p.GetKey())
		}
		params[string(p.GetKey())] = string(p.GetValue())
	}
	return params
}

func topologyToPB(t checkpoint.Topology) *fsmpb.Topology {
	return &fsmpb.Topology{
		Vertices: each(t.Vertices, func(v checkpoint.Vertex) *fsmpb.Vertex {
			return &fsmpb.Vertex{
				Id: []byte(v.ID), Name: []byte(v.Name),
				Operators:   each(v.Operators, func(op checkpoint.OperatorID) []byte { return []byte(op) }),
				Parallelism: int64(v.Parallelism), MaxParallelism: int64(v.MaxParallelism),
				SharingGroup: []byte(v.SharingGroup),
			}
		}),
		Edges: each(t.Edges, func(e checkpoint.Edge) *fsmpb.Edge {
			return &fsmpb.Edge{From: int64(e.From), To: int64(e.To), Partitioning: uint32(e.Partitioning)}
		}),
	}
}

func (d *decoding) topology(pb *fsmpb.Topology) checkpoint.Topology {
	return checkpoint.Topology{
		Vertices: each(pb.GetVertices(), func(v *fsmpb.Vertex) checkpoint.Vertex {
			return checkpoint.Vertex{
				ID: checkpoint.VertexID(v.GetId()), Name: string(v.GetName()),
				Operators:   each(v.GetOperators(), func(op []byte) checkpoint.OperatorID { return checkpoint.OperatorID(op) }),
				Parallelism: int(v.GetParallelism()), MaxParallelism: int(v.GetMaxParallelism()),
				SharingGroup: string(v.GetSharingGroup()),
			}
		}),
		Edges: each(pb.GetEdges(), func(e *fsmpb.Edge) checkpoint.Edge {
			return checkpoint.Edge{
				From: int(e.GetFrom()), To: int(e.GetTo()),
				Partitioning: checkpoint.Partitioning(d.enum(e.GetPartitioning())),
			}
		}),
	}
}

func assignmentToPB(a checkpoint.Assignment) *fsmpb.Assignment {
	return &fsmpb.Assignment{
		Nodes: each(a.Nodes, func(n checkpoint.NodeRef) *fsmpb.NodeRef {
			return &fsmpb.NodeRef{Id: []byte(n.ID), Incarnation: uint64(n.Incarnation), Address: []byte(n.Address)}
		}),
		NodeOf: each(a.NodeOf, func(n int) int64 { return int64(n) }),
	}
}

func (d *decoding) assignment(pb *fsmpb.Assignment) checkpoint.Assignment {
	return checkpoint.Assignment{
		Nodes: each(pb.GetNodes(), func(n *fsmpb.NodeRef) checkpoint.NodeRef {
			return checkpoint.NodeRef{
				ID: checkpoint.NodeID(n.GetId()), Incarnation: checkpoint.Incarnation(n.GetIncarnation()),
				Address: string(n.GetAddress()),
			}
		}),
		NodeOf: each(pb.GetNodeOf(), func(n int64) int { return int(n) }),
	}
}

func sizesToPB(z Sizes) *fsmpb.Sizes {
	return &fsmpb.Sizes{
		Checkpointed: z.Checkpointed, AlignmentMillis: z.AlignmentMillis, Processed: z.Processed, Persisted: z.Persisted,
	}
}

func sizesFromPB(state int64, pb *fsmpb.Sizes) Sizes {
	return Sizes{
		State: state, Checkpointed: pb.GetCheckpointed(), AlignmentMillis: pb.GetAlignmentMillis(),
		Processed: pb.GetProcessed(), Persisted: pb.GetPersisted(),
	}
}

func detailToPB(x Detail) *fsmpb.Detail {
	pb := &fsmpb.Detail{Inline: x.Inline}
	if x.Chunk != (checkpoint.ChunkRef{}) {
		pb.Chunk = checkpoint.ChunkRefToPB(x.Chunk)
	}
	return pb
}

func (d *decoding) detail(pb *fsmpb.Detail) Detail {
	var x Detail
	if len(pb.GetInline()) > 0 {
		x.Inline = pb.GetInline()
	}
	if pb.GetChunk() != nil {
		x.Chunk = d.chunk(pb.GetChunk())
	}
	return x
}

// sourceToPB returns nil for a fresh start.
func sourceToPB(c Source) *fsmpb.Source {
	if c == (Source{}) {
		return nil
	}
	return &fsmpb.Source{
		Job: c.Job[:], Checkpoint: uint64(c.Checkpoint), Kind: uint32(c.Kind), Manifest: checkpoint.ChunkRefToPB(c.Manifest),
		Claim: c.Claim, AllowNonRestoredState: c.AllowNonRestoredState,
	}
}

func (d *decoding) source(pb *fsmpb.Source) Source {
	if pb == nil {
		return Source{}
	}
	return Source{
		Job: d.job(pb.GetJob()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()), Kind: checkpoint.Kind(d.enum(pb.GetKind())),
		Manifest: d.chunk(pb.GetManifest()), Claim: pb.GetClaim(), AllowNonRestoredState: pb.GetAllowNonRestoredState(),
	}
}
