package coordinator

import (
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// origin is a completed checkpoint or savepoint that an attempt starts from; its ID is 0 for a fresh start.
type origin struct {
	id       checkpoint.ID
	own      bool // the job itself has taken it; else it is what the job was submitted from
	manifest checkpoint.ChunkRef
}

func originOf(j *fsm.Job, id checkpoint.ID, manifest checkpoint.ChunkRef) origin {
	return origin{id: id, own: own(j, id), manifest: manifest}
}

// restorePoint returns what the next attempt starts from: the newest completion whose side effects are published; while
// there is none, what the job was submitted from.
func restorePoint(j *fsm.Job) origin {
	if c := newestCommitted(j); c != nil {
		return originOf(j, c.ID, c.Manifest)
	}
	return originOf(j, j.Source.Checkpoint, j.Source.Manifest)
}

// restoredFrom returns what the current attempt was started from. It is found for as long as a node may have to be told
// of it: the replicated state spares it until the attempt has completed a checkpoint of its own.
func restoredFrom(j *fsm.Job) (o origin, found bool) {
	id := j.RestoredFrom
	for _, held := range [][]fsm.Completed{j.Completed, j.Savepoints} {
		for _, c := range held {
			if c.ID == id {
				return originOf(j, id, c.Manifest), true
			}
		}
	}
	for _, d := range j.Discards {
		if d.ID == id {
			return originOf(j, id, d.Manifest), true
		}
	}
	return originOf(j, id, j.Source.Manifest), id == j.Source.Checkpoint // also when both are 0
}

// prepareRestore reports whether the states that o stands for are at hand (a fresh start needs none), and asks for its
// manifest where it is not.
func (d *decision) prepareRestore(j *fsm.Job, o origin) bool {
	if o.id == 0 {
		return true
	}
	if !d.loaded(j, o) {
		return false
	}
	_, problem := d.view.jobs[j.ID].restore.match(j, j.NextShape().Topology)
	return problem == ""
}

// mayRestore reports whether the job's next attempt can be started from o: its manifest is at hand, it fits the graph, and
// all that the subtasks need that are to be restored was there a moment ago. An attempt without that would fail, and
// so would the next one, for as long as it takes to bring a node back (U5).
func (d *decision) mayRestore(j *fsm.Job, o origin) bool {
	if o.id == 0 {
		return true
	}
	if !d.prepareRestore(j, o) {
		d.fallBack(j, o)
		return false
	}
	r := &d.view.jobs[j.ID].restore
	if !r.checkedOf(j, d.now, d.view.Timing.LoadRetry) {
		if !r.loading {
			d.do(LoadManifest{
				Job: j.ID, Checkpoint: o.id, Own: o.own, Manifest: o.manifest, Have: r.manifest, Check: true, Suspects: d.suspects(j),
			})
		}
		return false
	}
	if _, missing := d.missing(j, r); missing > 0 {
		d.fallBack(j, o)
		return false
	}
	return true
}

// maxSuspects bounds how many chunks are read only to see whether that is possible.
const maxSuspects = 3

// suspects returns chunks for want of which subtasks of the last attempt have failed.
func (d *decision) suspects(j *fsm.Job) []checkpoint.ChunkRef {
	var refs []checkpoint.ChunkRef
	for i := range d.view.jobs[j.ID].subtasks {
		ref := d.view.jobs[j.ID].subtasks[i].failure.Unavailable
		if !ref.ID.IsZero() && len(refs) < maxSuspects && !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

// missing returns the first chunk that is missing of those that the job's next attempt needs, and how many are. What
// goes on needs none.
func (d *decision) missing(j *fsm.Job, r *restoreView) (first MissingChunk, n int) {
	if len(r.lacks) == 0 {
		return first, 0
	}
	kept := d.regionFates(j) != nil // then the shape is the present one
	seen := make(map[int]bool)
	for ordinal, lacks := range r.lackedBy(j, j.NextShape().Topology) {
		if kept && d.goesOn(j, ordinal) {
			continue
		}
		for _, i := range lacks {
			if len(seen) == 0 {
				first = r.lacks[i]
			}
			seen[i] = true
		}
	}
	return first, len(seen)
}

// loaded reports whether the manifest of o is at hand, and asks for it where it is not.
func (d *decision) loaded(j *fsm.Job, o origin) bool {
	r := &d.view.jobs[j.ID].restore
	switch {
	case r.id == o.id && r.manifest != nil:
		return true
	case r.id == o.id && r.loading:
		return false
	case r.id == o.id && r.err != "" && d.now.Sub(r.failedAt) < d.view.Timing.LoadRetry:
		return false
	}
	d.do(LoadManifest{Job: j.ID, Checkpoint: o.id, Own: o.own, Manifest: o.manifest})
	return false
}

// deploy sends their share of the current attempt to the assigned nodes that do not have it.
func (d *decision) deploy(j *fsm.Job) {
	var missing []checkpoint.NodeRef
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if d.view.assigneeState(ref, d.now) == nodeAlive && !n.holds[attemptKey{j.ID, j.Attempt}] {
			missing = append(missing, ref)
		}
	}
	if len(missing) == 0 {
		return
	}
	if from, found := restoredFrom(j); !found || !d.prepareRestore(j, from) {
		return
	}
	deployments := make([]checkpoint.Deploy, len(missing))
	for i, ref := range missing {
		deployments[i] = d.deployment(j, ref.ID)
		if problem := oversized(deployments[i], ref.ID); problem != "" {
			d.failJob(j, problem)
			return
		}
	}
	for i, ref := range missing {
		d.send(ref.ID, deployments[i])
	}
}

// deployment returns a node's share of the job's attempt, of which the states that it restores are at hand.
func (d *decision) deployment(j *fsm.Job, id checkpoint.NodeID) checkpoint.Deploy {
	m := checkpoint.Deploy{
		Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Program: j.Program, Params: j.Params,
		Overrides: checkpoint.OverridesFor(j.Topology, j.Parallelism),
		Topology:  j.Topology, Assignment: j.Assignment, Mode: j.Config.Mode, AfterTasksFinish: j.Config.AfterTasksFinish,
		Restore: j.RestoredFrom, States: d.statesFor(j, id), Fingerprint: j.Fingerprint, Backend: j.Config.Backend,
		Kept: d.keptOn(j, id),
	}
	if len(m.Kept) > 0 {
		m.Settled, m.Aborted = settledBefore(j), abortedSince(j, m.Kept)
	}
	return m
}

// keptOn returns the subtasks on a node that have gone on from earlier attempts.
func (d *decision) keptOn(j *fsm.Job, id checkpoint.NodeID) []checkpoint.KeptSubtask {
	if j.Since == nil {
		return nil
	}
	var kept []checkpoint.KeptSubtask
	all := d.view.job(j).all
	for _, ordinal := range j.Assignment.Ordinals(id) {
		if since := j.DeployedIn(ordinal); since < j.Attempt {
			kept = append(kept, checkpoint.KeptSubtask{Subtask: all[ordinal], Since: since})
		}
	}
	return kept
}

// settledBefore returns an ID up to which every checkpoint has its outcome.
func settledBefore(j *fsm.Job) checkpoint.ID {
	if len(j.Pending) > 0 {
		return j.Pending[0].ID - 1
	}
	return j.LastID
}

// abortedSince returns the checkpoints that have failed since the first of the subtasks was deployed, as far as the
// history tells.
func abortedSince(j *fsm.Job, kept []checkpoint.KeptSubtask) []checkpoint.ID {
	since := j.Attempt
	for _, k := range kept {
		since = min(since, k.Since)
	}
	var failed []checkpoint.ID
	for _, o := range j.History {
		if o.Status == fsm.OutcomeFailed && o.Attempt >= since {
			failed = append(failed, o.ID)
		}
	}
	return failed
}

// statesFor returns what a node's subtasks are restored from, those that have gone on left out.
func (d *decision) statesFor(j *fsm.Job, id checkpoint.NodeID) []checkpoint.SubtaskState {
	if j.RestoredFrom == 0 {
		return nil
	}
	matched, _ := d.view.jobs[j.ID].restore.match(j, j.Topology)
	ordinals := j.Assignment.Ordinals(id)
	states := make([]checkpoint.SubtaskState, 0, len(ordinals))
	for _, ordinal := range ordinals {
		if j.DeployedIn(ordinal) == j.Attempt {
			states = append(states, matched[ordinal])
		}
	}
	return states
}
