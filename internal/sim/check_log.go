package sim

import (
	"crypto/sha256"

	"cairn/checkpoint"
	"cairn/fsm"
)

type digest [sha256.Size]byte

// digestOf names a state by its persisted bytes.
func (k *checker) digestOf(s *fsm.State) digest {
	data, err := fsm.EncodeSnapshot(s)
	if err != nil {
		k.w.violate(harness, "encoding the state at index %d: %v", s.LastIndex, err)
	}
	return sha256.Sum256(data)
}

// committed sees that a replica takes an entry for committed. The first to do so must be right that a majority
// has it (I11); all others must have the same (I2).
func (k *checker) committed(r *replica, index int, e entry) {
	if index <= len(k.log) {
		if k.log[index-1].entry != e {
			k.w.violate(I2, "%s commits an entry of term %d at index %d, where one of term %d was committed before",
				r.owner.id, e.term, index, k.log[index-1].term)
		}
		return
	}
	have := 0
	for _, c := range k.w.coordinators {
		if len(c.raft.log) >= index && c.raft.log[index-1] == e {
			have++
		}
	}
	if have < r.quorum() {
		k.w.violate(I11, "%s commits index %d of term %d, which %d of %d replicas have",
			r.owner.id, index, e.term, have, len(k.w.coordinators))
		return
	}
	k.append(index, e)
}

func (k *checker) append(index int, e entry) {
	if _, known := k.termStart[e.term]; !known {
		k.termStart[e.term] = index
	}
	entry := committedEntry{entry: e}
	if e.command != "" {
		c, err := fsm.DecodeCommand([]byte(e.command))
		if err != nil {
			k.w.violate(harness, "decoding index %d: %v", index, err)
			return
		}
		entry.command = c
		if fail, ok := c.(fsm.FailAttempt); ok && k.state.Jobs[fail.Job] != nil {
			k.failedAsAWhole(fail, *k.state.Jobs[fail.Job])
		}
		result, err := k.w.apply(k.state, uint64(index), c)
		entry.response = fsm.Response{Result: result, Err: err}
		k.w.trace.add(k.w.now, "committed %d: %T %v", index, c, err)
		if err == nil {
			k.stepped(index, c, result)
		}
	}
	entry.digest = k.digestOf(k.state)
	k.log = append(k.log, entry)
}

// applied compares a replica that has applied an entry with the checker's own state (I10).
func (k *checker) applied(r *replica, index int, response fsm.Response) {
	if index > len(k.log) || k.w.failed != nil {
		return
	}
	want := k.log[index-1]
	if k.digestOf(r.state) != want.digest || response.Result.Checkpoint != want.response.Result.Checkpoint ||
		(response.Err == nil) != (want.response.Err == nil) {
		k.w.violate(I10, "%s has another state than the first replica behind index %d, %T", r.owner.id, index, want.command)
	}
}

// stepped draws its own conclusions from a command that took effect.
func (k *checker) stepped(index int, c fsm.Command, r fsm.Result) {
	switch c := c.(type) {
	case fsm.BeginCheckpoint:
		k.handedOut(index, c, r.Checkpoint)
	case fsm.CompleteCheckpoint:
		key := checkpointKey{c.Job, c.Checkpoint}
		k.decided(key, outcome{completed: true, index: index})
		k.published(c)
		k.checkManifest(key, c)
		k.decidedAll(index, c.Job, r.Aborted)
		k.w.stats.Completed++
		if k.before(k.begun[key].index, c.Term) {
			k.w.stats.Adopted++
		}
	case fsm.AbortCheckpoint:
		k.decidedAll(index, c.Job, r.Aborted)
		k.w.stats.Aborted++
	case fsm.StartAttempt:
		k.attemptStarted(c)
		k.regionsStarted(index, c)
	case fsm.FailAttempt:
		k.decidedAll(index, c.Job, r.Aborted)
		k.over[attemptKey{c.Job, c.Attempt}] = index
	case fsm.CancelJob:
		k.decidedAll(index, c.Job, r.Aborted)
	case fsm.EndJob:
		k.decidedAll(index, c.Job, r.Aborted)
		k.jobEnded(index, c)
	}
	k.savepointsStepped(index, c, r)
}

// handedOut demands that IDs strictly increase (I1).
func (k *checker) handedOut(index int, c fsm.BeginCheckpoint, id checkpoint.ID) {
	if id <= k.lastID[c.Job] {
		k.w.violate(I1, "index %d hands out checkpoint %d of job %s after %d", index, id, c.Job, k.lastID[c.Job])
	}
	k.lastID[c.Job] = id
	k.begun[checkpointKey{c.Job, id}] = begun{attempt: c.Attempt, kind: c.Kind, stop: c.Stop, index: index}
}

// decided demands that a checkpoint has begun and has no outcome yet (I2).
func (k *checker) decided(key checkpointKey, o outcome) {
	if _, found := k.begun[key]; !found {
		k.w.violate(I1, "index %d decides checkpoint %d, which never began", o.index, key.id)
	}
	if old, found := k.outcomes[key]; found {
		k.w.violate(I2, "index %d decides checkpoint %d, which index %d has decided (completed: %t)", o.index, key.id, old.index, old.completed)
	}
	k.outcomes[key] = o
}

func (k *checker) decidedAll(index int, job checkpoint.JobID, aborted []checkpoint.ID) {
	for _, id := range aborted {
		k.decided(checkpointKey{job, id}, outcome{index: index})
	}
}

// attemptStarted demands that an attempt goes on from the last completion whose effects are published, or from what
// the job was submitted from (I7).
func (k *checker) attemptStarted(c fsm.StartAttempt) {
	k.w.stats.Attempts++
	if want := k.restorePoint[c.Job]; c.RestoreFrom != want {
		k.w.violate(I7, "attempt %d starts from checkpoint %d, the last one whose effects are published is %d", c.Attempt, c.RestoreFrom, want)
	}
}

// jobEnded demands that a job finishes only when all its subtasks really have (I7).
func (k *checker) jobEnded(index int, c fsm.EndJob) {
	j := k.state.Jobs[c.Job]
	attempt := attemptKey{j.ID, j.Attempt}
	k.over[attempt] = index
	k.w.stats.Ended++
	if c.Status != fsm.JobFinished {
		k.mayFail(j, c)
		return
	}
	if last := k.restorePoint[j.ID]; k.begun[checkpointKey{j.ID, last}].stop != checkpoint.StopNone {
		k.w.stats.Stopped++
	}
	for ordinal, s := range j.Topology.Subtasks() {
		if status := k.ended[k.executionKey(j.ID, ordinal, s)]; status != checkpoint.SubtaskFinished {
			k.w.violate(I7, "job %s finishes although %s has not (%s)", j.ID, s, status)
		}
	}
}

// mayFail demands that a job fails only when its restart strategy allows no more, as far as that is a number.
func (k *checker) mayFail(j *fsm.Job, c fsm.EndJob) {
	r := j.Config.Restart
	if c.Status == fsm.JobFailed && r.Strategy == checkpoint.FixedDelay && j.Restart.Count < r.Attempts {
		k.w.violate(Liveness, "job %d fails after %d restarts of %d: %s", j.ID[0], j.Restart.Count, r.Attempts, c.Failure)
	}
}
