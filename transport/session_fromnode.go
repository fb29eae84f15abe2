package transport

import (
	"fmt"
	"math"
	"strings"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// maxSlots bounds what a node may say it offers.
const maxSlots = math.MaxInt32

// fromNodeToPB maps a node's message to its wire form.
func fromNodeToPB(m checkpoint.FromNode) (*transportpb.FromNode, error) {
	pb := &transportpb.FromNode{}
	switch m := m.(type) {
	case checkpoint.Hello:
		pb.Message = &transportpb.FromNode_Hello{Hello: &transportpb.Hello{
			Node: nodeToPB(m.Node), Slots: int64(m.Slots), Programs: m.Programs, Version: m.Version,
			Docs: each(m.Docs, programDocToPB), Zone: m.Zone, SharedStore: m.SharedStore,
		}}
	case checkpoint.Heartbeat:
		pb.Message = &transportpb.FromNode_Heartbeat{Heartbeat: &transportpb.Heartbeat{}}
	case checkpoint.JobPlanned:
		pb.Message = &transportpb.FromNode_JobPlanned{JobPlanned: &transportpb.JobPlanned{
			Request: m.Request, Topology: topologyToPB(m.Topology), Error: text(m.Error),
			Fingerprint: string(m.Fingerprint), Operators: each(m.Operators, operatorTextToPB),
		}}
	case checkpoint.Report:
		pb.Message = &transportpb.FromNode_Report{Report: &transportpb.Report{
			Term: uint64(m.Term), Attempts: each(m.Attempts, attemptToPB),
		}}
	case checkpoint.StatusChange:
		pb.Message = &transportpb.FromNode_StatusChange{StatusChange: &transportpb.StatusChange{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Report: subtaskReportToPB(m.Report),
		}}
	case checkpoint.AckBatch:
		pb.Message = &transportpb.FromNode_AckBatch{AckBatch: &transportpb.AckBatch{Acks: each(m.Acks, ackToPB)}}
	case checkpoint.Decline:
		pb.Message = &transportpb.FromNode_Decline{Decline: &transportpb.Decline{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Checkpoint: uint64(m.Checkpoint),
			Subtask: subtaskToPB(m.Subtask), Reason: uint32(m.Reason), Phase: uint32(m.Phase), Message: text(m.Message),
		}}
	case checkpoint.Progress:
		pb.Message = &transportpb.FromNode_Progress{Progress: &transportpb.Progress{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Checkpoint: uint64(m.Checkpoint),
			Subtasks: each(m.Subtasks, progressToPB),
		}}
	case checkpoint.TaskMetrics:
		pb.Message = &transportpb.FromNode_TaskMetrics{TaskMetrics: taskMetricsToPB(m)}
	case checkpoint.ChunksMarked:
		pb.Message = &transportpb.FromNode_ChunksMarked{ChunksMarked: &transportpb.ChunksMarked{Sweep: m.Sweep}}
	case checkpoint.ChunksDeleted:
		pb.Message = &transportpb.FromNode_ChunksDeleted{ChunksDeleted: &transportpb.ChunksDeleted{
			Sweep: m.Sweep, Deleted: int64(m.Deleted), Refused: int64(m.Refused), Error: text(m.Error),
		}}
	case checkpoint.Inventory:
		pb.Message = &transportpb.FromNode_Inventory{Inventory: &transportpb.Inventory{
			Request: m.Request, First: m.First, Last: m.Last, Chunks: chunkRefsToPB(m.Chunks),
			Owners: each(m.Owners, nodeToPB),
		}}
	case checkpoint.InventoryChange:
		pb.Message = &transportpb.FromNode_InventoryChange{InventoryChange: &transportpb.InventoryChange{
			Added: chunkRefsToPB(m.Added), Removed: each(m.Removed, chunkToPB), Corrupt: each(m.Corrupt, chunkToPB),
		}}
	case checkpoint.StoreReport:
		pb.Message = &transportpb.FromNode_StoreReport{StoreReport: storeReportToPB(m)}
	case checkpoint.LocateChunks:
		pb.Message = &transportpb.FromNode_LocateChunks{LocateChunks: &transportpb.LocateChunks{
			Request: m.Request, Chunks: each(m.Chunks, chunkToPB),
		}}
	case checkpoint.ChunksCopied:
		pb.Message = &transportpb.FromNode_ChunksCopied{ChunksCopied: &transportpb.ChunksCopied{
			Order: m.Order, Copied: each(m.Copied, chunkToPB), Failed: each(m.Failed, chunkFailureToPB),
		}}
	default:
		return nil, fmt.Errorf("%w: no wire form for %T", ErrMalformed, m)
	}
	return pb, nil
}

func operatorTextToPB(o checkpoint.OperatorText) *transportpb.OperatorText {
	return &transportpb.OperatorText{Operator: string(o.Operator), Text: text(o.Text)}
}

func operatorTextFromPB(pb *transportpb.OperatorText) checkpoint.OperatorText {
	return checkpoint.OperatorText{Operator: checkpoint.OperatorID(pb.GetOperator()), Text: pb.GetText()}
}

// text makes free text fit for protobuf, which refuses a message with invalid UTF-8: the cause of a failure
// may quote a file name or a record.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func ackToPB(a checkpoint.Ack) *transportpb.Ack {
	return &transportpb.Ack{
		Job: a.Job[:], Attempt: uint32(a.Attempt), Checkpoint: uint64(a.Checkpoint),
		State: checkpoint.SubtaskStateToPB(a.State), Metrics: metricsToPB(a.Metrics),
	}
}

func progressToPB(p checkpoint.SubtaskProgress) *transportpb.SubtaskProgress {
	return &transportpb.SubtaskProgress{
		Subtask: subtaskToPB(p.Subtask), Phase: uint32(p.Phase), Metrics: metricsToPB(p.Metrics),
	}
}

func metricsToPB(m checkpoint.Metrics) *transportpb.Metrics {
	return &transportpb.Metrics{
		StartDelayMillis: m.StartDelayMillis, AlignmentMillis: m.AlignmentMillis, SyncMillis: m.SyncMillis,
		AsyncMillis: m.AsyncMillis, UploadMillis: m.UploadMillis,
		CheckpointedBytes: m.CheckpointedBytes, ProcessedBytes: m.ProcessedBytes, PersistedBytes: m.PersistedBytes,
	}
}

// fromNodeFromPB reads what fromNodeToPB wrote. Anything that is not allowed gives an error that wraps
// ErrMalformed.
func fromNodeFromPB(pb *transportpb.FromNode) (checkpoint.FromNode, error) {
	var d decoder
	var m checkpoint.FromNode
	switch w := pb.GetMessage().(type) {
	case *transportpb.FromNode_Hello:
		m = d.hello(w.Hello)
	case *transportpb.FromNode_Heartbeat:
		m = checkpoint.Heartbeat{}
	case *transportpb.FromNode_JobPlanned:
		m = d.jobPlanned(w.JobPlanned)
	case *transportpb.FromNode_Report:
		m = checkpoint.Report{
			Term: checkpoint.Term(w.Report.GetTerm()), Attempts: each(w.Report.GetAttempts(), d.attempt),
		}
	case *transportpb.FromNode_StatusChange:
		m = checkpoint.StatusChange{
			Job: d.job(w.StatusChange.GetJob()), Attempt: checkpoint.Attempt(w.StatusChange.GetAttempt()),
			Report: d.subtaskReport(w.StatusChange.GetReport()),
		}
	case *transportpb.FromNode_AckBatch:
		m = checkpoint.AckBatch{Acks: each(w.AckBatch.GetAcks(), d.ack)}
	case *transportpb.FromNode_Decline:
		m = d.decline(w.Decline)
	case *transportpb.FromNode_Progress:
		m = checkpoint.Progress{
			Job: d.job(w.Progress.GetJob()), Attempt: checkpoint.Attempt(w.Progress.GetAttempt()),
			Checkpoint: checkpoint.ID(w.Progress.GetCheckpoint()), Subtasks: each(w.Progress.GetSubtasks(), d.progress),
		}
	case *transportpb.FromNode_TaskMetrics:
		m = d.taskMetrics(w.TaskMetrics)
	case *transportpb.FromNode_ChunksMarked:
		m = checkpoint.ChunksMarked{Sweep: w.ChunksMarked.GetSweep()}
	case *transportpb.FromNode_ChunksDeleted:
		m = checkpoint.ChunksDeleted{
			Sweep:   w.ChunksDeleted.GetSweep(),
			Deleted: d.int("deleted chunks", w.ChunksDeleted.GetDeleted(), 0, math.MaxInt32),
			Refused: d.int("refused chunks", w.ChunksDeleted.GetRefused(), 0, math.MaxInt32),
			Error:   w.ChunksDeleted.GetError(),
		}
	case *transportpb.FromNode_Inventory:
		m = checkpoint.Inventory{
			Request: w.Inventory.GetRequest(), First: w.Inventory.GetFirst(), Last: w.Inventory.GetLast(),
			Chunks: d.chunkRefs(w.Inventory.GetChunks()), Owners: each(w.Inventory.GetOwners(), nodeFromPB),
		}
	case *transportpb.FromNode_InventoryChange:
		m = checkpoint.InventoryChange{
			Added:   d.chunkRefs(w.InventoryChange.GetAdded()),
			Removed: each(w.InventoryChange.GetRemoved(), d.chunk), Corrupt: each(w.InventoryChange.GetCorrupt(), d.chunk),
		}
	case *transportpb.FromNode_StoreReport:
		m = d.storeReport(w.StoreReport)
	case *transportpb.FromNode_LocateChunks:
		m = checkpoint.LocateChunks{Request: w.LocateChunks.GetRequest(), Chunks: each(w.LocateChunks.GetChunks(), d.chunk)}
	case *transportpb.FromNode_ChunksCopied:
		m = checkpoint.ChunksCopied{
			Order: w.ChunksCopied.GetOrder(), Copied: each(w.ChunksCopied.GetCopied(), d.chunk),
			Failed: each(w.ChunksCopied.GetFailed(), d.chunkFailure),
		}
	default:
		d.failf("unknown message from a node (of a newer version?)")
	}
	if err := d.failure(fmt.Sprintf("%T", m)); err != nil {
		return nil, err
	}
	return m, nil
}

func (d *decoder) hello(pb *transportpb.Hello) checkpoint.Hello {
	if pb.GetNode().GetId() == "" {
		d.failf("it names no node")
	}
	return checkpoint.Hello{
		Node:     nodeFromPB(pb.GetNode()),
		Slots:    d.int("slots", pb.GetSlots(), 0, maxSlots),
		Programs: pb.GetPrograms(),
		Version:  pb.GetVersion(),
		Docs:     each(pb.GetDocs(), programDocFromPB),
		Zone:     pb.GetZone(), SharedStore: pb.GetSharedStore(),
	}
}

func programDocToPB(p checkpoint.ProgramDoc) *transportpb.ProgramDoc {
	return &transportpb.ProgramDoc{Name: p.Name, Doc: text(p.Doc), Params: each(p.Params, func(d checkpoint.ParamDoc) *transportpb.ParamDoc {
		return &transportpb.ParamDoc{Name: d.Name, Doc: text(d.Doc)}
	})}
}

func programDocFromPB(pb *transportpb.ProgramDoc) checkpoint.ProgramDoc {
	return checkpoint.ProgramDoc{Name: pb.GetName(), Doc: pb.GetDoc(), Params: each(pb.GetParams(), func(d *transportpb.ParamDoc) checkpoint.ParamDoc {
		return checkpoint.ParamDoc{Name: d.GetName(), Doc: d.GetDoc()}
	})}
}

func (d *decoder) jobPlanned(pb *transportpb.JobPlanned) checkpoint.JobPlanned {
	m := checkpoint.JobPlanned{
		Request: pb.GetRequest(), Error: pb.GetError(),
		Fingerprint: checkpoint.Fingerprint(pb.GetFingerprint()), Operators: each(pb.GetOperators(), operatorTextFromPB),
	}
	if m.Error == "" {
		m.Topology = d.topology(pb.GetTopology())
	}
	return m
}

func (d *decoder) ack(pb *transportpb.Ack) checkpoint.Ack {
	return checkpoint.Ack{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		State: d.state(pb.GetState()), Metrics: d.metrics(pb.GetMetrics()),
	}
}

func (d *decoder) decline(pb *transportpb.Decline) checkpoint.Decline {
	return checkpoint.Decline{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Subtask: d.subtask(pb.GetSubtask()),
		Reason:  enum(d, "reason", pb.GetReason(), checkpoint.ReasonIOException),
		Phase:   enumOrNone(d, "phase", pb.GetPhase(), checkpoint.PhaseAck),
		Message: pb.GetMessage(),
	}
}

func (d *decoder) progress(pb *transportpb.SubtaskProgress) checkpoint.SubtaskProgress {
	return checkpoint.SubtaskProgress{
		Subtask: d.subtask(pb.GetSubtask()),
		Phase:   enum(d, "phase", pb.GetPhase(), checkpoint.PhaseAck),
		Metrics: d.metrics(pb.GetMetrics()),
	}
}

// metrics reads figures that statistics are made of: a negative one would spoil them.
func (d *decoder) metrics(pb *transportpb.Metrics) checkpoint.Metrics {
	return checkpoint.Metrics{
		StartDelayMillis:  d.count("start delay", pb.GetStartDelayMillis()),
		AlignmentMillis:   d.count("alignment", pb.GetAlignmentMillis()),
		SyncMillis:        d.count("sync duration", pb.GetSyncMillis()),
		AsyncMillis:       d.count("async duration", pb.GetAsyncMillis()),
		UploadMillis:      d.count("upload duration", pb.GetUploadMillis()),
		CheckpointedBytes: d.count("checkpointed bytes", pb.GetCheckpointedBytes()),
		ProcessedBytes:    d.count("processed bytes", pb.GetProcessedBytes()),
		PersistedBytes:    d.count("persisted bytes", pb.GetPersistedBytes()),
	}
}
