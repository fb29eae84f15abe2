package fsm

import (
	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

func pendingToPB(p Pending) *fsmpb.Pending {
	return &fsmpb.Pending{
		Id: uint64(p.ID), Attempt: uint32(p.Attempt), Kind: uint32(p.Kind), TriggeredAt: int64(p.TriggeredAt),
		BeganTerm: uint64(p.BeganTerm), Stop: uint32(p.Stop), Full: p.Full, Manual: p.Manual, Aligned: p.Aligned,
	}
}

func (d *decoding) pending(pb *fsmpb.Pending) Pending {
	return Pending{
		ID: checkpoint.ID(pb.GetId()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Kind: checkpoint.Kind(d.enum(pb.GetKind())),
		TriggeredAt: checkpoint.Timestamp(pb.GetTriggeredAt()), BeganTerm: checkpoint.Term(pb.GetBeganTerm()),
		Stop: checkpoint.Stop(d.enum(pb.GetStop())), Full: pb.GetFull(), Manual: pb.GetManual(),
		Aligned: pb.GetAligned(),
	}
}

func completedToPB(c Completed) *fsmpb.Completed {
	return &fsmpb.Completed{
		Id: uint64(c.ID), Attempt: uint32(c.Attempt), Kind: uint32(c.Kind), TriggeredAt: int64(c.TriggeredAt),
		CompletedAt: int64(c.CompletedAt), Manifest: checkpoint.ChunkRefToPB(c.Manifest), StateSize: c.StateSize,
		NumSubtasks: int64(c.NumSubtasks), Stop: uint32(c.Stop), Aligned: c.Aligned,
	}
}

func (d *decoding) completed(pb *fsmpb.Completed) Completed {
	return Completed{
		ID: checkpoint.ID(pb.GetId()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Kind: checkpoint.Kind(d.enum(pb.GetKind())),
		TriggeredAt: checkpoint.Timestamp(pb.GetTriggeredAt()), CompletedAt: checkpoint.Timestamp(pb.GetCompletedAt()),
		Manifest: d.chunk(pb.GetManifest()), StateSize: pb.GetStateSize(), NumSubtasks: int(pb.GetNumSubtasks()),
		Stop: checkpoint.Stop(d.enum(pb.GetStop())), Aligned: pb.GetAligned(),
	}
}

func outcomeToPB(o Outcome) *fsmpb.Outcome {
	return &fsmpb.Outcome{
		Id: uint64(o.ID), Attempt: uint32(o.Attempt), Kind: uint32(o.Kind), Status: uint32(o.Status),
		TriggeredAt: int64(o.TriggeredAt), EndedAt: int64(o.EndedAt), StateSize: o.Sizes.State,
		NumSubtasks: int64(o.NumSubtasks), NumAcknowledged: int64(o.NumAcknowledged), Reason: uint32(o.Reason),
		Message: []byte(o.Message), Term: uint64(o.Term), BeganTerm: uint64(o.BeganTerm),
		Stop: uint32(o.Stop), Sizes: sizesToPB(o.Sizes), Detail: detailToPB(o.Detail),
	}
}

func (d *decoding) outcome(pb *fsmpb.Outcome) Outcome {
	return Outcome{
		ID: checkpoint.ID(pb.GetId()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Kind: checkpoint.Kind(d.enum(pb.GetKind())),
		Status: OutcomeStatus(d.enum(pb.GetStatus())), TriggeredAt: checkpoint.Timestamp(pb.GetTriggeredAt()),
		EndedAt: checkpoint.Timestamp(pb.GetEndedAt()), Sizes: sizesFromPB(pb.GetStateSize(), pb.GetSizes()), NumSubtasks: int(pb.GetNumSubtasks()),
		NumAcknowledged: int(pb.GetNumAcknowledged()), Reason: checkpoint.Reason(d.enum(pb.GetReason())),
		Message: string(pb.GetMessage()), Term: checkpoint.Term(pb.GetTerm()), BeganTerm: checkpoint.Term(pb.GetBeganTerm()),
		Stop: checkpoint.Stop(d.enum(pb.GetStop())), Detail: d.detail(pb.GetDetail()),
	}
}
