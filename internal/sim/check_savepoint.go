package sim

import (
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// What belongs to a user stays until the user gives it up: the checker knows from the commands alone which savepoints
// each job must have.

// savepointsStepped keeps account of the savepoints, and compares every job that a command has touched with it.
func (k *checker) savepointsStepped(index int, c fsm.Command, r fsm.Result) {
	var job checkpoint.JobID
	switch c := c.(type) {
	case fsm.SubmitJob:
		k.submittedFrom(c)
		if c.Source.Claim {
			k.holds(index, c.Source.Job)
		}
		return
	case fsm.CompleteCheckpoint:
		job = c.Job
		if key := (checkpointKey{c.Job, c.Checkpoint}); k.begun[key].kind == checkpoint.KindSavepoint {
			k.savepoints[c.Job] = append(k.savepoints[c.Job], c.Checkpoint)
		}
	case fsm.DisposeSavepoint:
		job = c.Job
		k.giveUp(c.Job, c.Savepoint)
	case fsm.ConfigureJob:
		job = c.Job
	case fsm.EndJob:
		job = c.Job
	default:
		return
	}
	k.notSubsumed(index, job, r.Aborted)
	k.holds(index, job)
}

// submittedFrom notes what a job starts from, and that a claimed savepoint has changed hands.
func (k *checker) submittedFrom(c fsm.SubmitJob) {
	source := c.Source
	if source.IsZero() {
		return
	}
	k.w.stats.Resubmitted++
	k.lastID[c.Job], k.restorePoint[c.Job] = source.Checkpoint, source.Checkpoint
	k.manifests[checkpointKey{c.Job, source.Checkpoint}] = k.manifests[checkpointKey{source.Job, source.Checkpoint}]
	k.source[c.Job] = source.Checkpoint
	if source.Claim {
		k.giveUp(source.Job, source.Checkpoint)
	}
}

func (k *checker) giveUp(job checkpoint.JobID, id checkpoint.ID) {
	k.savepoints[job] = slices.DeleteFunc(k.savepoints[job], func(s checkpoint.ID) bool { return s == id })
}

// holds demands that a job has exactly the savepoints that it must have, that none of them is in its log, and that the
// log is no longer than it may be.
func (k *checker) holds(index int, job checkpoint.JobID) {
	j := k.state.Jobs[job]
	if j == nil {
		return
	}
	var have []checkpoint.ID
	for _, s := range j.Savepoints {
		have = append(have, s.ID)
	}
	want := slices.Sorted(slices.Values(k.savepoints[job]))
	if !slices.Equal(have, want) {
		k.w.violate(Savepoints, "index %d leaves job %d with the savepoints %v, not %v", index, job[0], have, want)
	}
	for _, c := range j.Completed {
		if k.begun[checkpointKey{job, c.ID}].kind == checkpoint.KindSavepoint {
			k.w.violate(Savepoints, "index %d puts savepoint %d of job %d into its log", index, c.ID, job[0])
		}
	}
	if len(j.Completed) > j.Config.Retain {
		k.w.violate(Savepoints, "index %d leaves job %d with %d checkpoints, it retains %d", index, job[0], len(j.Completed), j.Config.Retain)
	}
}

// notSubsumed demands that no savepoint is given up for a checkpoint that completed.
func (k *checker) notSubsumed(index int, job checkpoint.JobID, aborted []checkpoint.ID) {
	for _, o := range k.state.Jobs[job].History {
		savepoint := k.begun[checkpointKey{job, o.ID}].kind == checkpoint.KindSavepoint
		if savepoint && o.Reason == checkpoint.ReasonSubsumed && slices.Contains(aborted, o.ID) {
			k.w.violate(Savepoints, "index %d subsumes savepoint %d of job %d", index, o.ID, job[0])
		}
	}
}

// published notes a completion that the next attempt goes back to: a checkpoint, or a savepoint that the job was to end
// with.
func (k *checker) published(c fsm.CompleteCheckpoint) {
	b := k.begun[checkpointKey{c.Job, c.Checkpoint}]
	if b.kind == checkpoint.KindCheckpoint || b.stop != checkpoint.StopNone {
		k.restorePoint[c.Job] = max(k.restorePoint[c.Job], c.Checkpoint)
	}
	if b.kind == checkpoint.KindSavepoint {
		k.w.stats.Savepoints++
	}
}

// sharesNothing demands that a checkpoint which is to be full names no chunk of what its job was submitted from: that
// belongs to somebody else (I5).
func (k *checker) sharesNothing(j *fsm.Job, id checkpoint.ID, m checkpoint.Manifest) {
	if j.Source.IsZero() || j.Source.Claim || len(j.Completed) > 1 {
		return
	}
	theirs := make(map[checkpoint.ChunkID]bool)
	for _, s := range k.manifests[checkpointKey{j.ID, j.Source.Checkpoint}].Subtasks {
		for _, c := range chunksOf(s) {
			theirs[c] = true
		}
	}
	for _, s := range m.Subtasks {
		for _, c := range chunksOf(s) {
			if theirs[c] {
				k.w.violate(I5, "checkpoint %d of job %d shares chunk %x with its source, which is not its own", id, j.ID[0], c[:4])
			}
		}
	}
}
