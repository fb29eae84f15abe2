package transport

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// toNodeToPB maps a leader's message to its wire form.
func toNodeToPB(m checkpoint.ToNode) (*transportpb.ToNode, error) {
	if m == nil {
		return nil, fmt.Errorf("%w: no message to a node", ErrMalformed)
	}
	pb := &transportpb.ToNode{Term: uint64(m.LeaderTerm())}
	switch m := m.(type) {
	case checkpoint.Leading:
		pb.Message = &transportpb.ToNode_Leading{Leading: &transportpb.Leading{Leader: string(m.Leader)}}
	case checkpoint.PlanJob:
		pb.Message = &transportpb.ToNode_PlanJob{PlanJob: &transportpb.PlanJob{
			Request: m.Request, Program: m.Program, Params: m.Params, Overrides: overridesToPB(m.Overrides),
		}}
	case checkpoint.Deploy:
		pb.Message = &transportpb.ToNode_Deploy{Deploy: deployToPB(m)}
	case checkpoint.CancelAttempt:
		pb.Message = &transportpb.ToNode_CancelAttempt{CancelAttempt: &transportpb.CancelAttempt{
			Job: m.Job[:], Attempt: uint32(m.Attempt),
		}}
	case checkpoint.CancelTasks:
		pb.Message = &transportpb.ToNode_CancelTasks{CancelTasks: &transportpb.CancelTasks{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Subtasks: each(m.Subtasks, subtaskToPB),
		}}
	case checkpoint.Trigger:
		pb.Message = &transportpb.ToNode_Trigger{Trigger: &transportpb.Trigger{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Barrier: barrierToPB(m.Barrier),
			Subtasks: each(m.Subtasks, subtaskToPB),
		}}
	case checkpoint.NotifyComplete:
		pb.Message = &transportpb.ToNode_NotifyComplete{NotifyComplete: &transportpb.NotifyComplete{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Checkpoint: uint64(m.Checkpoint), Subsumed: uint64(m.Subsumed),
			Kind: uint32(m.Kind), Stop: uint32(m.Stop),
		}}
	case checkpoint.NotifyAborted:
		pb.Message = &transportpb.ToNode_NotifyAborted{NotifyAborted: &transportpb.NotifyAborted{
			Job: m.Job[:], Attempt: uint32(m.Attempt), Checkpoint: uint64(m.Checkpoint),
			LatestCompleted: uint64(m.LatestCompleted),
		}}
	case checkpoint.MarkChunks:
		pb.Message = &transportpb.ToNode_MarkChunks{MarkChunks: &transportpb.MarkChunks{Sweep: m.Sweep, Live: each(m.Live, nodeToPB), Gone: each(m.Gone, nodeToPB)}}
	case checkpoint.DeleteChunks:
		pb.Message = &transportpb.ToNode_DeleteChunks{DeleteChunks: &transportpb.DeleteChunks{
			Sweep: m.Sweep, Chunks: each(m.Chunks, chunkToPB),
		}}
	case checkpoint.CopyChunks:
		pb.Message = &transportpb.ToNode_CopyChunks{CopyChunks: &transportpb.CopyChunks{
			Order: m.Order, Copies: each(m.Copies, chunkCopyToPB),
		}}
	case checkpoint.ListChunks:
		pb.Message = &transportpb.ToNode_ListChunks{ListChunks: &transportpb.ListChunks{Request: m.Request}}
	case checkpoint.ChunksLocated:
		pb.Message = &transportpb.ToNode_ChunksLocated{ChunksLocated: &transportpb.ChunksLocated{
			Request: m.Request, Nodes: each(m.Nodes, nodeToPB), Chunks: each(m.Holders, holdersToPB),
		}}
	default:
		return nil, fmt.Errorf("%w: no wire form for %T", ErrMalformed, m)
	}
	return pb, nil
}

func deployToPB(m checkpoint.Deploy) *transportpb.Deploy {
	return &transportpb.Deploy{
		Job: m.Job[:], Attempt: uint32(m.Attempt), Program: m.Program, Params: m.Params, Overrides: overridesToPB(m.Overrides),
		Topology: topologyToPB(m.Topology), Assignment: assignmentToPB(m.Assignment), Mode: uint32(m.Mode),
		AfterTasksFinish: m.AfterTasksFinish,
		Restore:          uint64(m.Restore), States: each(m.States, checkpoint.SubtaskStateToPB),
		Fingerprint: string(m.Fingerprint), Backend: uint32(m.Backend),
		Settled: uint64(m.Settled), Aborted: each(m.Aborted, func(id checkpoint.ID) uint64 { return uint64(id) }),
		Kept: each(m.Kept, func(k checkpoint.KeptSubtask) *transportpb.KeptSubtask {
			return &transportpb.KeptSubtask{Subtask: subtaskToPB(k.Subtask), Since: uint32(k.Since)}
		}),
	}
}

// toNodeFromPB reads what toNodeToPB wrote. Anything that is not allowed gives an error that wraps
// ErrMalformed.
func toNodeFromPB(pb *transportpb.ToNode) (checkpoint.ToNode, error) {
	var d decoder
	term := checkpoint.Term(pb.GetTerm())
	var m checkpoint.ToNode
	switch w := pb.GetMessage().(type) {
	case *transportpb.ToNode_Leading:
		m = checkpoint.Leading{Term: term, Leader: checkpoint.NodeID(w.Leading.GetLeader())}
	case *transportpb.ToNode_PlanJob:
		m = checkpoint.PlanJob{
			Term: term, Request: w.PlanJob.GetRequest(), Program: w.PlanJob.GetProgram(), Params: w.PlanJob.GetParams(),
			Overrides: d.overrides(w.PlanJob.GetOverrides()),
		}
	case *transportpb.ToNode_Deploy:
		m = d.deploy(term, w.Deploy)
	case *transportpb.ToNode_CancelAttempt:
		m = checkpoint.CancelAttempt{
			Term: term, Job: d.job(w.CancelAttempt.GetJob()), Attempt: checkpoint.Attempt(w.CancelAttempt.GetAttempt()),
		}
	case *transportpb.ToNode_CancelTasks:
		m = checkpoint.CancelTasks{
			Term: term, Job: d.job(w.CancelTasks.GetJob()), Attempt: checkpoint.Attempt(w.CancelTasks.GetAttempt()),
			Subtasks: each(w.CancelTasks.GetSubtasks(), d.subtask),
		}
	case *transportpb.ToNode_Trigger:
		m = checkpoint.Trigger{
			Term: term, Job: d.job(w.Trigger.GetJob()), Attempt: checkpoint.Attempt(w.Trigger.GetAttempt()),
			Barrier: d.barrier(w.Trigger.GetBarrier()), Subtasks: each(w.Trigger.GetSubtasks(), d.subtask),
		}
	case *transportpb.ToNode_NotifyComplete:
		m = d.notifyComplete(term, w.NotifyComplete)
	case *transportpb.ToNode_NotifyAborted:
		n := w.NotifyAborted
		m = checkpoint.NotifyAborted{
			Term: term, Job: d.job(n.GetJob()), Attempt: checkpoint.Attempt(n.GetAttempt()),
			Checkpoint: checkpoint.ID(n.GetCheckpoint()), LatestCompleted: checkpoint.ID(n.GetLatestCompleted()),
		}
	case *transportpb.ToNode_MarkChunks:
		m = checkpoint.MarkChunks{
			Term: term, Sweep: w.MarkChunks.GetSweep(), Live: each(w.MarkChunks.GetLive(), nodeFromPB), Gone: each(w.MarkChunks.GetGone(), nodeFromPB),
		}
	case *transportpb.ToNode_DeleteChunks:
		m = checkpoint.DeleteChunks{
			Term: term, Sweep: w.DeleteChunks.GetSweep(), Chunks: each(w.DeleteChunks.GetChunks(), d.chunk),
		}
	case *transportpb.ToNode_CopyChunks:
		m = checkpoint.CopyChunks{Term: term, Order: w.CopyChunks.GetOrder(), Copies: each(w.CopyChunks.GetCopies(), d.chunkCopy)}
	case *transportpb.ToNode_ListChunks:
		m = checkpoint.ListChunks{Term: term, Request: w.ListChunks.GetRequest()}
	case *transportpb.ToNode_ChunksLocated:
		m = d.chunksLocated(term, w.ChunksLocated)
	default:
		d.failf("unknown message from the leader (of a newer version?)")
	}
	if err := d.failure(fmt.Sprintf("%T", m)); err != nil {
		return nil, err
	}
	return m, nil
}

func (d *decoder) deploy(term checkpoint.Term, pb *transportpb.Deploy) checkpoint.Deploy {
	topology := d.topology(pb.GetTopology())
	m := checkpoint.Deploy{
		Term: term, Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()),
		Program: pb.GetProgram(), Params: pb.GetParams(), Overrides: d.overrides(pb.GetOverrides()),
		Topology:   topology,
		Assignment: d.assignment(pb.GetAssignment(), topology.NumSubtasks()),
		Mode:       enum(d, "checkpointing mode", pb.GetMode(), checkpoint.AtLeastOnce),
		Restore:    checkpoint.ID(pb.GetRestore()),
		States:     each(pb.GetStates(), d.state),

		AfterTasksFinish: pb.GetAfterTasksFinish(),
		Fingerprint:      checkpoint.Fingerprint(pb.GetFingerprint()),
		Backend:          enumOrNone(d, "state backend", pb.GetBackend(), checkpoint.BackendPebble),

		Settled: checkpoint.ID(pb.GetSettled()),
		Aborted: each(pb.GetAborted(), func(id uint64) checkpoint.ID { return checkpoint.ID(id) }),
		Kept: each(pb.GetKept(), func(k *transportpb.KeptSubtask) checkpoint.KeptSubtask {
			return checkpoint.KeptSubtask{Subtask: d.subtask(k.GetSubtask()), Since: checkpoint.Attempt(k.GetSince())}
		}),
	}
	for _, s := range m.States {
		if topology.Ordinal(s.Subtask) < 0 {
			d.failf("state of %s, which the job does not have", s.Subtask)
		}
	}
	for _, k := range m.Kept {
		if topology.Ordinal(k.Subtask) < 0 || k.Since == 0 || k.Since >= m.Attempt {
			d.failf("%s of attempt %d is to go on in attempt %d", k.Subtask, k.Since, m.Attempt)
		}
	}
	return m
}

func (d *decoder) notifyComplete(term checkpoint.Term, pb *transportpb.NotifyComplete) checkpoint.NotifyComplete {
	return checkpoint.NotifyComplete{
		Term: term, Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()),
		Checkpoint: checkpoint.ID(pb.GetCheckpoint()), Subsumed: checkpoint.ID(pb.GetSubsumed()),
		Kind: enum(d, "checkpoint kind", pb.GetKind(), checkpoint.KindSavepoint),
		Stop: enumOrNone(d, "stop", pb.GetStop(), checkpoint.StopDrain),
	}
}
