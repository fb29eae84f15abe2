package coordinator

import (
	"cmp"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// Values of api.Checkpoint.Status.
const (
	statusInProgress = "in_progress"
	statusCompleted  = "completed"
	statusFailed     = "failed"
)

// checkpoints lists the pending checkpoints and the history, newest first.
func (r reading) checkpoints(j *fsm.Job) ([]api.Checkpoint, error) {
	list := make([]api.Checkpoint, 0, len(j.Pending)+len(j.History))
	for _, p := range j.Pending {
		list = append(list, r.pendingModel(j, p))
	}
	for _, o := range j.History {
		list = append(list, outcomeModel(o))
	}
	for i := range list {
		c := &list[i]
		c.Retained = completedAs(j, checkpoint.ID(c.ID)) != nil
		c.RestoredFrom = c.ID == uint64(j.RestoredFrom) && c.Status == statusCompleted
		for _, g := range j.GivenUp {
			if uint64(g.ID) == c.ID {
				c.GivenUp = g.Cause
			}
		}
	}
	slices.SortFunc(list, func(a, b api.Checkpoint) int { return cmp.Compare(b.ID, a.ID) })
	return list, nil
}

// pendingModel sums up what has been acknowledged so far. Without a view nothing is known of that.
func (r reading) pendingModel(j *fsm.Job, p fsm.Pending) api.Checkpoint {
	c := api.Checkpoint{
		ID: uint64(p.ID), Status: statusInProgress, Kind: p.Kind.String(), Stop: p.Stop.String(), Attempt: uint32(p.Attempt),
		BeganTerm: uint64(p.BeganTerm), TriggerTimestamp: int64(p.TriggeredAt),
		EndToEndDurationMillis: max(0, r.now.UnixMilli()-int64(p.TriggeredAt)), NumSubtasks: j.Topology.NumSubtasks(),
	}
	if r.view == nil {
		return c
	}
	detail, _ := r.view.detailOf(j, p.ID, r.now)
	for _, t := range detail.Subtasks {
		if !t.Acknowledged {
			continue
		}
		c.NumAcknowledgedSubtasks++
		c.StateSize += t.StateSize
		c.CheckpointedSize += t.Metrics.CheckpointedBytes
		c.AlignmentMillis = max(c.AlignmentMillis, t.Metrics.AlignmentMillis)
		c.ProcessedData += t.Metrics.ProcessedBytes
		c.PersistedData += t.Metrics.PersistedBytes
	}
	return c
}

func outcomeModel(o fsm.Outcome) api.Checkpoint {
	c := api.Checkpoint{
		ID: uint64(o.ID), Status: statusCompleted, Kind: o.Kind.String(), Stop: o.Stop.String(), Attempt: uint32(o.Attempt),
		BeganTerm: uint64(o.BeganTerm), EndedTerm: uint64(o.Term),
		TriggerTimestamp: int64(o.TriggeredAt), EndToEndDurationMillis: int64(o.EndedAt - o.TriggeredAt),
		StateSize: o.Sizes.State, CheckpointedSize: o.Sizes.Checkpointed, AlignmentMillis: o.Sizes.AlignmentMillis,
		ProcessedData: o.Sizes.Processed, PersistedData: o.Sizes.Persisted,
		NumSubtasks: o.NumSubtasks, NumAcknowledgedSubtasks: o.NumAcknowledged,
	}
	if o.Status == fsm.OutcomeFailed {
		c.Status, c.FailureReason, c.FailureMessage = statusFailed, o.Reason.String(), failureText(o)
	}
	return c
}

func failureText(o fsm.Outcome) string {
	if o.Message == "" {
		return o.Reason.String()
	}
	return o.Reason.String() + ": " + o.Message
}

// checkpointDetail is everything about one checkpoint that the coordinators know. Where the breakdown is a chunk of the
// state store, that is returned too: reading it takes time.
func (r reading) checkpointDetail(j *fsm.Job, id checkpoint.ID) (described, error) {
	d := described{job: j}
	list, _ := r.checkpoints(j)
	i := slices.IndexFunc(list, func(c api.Checkpoint) bool { return c.ID == uint64(id) })
	if i < 0 {
		return d, api.Errorf(api.NotFound, "job %s has no checkpoint %d among its pending and last %d", j.Name, id, fsm.MaxHistory)
	}
	d.topology = j.TopologyOf(checkpoint.Attempt(list[i].Attempt))
	d.model = api.CheckpointDetail{Checkpoint: list[i], Tasks: []api.TaskCheckpoint{}, Subtasks: []api.SubtaskCheckpoint{}}
	d.now = r.now.UnixMilli()
	if c := completedAs(j, id); c != nil {
		d.model.Manifest, d.model.ManifestSize = c.Manifest.ID.String(), c.Manifest.Size
	}
	if r.view != nil {
		if detail, known := r.view.detailOf(j, id, r.now); known {
			d.fill(detail)
			return d, nil
		}
	}
	if list[i].Status == statusInProgress {
		d.model.DetailMissing = "How far the subtasks have come is known to the leader alone."
		return d, nil
	}
	d.find(id)
	return d, nil
}

// described is a checkpoint on its way to a client.
type described struct {
	job      *fsm.Job
	topology checkpoint.Topology // when it was taken
	model    api.CheckpointDetail
	now      int64
	chunk    checkpoint.ChunkRef // of the breakdown, zero when it is filled in or missing
}

// find looks for the breakdown of a checkpoint that has ended.
func (d *described) find(id checkpoint.ID) {
	i := slices.IndexFunc(d.job.History, func(o fsm.Outcome) bool { return o.ID == id })
	if i < 0 {
		return // it was pending a moment ago
	}
	o := d.job.History[i]
	switch {
	case len(o.Detail.Inline) > 0:
		d.decode(o.Detail.Inline)
	case !o.Detail.Chunk.ID.IsZero():
		d.chunk = o.Detail.Chunk
	case o.Status == fsm.OutcomeFailed:
		d.model.DetailMissing = "Nothing was recorded of its subtasks: it ended together with its attempt."
	default:
		d.model.DetailMissing = "Nothing was recorded of its subtasks: the state store did not take it."
	}
}

// decode fills in a breakdown in its persisted form.
func (d *described) decode(data []byte) {
	detail, err := checkpoint.DecodeDetail(data)
	if err != nil {
		d.model.DetailMissing = "What was recorded of its subtasks cannot be read: " + err.Error()
		return
	}
	d.fill(detail)
}
