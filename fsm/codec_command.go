package fsm

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

// commandVersion is the format of commands that this build writes: the first byte of an entry, before the
// protobuf message. It rises whenever an older build would misunderstand a command, be it its form or what
// Step does with it.
//
// Version 2 added sources, savepoints that are kept, sizes, details, and the whole of the configuration. Version 3 added
// changes of parallelism, nodes that are drained, slot sharing groups, fingerprints, and subtasks that go on when others
// are restarted. Version 4 added imported savepoints (jobs start from registered ones only) and checkpoints that are given
// up.
const commandVersion = 4

// EncodeCommand returns the persisted form of c, to be proposed to Raft. Equal commands give equal bytes; failure texts
// are cut as Step would cut them.
// The error says that the type of c is none of this package's commands.
func EncodeCommand(c Command) ([]byte, error) {
	pb, err := commandToPB(c)
	if err != nil {
		return nil, err
	}
	b, err := deterministic.MarshalAppend([]byte{commandVersion}, pb)
	if err != nil {
		return nil, fmt.Errorf("command %T: %w", c, err)
	}
	return b, nil
}

// DecodeCommand reads what EncodeCommand wrote. Other bytes give an error that wraps ErrNewerVersion or
// ErrCorrupt. A decoded command is well-formed as bytes; whether it makes sense is for Step to say.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("command: %w: it is empty", ErrCorrupt)
	}
	if err := checkVersion("command", int(b[0]), commandVersion); err != nil {
		return nil, err
	}
	var pb fsmpb.Command
	if err := proto.Unmarshal(b[1:], &pb); err != nil {
		return nil, fmt.Errorf("command: %w: %w", ErrCorrupt, err)
	}
	d := decoding{version: int(b[0])}
	c := d.command(&pb)
	if d.err != nil {
		return nil, fmt.Errorf("command %T: %w", pb.GetCommand(), d.err)
	}
	return c, nil
}

func commandToPB(c Command) (*fsmpb.Command, error) {
	pb := new(fsmpb.Command)
	switch c := c.(type) {
	case SubmitJob:
		pb.Command = &fsmpb.Command_SubmitJob{SubmitJob: submitJobToPB(c)}
	case ConfigureJob:
		pb.Command = &fsmpb.Command_ConfigureJob{ConfigureJob: &fsmpb.ConfigureJob{
			Job: c.Job[:], Config: configToPB(c.Config), At: int64(c.At),
		}}
	case StartAttempt:
		pb.Command = &fsmpb.Command_StartAttempt{StartAttempt: startAttemptToPB(c)}
	case FailAttempt:
		pb.Command = &fsmpb.Command_FailAttempt{FailAttempt: failAttemptToPB(c)}
	case CancelJob:
		pb.Command = &fsmpb.Command_CancelJob{CancelJob: &fsmpb.CancelJob{
			Job: c.Job[:], Term: uint64(c.Term), At: int64(c.At),
		}}
	case EndJob:
		pb.Command = &fsmpb.Command_EndJob{EndJob: &fsmpb.EndJob{
			Job: c.Job[:], Status: uint32(c.Status), Failure: []byte(clip(c.Failure)), Term: uint64(c.Term), At: int64(c.At),
		}}
	case BeginCheckpoint:
		pb.Command = &fsmpb.Command_BeginCheckpoint{BeginCheckpoint: &fsmpb.BeginCheckpoint{
			Job: c.Job[:], Attempt: uint32(c.Attempt), Kind: uint32(c.Kind), Term: uint64(c.Term), At: int64(c.At),
			Stop: uint32(c.Stop), Manual: c.Manual, Aligned: c.Aligned,
		}}
	case CompleteCheckpoint:
		pb.Command = &fsmpb.Command_CompleteCheckpoint{CompleteCheckpoint: completeToPB(c)}
	case AbortCheckpoint:
		pb.Command = &fsmpb.Command_AbortCheckpoint{AbortCheckpoint: abortToPB(c)}
	case FinishDiscards:
		pb.Command = &fsmpb.Command_FinishDiscards{FinishDiscards: &fsmpb.FinishDiscards{
			Job: c.Job[:], Checkpoints: each(c.Checkpoints, func(id checkpoint.ID) uint64 { return uint64(id) }),
		}}
	case DisposeSavepoint:
		pb.Command = &fsmpb.Command_DisposeSavepoint{DisposeSavepoint: &fsmpb.DisposeSavepoint{
			Job: c.Job[:], Savepoint: uint64(c.Savepoint), At: int64(c.At),
		}}
	case BeginImport:
		pb.Command = &fsmpb.Command_BeginImport{BeginImport: beginImportToPB(c)}
	case FinishImport:
		pb.Command = &fsmpb.Command_FinishImport{FinishImport: finishImportToPB(c)}
	case RescaleJob:
		pb.Command = &fsmpb.Command_RescaleJob{RescaleJob: rescaleToPB(c)}
	case MoveJob:
		pb.Command = &fsmpb.Command_MoveJob{MoveJob: &fsmpb.MoveJob{
			Job: c.Job[:], Attempt: uint32(c.Attempt), Checkpoint: uint64(c.Checkpoint), Cause: []byte(clip(c.Cause)),
			Term: uint64(c.Term), At: int64(c.At),
		}}
	case DrainNode:
		pb.Command = &fsmpb.Command_DrainNode{DrainNode: &fsmpb.DrainNode{Node: []byte(c.Node), At: int64(c.At)}}
	case UndrainNode:
		pb.Command = &fsmpb.Command_UndrainNode{UndrainNode: &fsmpb.UndrainNode{Node: []byte(c.Node)}}
	case GiveUpCheckpoint:
		pb.Command = &fsmpb.Command_GiveUpCheckpoint{GiveUpCheckpoint: &fsmpb.GiveUpCheckpoint{
			Job: c.Job[:], Checkpoint: uint64(c.Checkpoint), Cause: []byte(clip(c.Cause)), Term: uint64(c.Term), At: int64(c.At),
		}}
	default:
		return nil, fmt.Errorf("%w: unknown type %T", ErrInvalid, c)
	}
	return pb, nil
}

func (d *decoding) command(pb *fsmpb.Command) Command {
	switch pb := pb.GetCommand().(type) {
	case *fsmpb.Command_SubmitJob:
		return d.submitJob(pb.SubmitJob)
	case *fsmpb.Command_ConfigureJob:
		c := pb.ConfigureJob
		return ConfigureJob{Job: d.job(c.GetJob()), Config: d.config(c.GetConfig()), At: checkpoint.Timestamp(c.GetAt())}
	case *fsmpb.Command_StartAttempt:
		return d.startAttempt(pb.StartAttempt)
	case *fsmpb.Command_FailAttempt:
		return d.failAttempt(pb.FailAttempt)
	case *fsmpb.Command_CancelJob:
		c := pb.CancelJob
		return CancelJob{Job: d.job(c.GetJob()), Term: checkpoint.Term(c.GetTerm()), At: checkpoint.Timestamp(c.GetAt())}
	case *fsmpb.Command_EndJob:
		return d.endJob(pb.EndJob)
	case *fsmpb.Command_BeginCheckpoint:
		return d.beginCheckpoint(pb.BeginCheckpoint)
	case *fsmpb.Command_CompleteCheckpoint:
		return d.complete(pb.CompleteCheckpoint)
	case *fsmpb.Command_AbortCheckpoint:
		return d.abort(pb.AbortCheckpoint)
	case *fsmpb.Command_FinishDiscards:
		c := pb.FinishDiscards
		return FinishDiscards{
			Job: d.job(c.GetJob()), Checkpoints: each(c.GetCheckpoints(), func(id uint64) checkpoint.ID { return checkpoint.ID(id) }),
		}
	case *fsmpb.Command_DisposeSavepoint:
		c := pb.DisposeSavepoint
		return DisposeSavepoint{
			Job: d.job(c.GetJob()), Savepoint: checkpoint.ID(c.GetSavepoint()), At: checkpoint.Timestamp(c.GetAt()),
		}
	case *fsmpb.Command_BeginImport:
		return d.beginImport(pb.BeginImport)
	case *fsmpb.Command_FinishImport:
		return d.finishImport(pb.FinishImport)
	case *fsmpb.Command_RescaleJob:
		return d.rescale(pb.RescaleJob)
	case *fsmpb.Command_MoveJob:
		c := pb.MoveJob
		return MoveJob{
			Job: d.job(c.GetJob()), Attempt: checkpoint.Attempt(c.GetAttempt()), Checkpoint: checkpoint.ID(c.GetCheckpoint()),
			Cause: string(c.GetCause()), Term: checkpoint.Term(c.GetTerm()), At: checkpoint.Timestamp(c.GetAt()),
		}
	case *fsmpb.Command_DrainNode:
		c := pb.DrainNode
		return DrainNode{Node: checkpoint.NodeID(c.GetNode()), At: checkpoint.Timestamp(c.GetAt())}
	case *fsmpb.Command_UndrainNode:
		return UndrainNode{Node: checkpoint.NodeID(pb.UndrainNode.GetNode())}
	case *fsmpb.Command_GiveUpCheckpoint:
		c := pb.GiveUpCheckpoint
		return GiveUpCheckpoint{
			Job: d.job(c.GetJob()), Checkpoint: checkpoint.ID(c.GetCheckpoint()), Cause: string(c.GetCause()),
			Term: checkpoint.Term(c.GetTerm()), At: checkpoint.Timestamp(c.GetAt()),
		}
	}
	d.fail("it has no known content")
	return nil
}

func submitJobToPB(c SubmitJob) *fsmpb.SubmitJob {
	return &fsmpb.SubmitJob{
		Job: c.Job[:], Name: []byte(c.Name), Program: []byte(c.Program), Params: paramsToPB(c.Params),
		Topology: topologyToPB(c.Topology), Config: configToPB(c.Config), Source: sourceToPB(c.Source), At: int64(c.At),
		Fingerprint: []byte(c.Fingerprint),
		Parallelism: parallelismToPB(c.Parallelism), Unregistered: c.Unregistered,
	}
}

func (d *decoding) submitJob(pb *fsmpb.SubmitJob) SubmitJob {
	return SubmitJob{
		Job: d.job(pb.GetJob()), Name: string(pb.GetName()), Program: string(pb.GetProgram()),
		Params: d.params(pb.GetParams()), Topology: d.topology(pb.GetTopology()), Config: d.config(pb.GetConfig()),
		Source: d.source(pb.GetSource()), At: checkpoint.Timestamp(pb.GetAt()), Fingerprint: checkpoint.Fingerprint(pb.GetFingerprint()),
		Parallelism:  d.parallelism(pb.GetParallelism()),
		Unregistered: pb.GetUnregistered() || d.version < 4 && pb.GetSource() != nil,
	}
}

func startAttemptToPB(c StartAttempt) *fsmpb.StartAttempt {
	return &fsmpb.StartAttempt{
		Job: c.Job[:], Attempt: uint32(c.Attempt), Assignment: assignmentToPB(c.Assignment),
		RestoreFrom: uint64(c.RestoreFrom), At: int64(c.At), Kept: each(c.Kept, func(ordinal int) int64 { return int64(ordinal) }),
	}
}

func (d *decoding) startAttempt(pb *fsmpb.StartAttempt) StartAttempt {
	return StartAttempt{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Assignment: d.assignment(pb.GetAssignment()),
		RestoreFrom: checkpoint.ID(pb.GetRestoreFrom()), At: checkpoint.Timestamp(pb.GetAt()),
		Kept: each(pb.GetKept(), func(ordinal int64) int { return int(ordinal) }),
	}
}

func failAttemptToPB(c FailAttempt) *fsmpb.FailAttempt {
	return &fsmpb.FailAttempt{
		Job: c.Job[:], Attempt: uint32(c.Attempt), Cause: []byte(clip(c.Cause)), Restart: restartToPB(c.Restart),
		Term: uint64(c.Term), At: int64(c.At), Global: c.Global,
	}
}

func (d *decoding) failAttempt(pb *fsmpb.FailAttempt) FailAttempt {
	return FailAttempt{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Cause: string(pb.GetCause()),
		Restart: d.restart(pb.GetRestart()), Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
		Global: pb.GetGlobal(),
	}
}

func (d *decoding) endJob(pb *fsmpb.EndJob) EndJob {
	return EndJob{
		Job: d.job(pb.GetJob()), Status: JobStatus(d.enum(pb.GetStatus())), Failure: string(pb.GetFailure()),
		Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func (d *decoding) beginCheckpoint(pb *fsmpb.BeginCheckpoint) BeginCheckpoint {
	return BeginCheckpoint{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Kind: checkpoint.Kind(d.enum(pb.GetKind())),
		Stop: checkpoint.Stop(d.enum(pb.GetStop())), Manual: pb.GetManual(), Aligned: pb.GetAligned(),
		Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func rescaleToPB(c RescaleJob) *fsmpb.RescaleJob {
	return &fsmpb.RescaleJob{
		Job: c.Job[:], Attempt: uint32(c.Attempt), Checkpoint: uint64(c.Checkpoint), Topology: topologyToPB(c.Topology),
		Parallelism: parallelismToPB(c.Parallelism), Term: uint64(c.Term), At: int64(c.At),
	}
}

func (d *decoding) rescale(pb *fsmpb.RescaleJob) RescaleJob {
	return RescaleJob{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Topology: d.topology(pb.GetTopology()), Parallelism: d.parallelism(pb.GetParallelism()),
		Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func completeToPB(c CompleteCheckpoint) *fsmpb.CompleteCheckpoint {
	return &fsmpb.CompleteCheckpoint{
		Job: c.Job[:], Attempt: uint32(c.Attempt), Checkpoint: uint64(c.Checkpoint),
		Manifest: checkpoint.ChunkRefToPB(c.Manifest), StateSize: c.Sizes.State, NumSubtasks: int64(c.NumSubtasks),
		Sizes: sizesToPB(c.Sizes), Detail: detailToPB(c.Detail), Term: uint64(c.Term), At: int64(c.At),
	}
}

func (d *decoding) complete(pb *fsmpb.CompleteCheckpoint) CompleteCheckpoint {
	return CompleteCheckpoint{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Manifest: d.chunk(pb.GetManifest()), Sizes: sizesFromPB(pb.GetStateSize(), pb.GetSizes()),
		NumSubtasks: int(pb.GetNumSubtasks()), Detail: d.detail(pb.GetDetail()),
		Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}

func abortToPB(c AbortCheckpoint) *fsmpb.AbortCheckpoint {
	return &fsmpb.AbortCheckpoint{
		Job: c.Job[:], Attempt: uint32(c.Attempt), Checkpoint: uint64(c.Checkpoint), Reason: uint32(c.Reason),
		Message: []byte(clip(c.Message)), NumAcknowledged: int64(c.NumAcknowledged), Term: uint64(c.Term), At: int64(c.At),
		StateSize: c.Sizes.State, Sizes: sizesToPB(c.Sizes), Detail: detailToPB(c.Detail),
	}
}

func (d *decoding) abort(pb *fsmpb.AbortCheckpoint) AbortCheckpoint {
	return AbortCheckpoint{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Checkpoint: checkpoint.ID(pb.GetCheckpoint()),
		Reason: checkpoint.Reason(d.enum(pb.GetReason())), Message: string(pb.GetMessage()),
		NumAcknowledged: int(pb.GetNumAcknowledged()), Sizes: sizesFromPB(pb.GetStateSize(), pb.GetSizes()),
		Detail: d.detail(pb.GetDetail()), Term: checkpoint.Term(pb.GetTerm()), At: checkpoint.Timestamp(pb.GetAt()),
	}
}
