package transport

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

// Generators of well-formed session messages, every field of which takes every kind of value that is allowed.
// What cannot be told apart on the wire, nil and empty, is always nil.

func ranged(t *rapid.T, low, high int) int { return rapid.IntRange(low, high).Draw(t, "int") }

// listOf draws up to three elements; none gives nil.
func listOf[T any](t *rapid.T, draw func(*rapid.T) T) []T {
	var all []T
	for range ranged(t, 0, 3) {
		all = append(all, draw(t))
	}
	return all
}

func drawParams(t *rapid.T) map[string]string {
	m := rapid.MapOfN(rapid.String(), rapid.String(), 0, 3).Draw(t, "params")
	if len(m) == 0 {
		return nil
	}
	return m
}

func drawJob(t *rapid.T) checkpoint.JobID { return rapid.Make[checkpoint.JobID]().Draw(t, "job") }

func drawAttempt(t *rapid.T) checkpoint.Attempt {
	return rapid.Make[checkpoint.Attempt]().Draw(t, "attempt")
}
func drawID(t *rapid.T) checkpoint.ID { return rapid.Make[checkpoint.ID]().Draw(t, "checkpoint") }

func drawProgramDoc(t *rapid.T) checkpoint.ProgramDoc {
	return checkpoint.ProgramDoc{
		Name: rapid.String().Draw(t, "name"), Doc: rapid.String().Draw(t, "doc"), Params: listOf(t, func(t *rapid.T) checkpoint.ParamDoc {
			return checkpoint.ParamDoc{Name: rapid.String().Draw(t, "param"), Doc: rapid.String().Draw(t, "meaning")}
		}),
	}
}

func drawSubtask(t *rapid.T) checkpoint.SubtaskID {
	return checkpoint.SubtaskID{
		Vertex: rapid.Make[checkpoint.VertexID]().Draw(t, "vertex"),
		Index:  ranged(t, 0, checkpoint.MaxMaxParallelism-1),
	}
}

func drawState(t *rapid.T) checkpoint.SubtaskState {
	return checkpoint.SubtaskState{
		Subtask: drawSubtask(t), EndOfData: rapid.Bool().Draw(t, "end of data"), Handles: listOf(t, drawHandle),
	}
}

func drawHandle(t *rapid.T) checkpoint.Handle {
	return checkpoint.Handle{
		Operator: rapid.Make[checkpoint.OperatorID]().Draw(t, "operator"), Name: rapid.String().Draw(t, "name"),
		Kind:      checkpoint.HandleKind(ranged(t, 1, 5)),
		KeyGroups: checkpoint.KeyGroupRange{First: ranged(t, 0, 32768), Last: ranged(t, -1, 32767)},
		Channel: checkpoint.ChannelEnd{
			Output: rapid.Bool().Draw(t, "output"), Peer: rapid.Make[checkpoint.VertexID]().Draw(t, "peer"), Edge: ranged(t, 0, 99),
		},
		Entries: ranged(t, checkpoint.UnknownEntries, math.MaxInt32),
		Take:    checkpoint.EntryRange{First: ranged(t, 0, math.MaxInt32), Count: ranged(t, 0, math.MaxInt32)},
		Chunks: listOf(t, func(t *rapid.T) checkpoint.ChunkRef {
			return checkpoint.ChunkRef{
				ID:   rapid.Make[checkpoint.ChunkID]().Draw(t, "chunk"),
				Size: rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"),
			}
		}),
	}
}

func drawTopology(t *rapid.T) checkpoint.Topology {
	var top checkpoint.Topology
	parallelism := ranged(t, 1, 4) // the same for all, so that forward edges are allowed
	for i := range ranged(t, 1, 4) {
		id := "v" + strconv.Itoa(i) + rapid.StringN(0, 3, -1).Draw(t, "vertex")
		v := checkpoint.Vertex{
			ID: checkpoint.VertexID(id), Name: rapid.String().Draw(t, "name"),
			Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: parallelism,
			MaxParallelism: ranged(t, parallelism, checkpoint.MaxMaxParallelism), SharingGroup: rapid.String().Draw(t, "group"),
		}
		if rapid.Bool().Draw(t, "chained") {
			v.Operators = append(v.Operators, checkpoint.OperatorID("op"+strconv.Itoa(i)))
		}
		top.Vertices = append(top.Vertices, v)
		if i > 0 {
			top.Edges = append(top.Edges, checkpoint.Edge{
				From: ranged(t, 0, i-1), To: i, Partitioning: checkpoint.Partitioning(ranged(t, 1, 4)),
			})
		}
	}
	return top
}

func drawNode(t *rapid.T) checkpoint.NodeRef { return rapid.Make[checkpoint.NodeRef]().Draw(t, "node") }

func drawFingerprint(t *rapid.T) checkpoint.Fingerprint {
	return checkpoint.Fingerprint(rapid.String().Draw(t, "fingerprint"))
}

func drawDeploy(t *rapid.T) checkpoint.Deploy {
	m := checkpoint.Deploy{
		Term: drawTerm(t), Job: drawJob(t), Attempt: drawAttempt(t), Program: rapid.String().Draw(t, "program"),
		Params: drawParams(t), Topology: drawTopology(t), Mode: checkpoint.Mode(ranged(t, 1, 2)), Restore: drawID(t),
		AfterTasksFinish: rapid.Bool().Draw(t, "after tasks finish"), Fingerprint: drawFingerprint(t), Overrides: drawOverrides(t),
		Backend: checkpoint.StateBackend(ranged(t, 0, 1)),
	}
	m.Assignment.Nodes = append(listOf(t, drawNode), drawNode(t))
	for _, s := range m.Topology.Subtasks() {
		m.Assignment.NodeOf = append(m.Assignment.NodeOf, ranged(t, 0, len(m.Assignment.Nodes)-1))
		if rapid.Bool().Draw(t, "has state") {
			state := drawState(t)
			state.Subtask = s
			m.States = append(m.States, state)
		} else if m.Attempt > 1 {
			since := checkpoint.Attempt(rapid.Uint32Range(1, uint32(m.Attempt-1)).Draw(t, "since"))
			m.Kept = append(m.Kept, checkpoint.KeptSubtask{Subtask: s, Since: since})
		}
	}
	m.Settled, m.Aborted = drawID(t), listOf(t, drawID)
	return m
}

func drawOverrides(t *rapid.T) checkpoint.Overrides {
	return checkpoint.Overrides{
		All: ranged(t, 0, checkpoint.MaxMaxParallelism), Parallelism: drawNumbers(t), MaxParallelism: drawNumbers(t),
	}
}

func drawNumbers(t *rapid.T) map[checkpoint.OperatorID]int {
	n := ranged(t, 0, 3)
	if n == 0 {
		return nil
	}
	of := make(map[checkpoint.OperatorID]int)
	for range n {
		of[checkpoint.OperatorID(rapid.String().Draw(t, "operator"))] = ranged(t, 1, checkpoint.MaxMaxParallelism)
	}
	return of
}

func drawTerm(t *rapid.T) checkpoint.Term { return rapid.Make[checkpoint.Term]().Draw(t, "term") }

func drawToNode(t *rapid.T) checkpoint.ToNode {
	switch ranged(t, 0, 9) {
	case 0:
		return rapid.Make[checkpoint.Leading]().Draw(t, "leading")
	case 1:
		return checkpoint.PlanJob{
			Term: drawTerm(t), Request: rapid.Uint64().Draw(t, "request"),
			Program: rapid.String().Draw(t, "program"), Params: drawParams(t),
			Overrides: drawOverrides(t),
		}
	case 2:
		return drawDeploy(t)
	case 3:
		return rapid.Make[checkpoint.CancelAttempt]().Draw(t, "cancel")
	case 4:
		return checkpoint.Trigger{
			Term: drawTerm(t), Job: drawJob(t), Attempt: drawAttempt(t),
			Barrier:  drawBarrier(t),
			Subtasks: listOf(t, drawSubtask),
		}
	case 5:
		m := rapid.Make[checkpoint.NotifyComplete]().Draw(t, "complete")
		m.Kind, m.Stop = drawKind(t), drawStop(t)
		return m
	case 6:
		return checkpoint.MarkChunks{Term: drawTerm(t), Sweep: rapid.Uint64().Draw(t, "sweep"), Live: listOf(t, drawNode), Gone: listOf(t, drawNode)}
	case 7:
		return checkpoint.DeleteChunks{
			Term: drawTerm(t), Sweep: rapid.Uint64().Draw(t, "sweep"),
			Chunks: listOf(t, func(t *rapid.T) checkpoint.ChunkID { return rapid.Make[checkpoint.ChunkID]().Draw(t, "chunk") }),
		}
	case 8:
		return checkpoint.CancelTasks{Term: drawTerm(t), Job: drawJob(t), Attempt: drawAttempt(t), Subtasks: listOf(t, drawSubtask)}
	}
	if m := drawStoreToNode(t); m != nil {
		return m
	}
	return rapid.Make[checkpoint.NotifyAborted]().Draw(t, "aborted")
}

func drawKind(t *rapid.T) checkpoint.Kind { return checkpoint.Kind(ranged(t, 1, 2)) }
func drawStop(t *rapid.T) checkpoint.Stop { return checkpoint.Stop(ranged(t, 0, 2)) }

func drawBarrier(t *rapid.T) checkpoint.Barrier {
	return checkpoint.Barrier{
		ID: drawID(t), Timestamp: rapid.Make[checkpoint.Timestamp]().Draw(t, "timestamp"),
		Kind: drawKind(t), Mode: checkpoint.Mode(ranged(t, 1, 2)), Alignment: checkpoint.Alignment(ranged(t, 1, 3)),
		AlignmentTimeout: time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "alignment timeout")),
		Stop:             drawStop(t), Full: rapid.Bool().Draw(t, "full"),
	}
}

func drawMetrics(t *rapid.T) checkpoint.Metrics {
	figure := func() int64 { return rapid.Int64Range(0, math.MaxInt64).Draw(t, "figure") }
	return checkpoint.Metrics{
		StartDelayMillis: figure(), AlignmentMillis: figure(), SyncMillis: figure(), AsyncMillis: figure(),
		UploadMillis: figure(), CheckpointedBytes: figure(), ProcessedBytes: figure(), PersistedBytes: figure(),
	}
}

func drawFromNode(t *rapid.T) checkpoint.FromNode {
	switch ranged(t, 0, 10) {
	case 0:
		node := drawNode(t)
		node.ID += "n"
		return checkpoint.Hello{
			Node: node, Slots: ranged(t, 0, math.MaxInt32), Version: rapid.String().Draw(t, "version"),
			Programs: listOf(t, func(t *rapid.T) string { return rapid.String().Draw(t, "program") }),
			Docs:     listOf(t, drawProgramDoc), Zone: rapid.String().Draw(t, "zone"), SharedStore: rapid.String().Draw(t, "store"),
		}
	case 1:
		return checkpoint.Heartbeat{}
	case 2:
		m := checkpoint.JobPlanned{Request: rapid.Uint64().Draw(t, "request"), Error: rapid.String().Draw(t, "error")}
		if m.Error == "" {
			m.Topology, m.Fingerprint = drawTopology(t), drawFingerprint(t)
			m.Operators = listOf(t, func(t *rapid.T) checkpoint.OperatorText {
				return rapid.Make[checkpoint.OperatorText]().Draw(t, "operator")
			})
		}
		return m
	case 3:
		return checkpoint.Report{Term: drawTerm(t), Attempts: listOf(t, func(t *rapid.T) checkpoint.AttemptReport {
			return checkpoint.AttemptReport{
				Job: drawJob(t), Attempt: drawAttempt(t), Subtasks: listOf(t, drawReport), Acks: listOf(t, drawAck),
			}
		})}
	case 4:
		return checkpoint.StatusChange{Job: drawJob(t), Attempt: drawAttempt(t), Report: drawReport(t)}
	case 5:
		return checkpoint.AckBatch{Acks: listOf(t, drawAck)}
	case 6:
		return checkpoint.Progress{
			Job: drawJob(t), Attempt: drawAttempt(t), Checkpoint: drawID(t), Subtasks: listOf(t, drawProgress),
		}
	case 7:
		return rapid.Make[checkpoint.ChunksMarked]().Draw(t, "marked")
	case 8:
		return checkpoint.ChunksDeleted{
			Sweep: rapid.Uint64().Draw(t, "sweep"), Deleted: ranged(t, 0, math.MaxInt32), Refused: ranged(t, 0, math.MaxInt32),
			Error: rapid.String().Draw(t, "error"),
		}
	case 9:
		return checkpoint.TaskMetrics{Job: drawJob(t), Attempt: drawAttempt(t), Subtasks: listOf(t, drawSubtaskMetrics)}
	}
	if m := drawStoreFromNode(t); m != nil {
		return m
	}
	return checkpoint.Decline{
		Job: drawJob(t), Attempt: drawAttempt(t), Checkpoint: drawID(t), Subtask: drawSubtask(t),
		Reason: checkpoint.Reason(ranged(t, 1, 12)), Phase: checkpoint.Phase(ranged(t, 0, 6)), Message: rapid.String().Draw(t, "message"),
	}
}

func drawSubtaskMetrics(t *rapid.T) checkpoint.SubtaskMetrics {
	figure := rapid.Int64Range(0, math.MaxInt64)
	m := checkpoint.SubtaskMetrics{
		Subtask: drawSubtask(t), RecordsIn: figure.Draw(t, "records in"), RecordsOut: figure.Draw(t, "records out"),
		BytesIn: figure.Draw(t, "bytes in"), BytesOut: figure.Draw(t, "bytes out"), Checkpoint: drawID(t),
		LateRecords: figure.Draw(t, "late"), StateBytes: figure.Draw(t, "state"), AlignmentMillis: figure.Draw(t, "alignment"), StartDelayMillis: figure.Draw(t, "delay"),
	}
	if rapid.Bool().Draw(t, "timed") {
		at := rapid.Int64().Draw(t, "watermark")
		m.Watermark = &at
	}
	if rapid.Bool().Draw(t, "loaded") {
		rate := func() float64 { return rapid.Float64Range(0, math.MaxFloat64).Draw(t, "rate") }
		m.Load = &checkpoint.TaskLoad{
			RecordsIn: rate(), RecordsOut: rate(), BytesIn: rate(), BytesOut: rate(), BusyMillis: rate(),
			BackpressuredMillis: rate(), IdleMillis: rate(), InFlightBytes: figure.Draw(t, "in flight"),
		}
	}
	return m
}

func drawProgress(t *rapid.T) checkpoint.SubtaskProgress {
	return checkpoint.SubtaskProgress{
		Subtask: drawSubtask(t), Phase: checkpoint.Phase(ranged(t, 1, 6)), Metrics: drawMetrics(t),
	}
}

func drawFailure(t *rapid.T) checkpoint.Failure {
	f := checkpoint.Failure{
		Message: rapid.String().Draw(t, "message"), Permanent: rapid.Bool().Draw(t, "permanent"), Secondary: rapid.Bool().Draw(t, "secondary"),
	}
	if rapid.Bool().Draw(t, "lacks a chunk") {
		f.Unavailable = drawRef(t)
	}
	return f
}

func drawReport(t *rapid.T) checkpoint.SubtaskReport {
	r := checkpoint.SubtaskReport{
		Subtask: drawSubtask(t), Status: checkpoint.SubtaskStatus(ranged(t, 1, 6)),
		Failure: drawFailure(t),
	}
	if rapid.Bool().Draw(t, "finished") {
		r.Final, r.FinalCheckpoint = drawState(t), drawID(t)
	}
	return r
}

func drawAck(t *rapid.T) checkpoint.Ack {
	return checkpoint.Ack{
		Job: drawJob(t), Attempt: drawAttempt(t), Checkpoint: drawID(t), State: drawState(t),
		Metrics: drawMetrics(t),
	}
}

// withEmpties replaces nil slices and maps in v by empty ones, as they come out of the client API.
func withEmpties[T any](v T) T {
	fillEmpties(reflect.ValueOf(&v).Elem())
	return v
}

func fillEmpties(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fillEmpties(v.Field(i))
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fillEmpties(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	}
}
