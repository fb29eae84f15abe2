package transport

import (
	"fmt"
	"math"
	"strings"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
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
		}}
	case checkpoint.Heartbeat:
		pb.Message = &transportpb.FromNode_Heartbeat{Heartbeat: &transportpb.Heartbeat{}}
	case checkpoint.JobPlanned:
		pb.Message = &transportpb.FromNode_JobPlanned{JobPlanned: &transportpb.JobPlanned{
			Request: m.Request, Topology: topologyToPB(m.Topology), Error: text(m.Error),
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
			Subtask: subtaskToPB(m.Subtask), Reason: uint32(m.Reason), Message: text(m.Message),
		}}
	default:
		return nil, fmt.Errorf("%w: no wire form for %T", ErrMalformed, m)
	}
	return pb, nil
}

// text makes free text fit for protobuf, which refuses a message with invalid UTF-8: the cause of a failure
// may quote a file name or a record.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func attemptToPB(r checkpoint.AttemptReport) *transportpb.AttemptReport {
	return &transportpb.AttemptReport{
		Job: r.Job[:], Attempt: uint32(r.Attempt),
		Subtasks: each(r.Subtasks, subtaskReportToPB), Acks: each(r.Acks, ackToPB),
	}
}

func subtaskReportToPB(r checkpoint.SubtaskReport) *transportpb.SubtaskReport {
	pb := &transportpb.SubtaskReport{
		Subtask: subtaskToPB(r.Subtask), Status: uint32(r.Status), Final: finalToPB(r.Final),
	}
	if r.Failure != (checkpoint.Failure{}) {
		pb.Failure = &transportpb.Failure{
			Message: text(r.Failure.Message), Permanent: r.Failure.Permanent, Secondary: r.Failure.Secondary,
		}
	}
	return pb
}

// finalToPB leaves the state of a subtask that is not finished out.
func finalToPB(s checkpoint.SubtaskState) *checkpointpb.SubtaskState {
	if s.Subtask == (checkpoint.SubtaskID{}) && !s.EndOfData && len(s.Handles) == 0 {
		return nil
	}
	return checkpoint.SubtaskStateToPB(s)
}

func ackToPB(a checkpoint.Ack) *transportpb.Ack {
	return &transportpb.Ack{
		Job: a.Job[:], Attempt: uint32(a.Attempt), Checkpoint: uint64(a.Checkpoint),
		State: checkpoint.SubtaskStateToPB(a.State),
		Timings: &transportpb.AckTimings{
			StartDelayMillis: a.Metrics.StartDelayMillis, AlignmentMillis: a.Metrics.AlignmentMillis,
			SyncMillis: a.Metrics.SyncMillis, AsyncMillis: a.Metrics.AsyncMillis,
		},
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
		n := w.Decline
		m = checkpoint.Decline{
			Job: d.job(n.GetJob()), Attempt: checkpoint.Attempt(n.GetAttempt()), Checkpoint: checkpoint.ID(n.GetCheckpoint()),
			Subtask: d.subtask(n.GetSubtask()),
			Reason:  enum(&d, "reason", n.GetReason(), checkpoint.ReasonCoordinatorShutdown),
			Message: n.GetMessage(),
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
	}
}

func (d *decoder) jobPlanned(pb *transportpb.JobPlanned) checkpoint.JobPlanned {
	m := checkpoint.JobPlanned{Request: pb.GetRequest(), Error: pb.GetError()}
	if m.Error == "" {
		m.Topology = d.topology(pb.GetTopology())
	}
	return m
}

func (d *decoder) attempt(pb *transportpb.AttemptReport) checkpoint.AttemptReport {
	return checkpoint.AttemptReport{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()),
		Subtasks: each(pb.GetSubtasks(), d.subtaskReport), Acks: each(pb.GetAcks(), d.ack),
	}
}

func (d *decoder) subtaskReport(pb *transportpb.SubtaskReport) checkpoint.SubtaskReport {
	f := pb.GetFailure()
	return checkpoint.SubtaskReport{
		Subtask: d.subtask(pb.GetSubtask()),
		Status:  enum(d, "subtask status", pb.GetStatus(), checkpoint.SubtaskCanceled),
		Failure: checkpoint.Failure{Message: f.GetMessage(), Permanent: f.GetPermanent(), Secondary: f.GetSecondary()},
		Final:   d.state(pb.GetFinal()),
	}
}

func (d *decoder) ack(pb *transportpb.Ack) checkpoint.Ack {
	t := pb.GetTimings()
	return checkpoint.Ack{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		State: d.state(pb.GetState()),
		Metrics: checkpoint.Metrics{
			StartDelayMillis: t.GetStartDelayMillis(), AlignmentMillis: t.GetAlignmentMillis(),
			SyncMillis: t.GetSyncMillis(), AsyncMillis: t.GetAsyncMillis(),
		},
	}
}
