package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// The functions here turn the view into what clients see. They run on the leader loop.

func fillStatus(status *api.Status, v *View, replicas int, now time.Time) {
	status.Nodes, status.Jobs, status.Problems = []api.Node{}, []api.JobSummary{}, []string{}
	used := make(map[checkpoint.NodeID]int)
	for _, j := range v.Jobs {
		if holdsSlots(j) {
			for id, n := range usedSlots(j) {
				used[id] += n
			}
		}
	}
	alive := 0
	for _, n := range v.sortedNodes() {
		state := v.stateOf(n, now)
		if state == nodeAlive {
			alive++
		}
		status.Nodes = append(status.Nodes, api.Node{
			ID: string(n.ref.ID), Address: n.ref.Address, State: state.String(), Slots: n.slots, UsedSlots: used[n.ref.ID],
		})
		if state == nodeLost || state == nodeSuspect {
			status.Problems = append(status.Problems, fmt.Sprintf("node %s at %s is %s", n.ref.ID, n.ref.Address, state))
		}
	}
	if alive > 0 && alive < replicas {
		status.Problems = append(status.Problems, fmt.Sprintf(
			"checkpoints are stored on %d node instead of %d: no other one is alive", alive, replicas))
	}
	for _, j := range v.Jobs {
		status.Jobs = append(status.Jobs, jobSummary(j))
		if reason := jobReason(v, j, now); reason != "" && !j.Status.Terminal() {
			status.Problems = append(status.Problems, fmt.Sprintf("job %s is %s: %s", j.Name, j.Status, reason))
		}
	}
}

func jobSummary(j *fsm.Job) api.JobSummary {
	s := api.JobSummary{
		ID: j.ID.String(), Name: j.Name, State: j.Status.String(), Attempt: uint32(j.Attempt), Restarts: j.Restart.Count,
		Checkpoints: api.JobCheckpoints{
			InProgress: len(j.Pending), Completed: j.Counters.Completed, Failed: j.Counters.Failed,
		},
	}
	for _, o := range j.History {
		if o.Status == fsm.OutcomeCompleted && uint64(o.ID) > s.Checkpoints.LastCompletedID {
			s.Checkpoints.LastCompletedID, s.Checkpoints.LastCompletedAt = uint64(o.ID), int64(o.EndedAt)
		}
	}
	return s
}

func jobModel(v *View, j *fsm.Job, now time.Time) api.Job {
	return api.Job{
		JobSummary: jobSummary(j), Program: j.Program, SubmittedAt: int64(j.SubmittedAt), EndedAt: int64(j.EndedAt),
		Reason: jobReason(v, j, now),
	}
}

// jobReason says what a job waits for, or why it failed; it is empty when all is well.
func jobReason(v *View, j *fsm.Job, now time.Time) string {
	switch j.Status {
	case fsm.JobFailed:
		return j.Failure
	case fsm.JobCreated:
		return v.waitsFor(j, now)
	case fsm.JobRestarting:
		reason := "attempt failed: " + j.Failure
		if wait := v.waitsFor(j, now); wait != "" {
			reason += "; " + wait
		}
		return reason
	}
	return ""
}

// waitsFor says why the next attempt of a job has not started.
func (v *View) waitsFor(j *fsm.Job, now time.Time) string {
	if wait := int64(j.Restart.NextAt) - now.UnixMilli(); wait > 0 {
		return fmt.Sprintf("restarts in %d ms", wait)
	}
	d := &decision{view: v, now: now}
	d.countSlots()
	free, suitable := total(d.free), total(d.freeFor(j))
	switch needs := j.Topology.SlotsNeeded(); {
	case needs > free:
		return fmt.Sprintf("needs %d slots, %d free", needs, free)
	case needs > suitable:
		return fmt.Sprintf("needs %d slots, %d free on nodes that know the program %s", needs, suitable, j.Program)
	}
	if r := v.job(j).restore; r.err != "" {
		return r.err
	}
	return ""
}

func jobDetailModel(v *View, j *fsm.Job, now time.Time) api.JobDetail {
	d := api.JobDetail{
		Job: jobModel(v, j, now), Params: maps.Clone(j.Params), Config: j.Config.Values(),
		RestoredFrom: uint64(j.RestoredFrom), Vertices: []api.Vertex{}, Subtasks: []api.Subtask{},
	}
	for _, vertex := range j.Topology.Vertices {
		d.Vertices = append(d.Vertices, api.Vertex{
			ID: string(vertex.ID), Name: vertex.Name, Parallelism: vertex.Parallelism, MaxParallelism: vertex.MaxParallelism,
		})
	}
	if len(j.Assignment.NodeOf) == 0 {
		return d
	}
	for ordinal, subtask := range j.Topology.Subtasks() {
		d.Subtasks = append(d.Subtasks, api.Subtask{
			ID: subtask.String(), Node: string(j.Assignment.Node(ordinal).ID), Status: subtaskStatus(v, j, ordinal),
		})
	}
	return d
}

func subtaskStatus(v *View, j *fsm.Job, ordinal int) string {
	if status := v.job(j).subtasks[ordinal].status; status != 0 {
		return status.String()
	}
	if j.Status.Terminal() {
		return j.Status.String()
	}
	return "SCHEDULED"
}

// checkpointModels lists the pending checkpoints and the history, newest first.
func checkpointModels(v *View, j *fsm.Job, now time.Time) []api.Checkpoint {
	list := make([]api.Checkpoint, 0, len(j.Pending)+len(j.History))
	for _, p := range j.Pending {
		list = append(list, pendingModel(v, j, p, now))
	}
	for _, o := range j.History {
		list = append(list, outcomeModel(o))
	}
	slices.SortFunc(list, func(a, b api.Checkpoint) int {
		if a.ID > b.ID {
			return -1
		}
		return 1
	})
	return list
}

func pendingModel(v *View, j *fsm.Job, p fsm.Pending, now time.Time) api.Checkpoint {
	s := v.job(j)
	acked := 0
	if pending := s.pending[p.ID]; pending != nil {
		acked = pending.numAcknowledged()
	}
	return api.Checkpoint{
		ID: uint64(p.ID), Status: "in_progress", Kind: p.Kind.String(), Attempt: uint32(p.Attempt), BeganTerm: uint64(p.BeganTerm),
		TriggerTimestamp: int64(p.TriggeredAt), EndToEndDurationMillis: now.UnixMilli() - int64(p.TriggeredAt),
		NumSubtasks: len(s.subtasks), NumAcknowledgedSubtasks: acked,
	}
}

func outcomeModel(o fsm.Outcome) api.Checkpoint {
	c := api.Checkpoint{
		ID: uint64(o.ID), Status: "completed", Kind: o.Kind.String(), Attempt: uint32(o.Attempt),
		BeganTerm: uint64(o.BeganTerm), EndedTerm: uint64(o.Term),
		TriggerTimestamp: int64(o.TriggeredAt), EndToEndDurationMillis: int64(o.EndedAt - o.TriggeredAt),
		StateSize: o.Sizes.State, NumSubtasks: o.NumSubtasks, NumAcknowledgedSubtasks: o.NumAcknowledged,
	}
	if o.Status == fsm.OutcomeFailed {
		c.Status, c.FailureMessage = "failed", o.Reason.String()+": "+o.Message
	}
	return c
}

func checkpointDetailModel(v *View, j *fsm.Job, id checkpoint.ID, now time.Time) (api.CheckpointDetail, error) {
	list := checkpointModels(v, j, now)
	i := slices.IndexFunc(list, func(c api.Checkpoint) bool { return c.ID == uint64(id) })
	if i < 0 {
		return api.CheckpointDetail{}, api.Errorf(api.NotFound,
			"job %s has no checkpoint %d among its pending and last %d", j.Name, id, fsm.MaxHistory)
	}
	d := api.CheckpointDetail{Checkpoint: list[i], Subtasks: []api.SubtaskCheckpoint{}}
	for _, c := range j.Completed {
		if c.ID == id {
			d.Retained, d.Manifest = true, c.Manifest.ID.String()
		}
	}
	if detail, known := v.detailOf(j, id, now); known {
		d.Subtasks = subtaskModels(j, detail)
	}
	return d, nil
}

func subtaskModels(j *fsm.Job, detail checkpoint.Detail) []api.SubtaskCheckpoint {
	list := make([]api.SubtaskCheckpoint, 0, len(detail.Subtasks))
	for ordinal, subtask := range j.Topology.Subtasks() {
		d := detail.Subtasks[ordinal]
		list = append(list, api.SubtaskCheckpoint{
			ID: subtask.String(), Node: string(d.Node), Acknowledged: d.Acknowledged, StateSize: d.StateSize,
			StartDelayMillis: d.Metrics.StartDelayMillis, AlignmentMillis: d.Metrics.AlignmentMillis,
			SyncMillis: d.Metrics.SyncMillis, AsyncMillis: d.Metrics.AsyncMillis,
		})
	}
	return list
}
