package fsm

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

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
type decoding struct{ err error }

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

func configToPB(c checkpoint.Config) *fsmpb.Config {
	return &fsmpb.Config{
		Interval: int64(c.Interval), MinPause: int64(c.MinPause), Timeout: int64(c.Timeout),
		MaxConcurrent: int64(c.MaxConcurrent), TolerableFailures: int64(c.TolerableFailures), Mode: uint32(c.Mode),
		Retain: int64(c.Retain), RetainOnCancel: c.RetainOnCancel,
		RestartInitial: int64(c.Restart.InitialBackoff), RestartMax: int64(c.Restart.MaxBackoff),
		RestartMultiplier: c.Restart.BackoffMultiplier, RestartResetAfter: int64(c.Restart.ResetBackoffThreshold),
		RestartMaxAttempts: int64(c.Restart.MaxAttempts),
	}
}

func (d *decoding) config(pb *fsmpb.Config) checkpoint.Config {
	c := checkpoint.DefaultConfig()
	restart := c.Restart
	restart.InitialBackoff, restart.MaxBackoff = time.Duration(pb.GetRestartInitial()), time.Duration(pb.GetRestartMax())
	restart.BackoffMultiplier, restart.ResetBackoffThreshold = pb.GetRestartMultiplier(), time.Duration(pb.GetRestartResetAfter())
	restart.MaxAttempts = int(pb.GetRestartMaxAttempts())
	return checkpoint.Config{
		Interval: time.Duration(pb.GetInterval()), MinPause: time.Duration(pb.GetMinPause()),
		Timeout: time.Duration(pb.GetTimeout()), MaxConcurrent: int(pb.GetMaxConcurrent()),
		TolerableFailures: int(pb.GetTolerableFailures()), Mode: checkpoint.Mode(d.enum(pb.GetMode())),
		Retain: int(pb.GetRetain()), RetainOnCancel: pb.GetRetainOnCancel(),
		Alignment: c.Alignment, AlignmentTimeout: c.AlignmentTimeout, AfterTasksFinish: true, Restart: restart,
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

func restartToPB(r Restart) *fsmpb.Restart {
	return &fsmpb.Restart{
		Count: int64(r.Count), Delay: r.Delay, NextAt: int64(r.NextAt), LastFailureAt: int64(r.LastFailureAt),
	}
}

func (d *decoding) restart(pb *fsmpb.Restart) Restart {
	return Restart{
		Count: int(pb.GetCount()), Delay: pb.GetDelay(), NextAt: checkpoint.Timestamp(pb.GetNextAt()),
		LastFailureAt: checkpoint.Timestamp(pb.GetLastFailureAt()),
	}
}
