package transport

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
	"cairn/transport/transportpb"
)

// overTheWire maps m to protobuf bytes and back.
func overTheWire[M any, P proto.Message](t require, m M, to func(M) (P, error), empty P, from func(P) (M, error)) M {
	t.Helper()
	pb, err := to(m)
	if err != nil {
		t.Fatalf("encode %+v: %v", m, err)
	}
	b, err := proto.Marshal(pb)
	if err != nil {
		t.Fatalf("marshal %+v: %v", m, err)
	}
	if err := proto.Unmarshal(b, empty); err != nil {
		t.Fatalf("unmarshal %+v: %v", m, err)
	}
	back, err := from(empty)
	if err != nil {
		t.Fatalf("decode %+v: %v", m, err)
	}
	return back
}

// require is what testing.T and rapid.T share.
type require interface {
	Helper()
	Fatalf(format string, args ...any)
}

func TestToNodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawToNode(t)
		if back := overTheWire(t, m, toNodeToPB, &transportpb.ToNode{}, toNodeFromPB); !reflect.DeepEqual(back, m) {
			t.Fatalf("sent     %#v\nreceived %#v", m, back)
		}
	})
}

func TestFromNodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawFromNode(t)
		if back := overTheWire(t, m, fromNodeToPB, &transportpb.FromNode{}, fromNodeFromPB); !reflect.DeepEqual(back, m) {
			t.Fatalf("sent     %#v\nreceived %#v", m, back)
		}
	})
}

func TestChannelIDRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := ChannelID{Job: drawJob(t), Attempt: drawAttempt(t), Edge: ranged(t, 0, 1<<31-1), From: ranged(t, 0, 1<<31-1), To: ranged(t, 0, 1<<31-1)}
		to := func(id ChannelID) (*transportpb.ChannelHeader, error) { return channelToPB(id), nil }
		if back := overTheWire(t, id, to, &transportpb.ChannelHeader{}, channelFromPB); back != id {
			t.Fatalf("sent %+v, received %+v", id, back)
		}
	})
}

func TestFailureTextNeedNotBeUTF8(t *testing.T) {
	m := checkpoint.StatusChange{Report: checkpoint.SubtaskReport{
		Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{Message: "open /data/\xff\xfe: no such file"},
	}}
	back := overTheWire[checkpoint.FromNode](t, m, fromNodeToPB, &transportpb.FromNode{}, fromNodeFromPB)
	if got := back.(checkpoint.StatusChange).Report.Failure.Message; got != "open /data/\uFFFD: no such file" {
		t.Errorf("the cause arrived as %q", got)
	}
}

func TestUnknownGoMessagesAreRefused(t *testing.T) {
	if _, err := toNodeToPB(nil); err == nil {
		t.Error("nil is no message to a node")
	}
	if _, err := fromNodeToPB(nil); err == nil {
		t.Error("nil is no message from a node")
	}
}

// TestMalformedToNode changes one thing at a time in a good message.
func TestMalformedToNode(t *testing.T) {
	deploy := func(change func(*transportpb.Deploy)) *transportpb.ToNode {
		pb, err := toNodeToPB(checkpoint.Deploy{
			Topology: checkpoint.Topology{Vertices: []checkpoint.Vertex{{
				ID: "a", Operators: []checkpoint.OperatorID{"a"}, Parallelism: 2, MaxParallelism: 128,
			}, {
				ID: "b", Operators: []checkpoint.OperatorID{"b"}, Parallelism: 1, MaxParallelism: 128,
			}}, Edges: []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Hash}}},
			Assignment: checkpoint.Assignment{Nodes: []checkpoint.NodeRef{{ID: "n1"}}, NodeOf: []int{0, 0, 0}},
			Mode:       checkpoint.ExactlyOnce,
			States:     []checkpoint.SubtaskState{{Subtask: checkpoint.SubtaskID{Vertex: "a", Index: 1}, Handles: []checkpoint.Handle{{Kind: checkpoint.ListState, Chunks: []checkpoint.ChunkRef{{}}}}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		change(pb.GetDeploy())
		return pb
	}
	trigger := func(change func(*transportpb.Trigger)) *transportpb.ToNode {
		pb, err := toNodeToPB(checkpoint.Trigger{
			Barrier:  checkpoint.Barrier{ID: 1, Kind: checkpoint.KindCheckpoint, Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned},
			Subtasks: []checkpoint.SubtaskID{{Vertex: "a"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		change(pb.GetTrigger())
		return pb
	}
	if _, err := toNodeFromPB(deploy(func(*transportpb.Deploy) {})); err != nil {
		t.Fatalf("the good deploy is refused: %v", err)
	}
	if _, err := toNodeFromPB(trigger(func(*transportpb.Trigger) {})); err != nil {
		t.Fatalf("the good trigger is refused: %v", err)
	}
	for name, tc := range map[string]struct {
		pb   *transportpb.ToNode
		want string
	}{
		"nothing":               {&transportpb.ToNode{}, "unknown message"},
		"short job":             {deploy(func(d *transportpb.Deploy) { d.Job = d.Job[:15] }), "job ID of 15 bytes"},
		"no topology":           {deploy(func(d *transportpb.Deploy) { d.Topology = nil }), "no vertices"},
		"parallelism 0":         {deploy(func(d *transportpb.Deploy) { d.Topology.Vertices[0].Parallelism = 0 }), "parallelism 0"},
		"parallelism overflows": {deploy(func(d *transportpb.Deploy) { d.Topology.Vertices[0].Parallelism = 1 << 40 }), "parallelism 1099511627776"},
		"edge leads nowhere":    {deploy(func(d *transportpb.Deploy) { d.Topology.Edges[0].To = 2 }), "does not lead forward"},
		"edge is negative":      {deploy(func(d *transportpb.Deploy) { d.Topology.Edges[0].From = -1 }), "edge's start -1"},
		"partitioning":          {deploy(func(d *transportpb.Deploy) { d.Topology.Edges[0].Partitioning = 6 }), "unknown partitioning 6"},
		"enum overflows":        {deploy(func(d *transportpb.Deploy) { d.Mode = 257 }), "unknown checkpointing mode 257"},
		"too few assigned":      {deploy(func(d *transportpb.Deploy) { d.Assignment.NodeOf = d.Assignment.NodeOf[:2] }), "assignment of 2 subtasks"},
		"assigned to nobody":    {deploy(func(d *transportpb.Deploy) { d.Assignment.NodeOf[1] = 1 }), "assigned node 1"},
		"assigned to -1":        {deploy(func(d *transportpb.Deploy) { d.Assignment.NodeOf[1] = -1 }), "assigned node -1"},
		"state of a stranger":   {deploy(func(d *transportpb.Deploy) { d.States[0].Index = 2 }), "state of a[2]"},
		"state kind":            {deploy(func(d *transportpb.Deploy) { d.States[0].Handles[0].Kind = 0 }), "unknown state handle kind 0"},
		"key group":             {deploy(func(d *transportpb.Deploy) { d.States[0].Handles[0].LastKeyGroup = 32768 }), "last key group 32768"},
		"chunk name":            {deploy(func(d *transportpb.Deploy) { d.States[0].Handles[0].Chunks[0].Id = []byte("../x") }), "name of 4 bytes"},
		"no barrier":            {trigger(func(g *transportpb.Trigger) { g.Barrier = nil }), "unknown checkpoint kind 0"},
		"barrier's mode":        {trigger(func(g *transportpb.Trigger) { g.Barrier.Mode = 3 }), "unknown checkpointing mode 3"},
		"barrier's alignment":   {trigger(func(g *transportpb.Trigger) { g.Barrier.Alignment = 0 }), "unknown alignment 0"},
		"alignment timeout":     {trigger(func(g *transportpb.Trigger) { g.Barrier.AlignmentTimeout = -1 }), "alignment timeout -1"},
		"barrier's stop":        {trigger(func(g *transportpb.Trigger) { g.Barrier.Stop = 3 }), "unknown stop 3"},
		"kind of completion":    {&transportpb.ToNode{Message: &transportpb.ToNode_NotifyComplete{NotifyComplete: &transportpb.NotifyComplete{Job: testJob[:]}}}, "unknown checkpoint kind 0"},
		"chunk to delete":       {&transportpb.ToNode{Message: &transportpb.ToNode_DeleteChunks{DeleteChunks: &transportpb.DeleteChunks{Chunks: [][]byte{{1}}}}}, "chunk ID of 1 bytes"},
		"subtask":               {trigger(func(g *transportpb.Trigger) { g.Subtasks[0].Index = 1 << 20 }), "subtask index 1048576"},
	} {
		m, err := toNodeFromPB(tc.pb)
		if err == nil || !strings.Contains(err.Error(), tc.want) || m != nil {
			t.Errorf("%s: got %v, %v; want nothing but an error with %q", name, m, err, tc.want)
			continue
		}
		wantError(t, err, ErrMalformed)
	}
}

func TestMalformedFromNode(t *testing.T) {
	report := func(r *transportpb.SubtaskReport) *transportpb.FromNode {
		return &transportpb.FromNode{Message: &transportpb.FromNode_StatusChange{StatusChange: &transportpb.StatusChange{Job: testJob[:], Report: r}}}
	}
	ack := func(a *transportpb.Ack) *transportpb.FromNode {
		return &transportpb.FromNode{Message: &transportpb.FromNode_AckBatch{AckBatch: &transportpb.AckBatch{Acks: []*transportpb.Ack{a}}}}
	}
	taskMetrics := func(m *transportpb.SubtaskMetrics) *transportpb.FromNode {
		return &transportpb.FromNode{Message: &transportpb.FromNode_TaskMetrics{TaskMetrics: &transportpb.TaskMetrics{
			Job: testJob[:], Subtasks: []*transportpb.SubtaskMetrics{m},
		}}}
	}
	for name, tc := range map[string]struct {
		pb   *transportpb.FromNode
		want string
	}{
		"nothing":      {&transportpb.FromNode{}, "unknown message"},
		"nameless":     {&transportpb.FromNode{Message: &transportpb.FromNode_Hello{}}, "names no node"},
		"slots":        {&transportpb.FromNode{Message: &transportpb.FromNode_Hello{Hello: &transportpb.Hello{Node: &transportpb.NodeRef{Id: "n"}, Slots: -1}}}, "slots -1"},
		"no report":    {report(nil), "unknown subtask status 0"},
		"status":       {report(&transportpb.SubtaskReport{Status: 7}), "unknown subtask status 7"},
		"final state":  {report(&transportpb.SubtaskReport{Status: 4, Final: &checkpointpb.SubtaskState{Index: -1}}), "subtask index -1"},
		"ack's job":    {ack(&transportpb.Ack{}), "job ID of 0 bytes"},
		"ack's chunk":  {ack(&transportpb.Ack{Job: testJob[:], State: &checkpointpb.SubtaskState{Handles: []*checkpointpb.Handle{{Kind: 1, Chunks: []*checkpointpb.ChunkRef{{Id: make([]byte, 32), Size: -1}}}}}}), "size -1"},
		"empty graph":  {&transportpb.FromNode{Message: &transportpb.FromNode_JobPlanned{}}, "no vertices"},
		"reason":       {&transportpb.FromNode{Message: &transportpb.FromNode_Decline{Decline: &transportpb.Decline{Job: testJob[:]}}}, "unknown reason 0"},
		"reason's end": {&transportpb.FromNode{Message: &transportpb.FromNode_Decline{Decline: &transportpb.Decline{Job: testJob[:], Reason: 13}}}, "unknown reason 13"},
		"phase":        {&transportpb.FromNode{Message: &transportpb.FromNode_Decline{Decline: &transportpb.Decline{Job: testJob[:], Reason: 1, Phase: 7}}}, "unknown phase 7"},
		"metrics":      {ack(&transportpb.Ack{Job: testJob[:], Metrics: &transportpb.Metrics{ProcessedBytes: -1}}), "processed bytes -1"},
		"progress":     {&transportpb.FromNode{Message: &transportpb.FromNode_Progress{Progress: &transportpb.Progress{Job: testJob[:], Subtasks: []*transportpb.SubtaskProgress{{}}}}}, "unknown phase 0"},
		"negative":     {taskMetrics(&transportpb.SubtaskMetrics{RecordsIn: -1}), "records in -1"},
		"no number":    {taskMetrics(&transportpb.SubtaskMetrics{Load: &transportpb.TaskLoad{BusyMillis: math.NaN()}}), "busy time per second NaN"},
		"endless":      {taskMetrics(&transportpb.SubtaskMetrics{Load: &transportpb.TaskLoad{BytesOut: math.Inf(1)}}), "bytes out per second +Inf"},
		"below zero":   {taskMetrics(&transportpb.SubtaskMetrics{Load: &transportpb.TaskLoad{IdleMillis: -1}}), "idle time per second -1"},
		"deleted":      {&transportpb.FromNode{Message: &transportpb.FromNode_ChunksDeleted{ChunksDeleted: &transportpb.ChunksDeleted{Deleted: -1}}}, "deleted chunks -1"},
	} {
		m, err := fromNodeFromPB(tc.pb)
		if err == nil || !strings.Contains(err.Error(), tc.want) || m != nil {
			t.Errorf("%s: got %v, %v; want nothing but an error with %q", name, m, err, tc.want)
			continue
		}
		wantError(t, err, ErrMalformed)
	}
}

// FuzzToNode and FuzzFromNode hold that whatever is decoded is a message that can be sent on and means the
// same then, and that nothing panics.
func FuzzToNode(f *testing.F) {
	for i := range 50 {
		pb, err := toNodeToPB(rapid.Custom(drawToNode).Example(i))
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(pb)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var pb transportpb.ToNode
		if proto.Unmarshal(b, &pb) != nil {
			return
		}
		m, err := toNodeFromPB(&pb)
		if err != nil {
			wantError(t, err, ErrMalformed)
			return
		}
		if back := overTheWire(t, m, toNodeToPB, &transportpb.ToNode{}, toNodeFromPB); !reflect.DeepEqual(back, m) {
			t.Fatalf("decoded  %#v\nreceived %#v", m, back)
		}
	})
}

func FuzzFromNode(f *testing.F) {
	for i := range 50 {
		pb, err := fromNodeToPB(rapid.Custom(drawFromNode).Example(i))
		if err != nil {
			f.Fatal(err)
		}
		b, err := proto.Marshal(pb)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var pb transportpb.FromNode
		if proto.Unmarshal(b, &pb) != nil {
			return
		}
		m, err := fromNodeFromPB(&pb)
		if err != nil {
			wantError(t, err, ErrMalformed)
			return
		}
		if back := overTheWire(t, m, fromNodeToPB, &transportpb.FromNode{}, fromNodeFromPB); !reflect.DeepEqual(back, m) {
			t.Fatalf("decoded  %#v\nreceived %#v", m, back)
		}
	})
}
