package transport

import (
	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
	"cairn/transport/transportpb"
)

// What a node says of the attempts that it holds, and of their subtasks.

func attemptToPB(r checkpoint.AttemptReport) *transportpb.AttemptReport {
	return &transportpb.AttemptReport{
		Job: r.Job[:], Attempt: uint32(r.Attempt),
		Subtasks: each(r.Subtasks, subtaskReportToPB), Acks: each(r.Acks, ackToPB),
	}
}

func subtaskReportToPB(r checkpoint.SubtaskReport) *transportpb.SubtaskReport {
	pb := &transportpb.SubtaskReport{
		Subtask: subtaskToPB(r.Subtask), Status: uint32(r.Status), Final: finalToPB(r.Final),
		FinalCheckpoint: uint64(r.FinalCheckpoint),
	}
	if r.Failure != (checkpoint.Failure{}) {
		pb.Failure = &transportpb.Failure{
			Message: text(r.Failure.Message), Permanent: r.Failure.Permanent, Secondary: r.Failure.Secondary,
		}
		if r.Failure.Unavailable != (checkpoint.ChunkRef{}) {
			pb.Failure.Unavailable = checkpoint.ChunkRefToPB(r.Failure.Unavailable)
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
		Failure: checkpoint.Failure{
			Message: f.GetMessage(), Permanent: f.GetPermanent(), Secondary: f.GetSecondary(), Unavailable: d.unavailable(f),
		},
		Final: d.state(pb.GetFinal()),

		FinalCheckpoint: checkpoint.ID(pb.GetFinalCheckpoint()),
	}
}

// unavailable reads the chunk for want of which a subtask failed, zero for none.
func (d *decoder) unavailable(f *transportpb.Failure) checkpoint.ChunkRef {
	if f.GetUnavailable() == nil {
		return checkpoint.ChunkRef{}
	}
	ref, err := chunkRefFromPB(f.GetUnavailable())
	if err != nil {
		d.failf("%v", err)
	}
	return ref
}
