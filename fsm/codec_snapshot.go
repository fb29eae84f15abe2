package fsm

import (
	"encoding/binary"
	"fmt"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/fsm/fsmpb"
)

// A snapshot starts with four bytes of magic and two of version (big-endian), so that a foreign or newer
// file is refused with a clear error instead of being half understood. Version 2 added sources, savepoints, summaries,
// sizes, details, and the whole of the configuration; version 3 shapes that change, drained nodes, slot sharing
// groups, fingerprints, and subtasks that have been running for several attempts; version 4 imported savepoints
// and checkpoints that were given up.
const (
	snapshotMagic   = "CRNF"
	snapshotVersion = 4
	snapshotHeader  = len(snapshotMagic) + 2
)

// EncodeSnapshot returns the persisted form of s. Equal states give equal bytes (I10).
func EncodeSnapshot(s *State) ([]byte, error) {
	pb := &fsmpb.Snapshot{
		LastIndex: s.LastIndex, Jobs: each(s.SortedJobs(), jobToPB), Drained: s.drainedToPB(), Imports: each(s.Imports, importToPB),
	}
	header := binary.BigEndian.AppendUint16([]byte(snapshotMagic), snapshotVersion)
	b, err := deterministic.MarshalAppend(header, pb)
	if err != nil {
		return nil, fmt.Errorf("snapshot of the coordinators' state at index %d: %w", s.LastIndex, err)
	}
	return b, nil
}

// DecodeSnapshot reads what EncodeSnapshot wrote into a fresh State, and checks that the state keeps the
// invariants. Other bytes give an error that wraps ErrNewerVersion or ErrCorrupt.
func DecodeSnapshot(b []byte) (*State, error) {
	const what = "snapshot of the coordinators' state"
	if len(b) < snapshotHeader || string(b[:len(snapshotMagic)]) != snapshotMagic {
		return nil, fmt.Errorf("%s: %w: %d bytes without the magic %s", what, ErrCorrupt, len(b), snapshotMagic)
	}
	version := binary.BigEndian.Uint16(b[len(snapshotMagic):])
	if err := checkVersion(what, int(version), snapshotVersion); err != nil {
		return nil, err
	}
	var pb fsmpb.Snapshot
	if err := proto.Unmarshal(b[snapshotHeader:], &pb); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrCorrupt, err)
	}
	s := NewState()
	s.LastIndex = pb.GetLastIndex()
	d := decoding{version: int(version)}
	s.Drained = d.drained(pb.GetDrained())
	s.Imports = each(pb.GetImports(), d.imported)
	for _, pbj := range pb.GetJobs() {
		j := d.jobState(pbj)
		if s.Jobs[j.ID] != nil {
			d.fail("job %s appears twice", j.ID)
		}
		s.Jobs[j.ID] = j
	}
	if d.err != nil {
		return nil, fmt.Errorf("%s: %w", what, d.err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", what, ErrCorrupt, err)
	}
	return s, nil
}

func jobToPB(j *Job) *fsmpb.Job {
	return &fsmpb.Job{
		Id: j.ID[:], Name: []byte(j.Name), Program: []byte(j.Program), Params: paramsToPB(j.Params),
		Topology: topologyToPB(j.Topology), Config: configToPB(j.Config), SubmittedAt: int64(j.SubmittedAt),
		Status: uint32(j.Status), EndedAt: int64(j.EndedAt), Failure: []byte(j.Failure),
		Attempt: uint32(j.Attempt), Assignment: assignmentToPB(j.Assignment),
		AttemptStartedAt: int64(j.AttemptStartedAt), RestoredFrom: uint64(j.RestoredFrom), Restart: restartToPB(j.Restart),
		LastId: uint64(j.LastID), Pending: each(j.Pending, pendingToPB), Completed: each(j.Completed, completedToPB),
		Discards: each(j.Discards, func(x Discard) *fsmpb.Discard {
			return &fsmpb.Discard{Id: uint64(x.ID), Manifest: checkpoint.ChunkRefToPB(x.Manifest)}
		}),
		Counters: &fsmpb.Counters{
			Completed: j.Counters.Completed, Failed: j.Counters.Failed, Restored: j.Counters.Restored,
		},
		ConsecutiveFailures: int64(j.ConsecutiveFailures), History: each(j.History, outcomeToPB),
		Source: sourceToPB(j.Source), FirstId: uint64(j.FirstID), Savepoints: each(j.Savepoints, completedToPB),
		LastSuccess: uint64(j.LastSuccess), Summary: summaryToPB(j.Summary), Leapt: j.Leapt,
		Fingerprint: []byte(j.Fingerprint),
		Parallelism: parallelismToPB(j.Parallelism), Interrupted: []byte(j.Interrupted), Next: shapeToPB(j.Next),
		Former: each(j.Former, formerToPB),
		Since:  each(j.Since, func(a checkpoint.Attempt) uint32 { return uint32(a) }), Global: j.Global,
		GivenUp: each(j.GivenUp, func(g GivenUp) *fsmpb.GivenUp {
			return &fsmpb.GivenUp{Checkpoint: uint64(g.ID), Cause: []byte(g.Cause), Term: uint64(g.Term), At: int64(g.At)}
		}),
	}
}

func (d *decoding) jobState(pb *fsmpb.Job) *Job {
	j := &Job{
		ID: d.job(pb.GetId()), Name: string(pb.GetName()), Program: string(pb.GetProgram()),
		Params: d.params(pb.GetParams()), Topology: d.topology(pb.GetTopology()), Fingerprint: checkpoint.Fingerprint(pb.GetFingerprint()), Config: d.config(pb.GetConfig()),
		SubmittedAt: checkpoint.Timestamp(pb.GetSubmittedAt()), Status: JobStatus(d.enum(pb.GetStatus())),
		EndedAt: checkpoint.Timestamp(pb.GetEndedAt()), Failure: string(pb.GetFailure()),
		Attempt: checkpoint.Attempt(pb.GetAttempt()), Assignment: d.assignment(pb.GetAssignment()),
		AttemptStartedAt: checkpoint.Timestamp(pb.GetAttemptStartedAt()),
		RestoredFrom:     checkpoint.ID(pb.GetRestoredFrom()), Restart: d.restart(pb.GetRestart()),
		LastID: checkpoint.ID(pb.GetLastId()), Pending: each(pb.GetPending(), d.pending),
		Completed: each(pb.GetCompleted(), d.completed),
		Discards: each(pb.GetDiscards(), func(x *fsmpb.Discard) Discard {
			return Discard{ID: checkpoint.ID(x.GetId()), Manifest: d.chunk(x.GetManifest())}
		}),
		Counters: Counters{
			Completed: pb.GetCounters().GetCompleted(), Failed: pb.GetCounters().GetFailed(),
			Restored: pb.GetCounters().GetRestored(),
		},
		ConsecutiveFailures: int(pb.GetConsecutiveFailures()), History: each(pb.GetHistory(), d.outcome),
		Source: d.source(pb.GetSource()), FirstID: checkpoint.ID(pb.GetFirstId()), Savepoints: each(pb.GetSavepoints(), d.completed),
		LastSuccess: checkpoint.ID(pb.GetLastSuccess()), Summary: d.summary(pb.GetSummary()), Leapt: pb.GetLeapt(),
		Parallelism: d.parallelism(pb.GetParallelism()), Interrupted: string(pb.GetInterrupted()), Next: d.shape(pb.GetNext()),
		Former: each(pb.GetFormer(), d.former),
		Since:  each(pb.GetSince(), func(a uint32) checkpoint.Attempt { return checkpoint.Attempt(a) }), Global: pb.GetGlobal(),
		GivenUp: each(pb.GetGivenUp(), func(g *fsmpb.GivenUp) GivenUp {
			return GivenUp{
				ID: checkpoint.ID(g.GetCheckpoint()), Cause: string(g.GetCause()), Term: checkpoint.Term(g.GetTerm()),
				At: checkpoint.Timestamp(g.GetAt()),
			}
		}),
	}
	if d.version < 2 {
		j.LastSuccess = j.deriveLastSuccess()
	}
	return j
}

// deriveLastSuccess returns what version 1 did not store: the last success, as far as the log and the history tell.
func (j *Job) deriveLastSuccess() checkpoint.ID {
	latest, _ := j.LatestCompleted()
	last := latest.ID
	for _, o := range j.History {
		if o.Status == OutcomeCompleted {
			last = max(last, o.ID)
		}
	}
	return last
}
