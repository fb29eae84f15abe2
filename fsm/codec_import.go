package fsm

import (
	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

func beginImportToPB(c BeginImport) *fsmpb.BeginImport {
	return &fsmpb.BeginImport{
		Job: c.Job[:], JobName: []byte(clip(c.JobName)), Checkpoint: uint64(c.Checkpoint), Manifest: checkpoint.ChunkRefToPB(c.Manifest),
		TriggeredAt: int64(c.TriggeredAt), StateSize: c.StateSize, NumSubtasks: int64(c.NumSubtasks), At: int64(c.At),
	}
}

func (d *decoding) beginImport(pb *fsmpb.BeginImport) BeginImport {
	return BeginImport{
		Job: d.job(pb.GetJob()), JobName: string(pb.GetJobName()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Manifest: d.chunk(pb.GetManifest()), TriggeredAt: checkpoint.Timestamp(pb.GetTriggeredAt()),
		StateSize: pb.GetStateSize(), NumSubtasks: int(pb.GetNumSubtasks()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func finishImportToPB(c FinishImport) *fsmpb.FinishImport {
	return &fsmpb.FinishImport{
		Job: c.Job[:], Checkpoint: uint64(c.Checkpoint), Manifest: checkpoint.ChunkRefToPB(c.Manifest), At: int64(c.At),
	}
}

func (d *decoding) finishImport(pb *fsmpb.FinishImport) FinishImport {
	return FinishImport{
		Job: d.job(pb.GetJob()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()), Manifest: d.chunk(pb.GetManifest()),
		At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func importToPB(i Import) *fsmpb.Import {
	return &fsmpb.Import{
		Job: i.Job[:], JobName: []byte(i.JobName), Checkpoint: uint64(i.Checkpoint), Manifest: checkpoint.ChunkRefToPB(i.Manifest),
		TriggeredAt: int64(i.TriggeredAt), StateSize: i.StateSize, NumSubtasks: int64(i.NumSubtasks),
		BegunAt: int64(i.BegunAt), FinishedAt: int64(i.FinishedAt),
	}
}

func (d *decoding) imported(pb *fsmpb.Import) Import {
	return Import{
		Job: d.job(pb.GetJob()), JobName: string(pb.GetJobName()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Manifest: d.chunk(pb.GetManifest()), TriggeredAt: checkpoint.Timestamp(pb.GetTriggeredAt()),
		StateSize: pb.GetStateSize(), NumSubtasks: int(pb.GetNumSubtasks()),
		BegunAt: checkpoint.Timestamp(pb.GetBegunAt()), FinishedAt: checkpoint.Timestamp(pb.GetFinishedAt()),
	}
}
