package coordinator

import (
	"fmt"

	"cairn/api"
	"cairn/checkpoint"
)

// fill adds a breakdown, its sums by vertex, and what held the checkpoint up.
func (d *described) fill(detail checkpoint.Detail) {
	subtasks := d.topology.Subtasks()
	if len(detail.Subtasks) != len(subtasks) {
		d.model.DetailMissing = fmt.Sprintf("What was recorded is of %d subtasks, the job had %d.", len(detail.Subtasks), len(subtasks))
		return
	}
	m := &d.model
	for ordinal, t := range detail.Subtasks {
		m.Subtasks = append(m.Subtasks, subtaskModel(subtasks[ordinal], t, m.TriggerTimestamp))
	}
	ordinal := 0
	for _, vertex := range d.topology.Vertices {
		m.Tasks = append(m.Tasks, taskModel(vertex, m.Subtasks[ordinal:ordinal+vertex.Parallelism], m.TriggerTimestamp))
		ordinal += vertex.Parallelism
	}
	if m.Status == statusCompleted {
		m.Slowest = slowestAck(d.topology, detail)
		return
	}
	until := d.now
	if m.Status == statusFailed {
		until = m.TriggerTimestamp + m.EndToEndDurationMillis
	}
	m.Slowest = slowestPending(d.topology, detail, m.TriggerTimestamp, until)
}

func subtaskModel(id checkpoint.SubtaskID, t checkpoint.SubtaskDetail, triggered int64) api.SubtaskCheckpoint {
	m := api.SubtaskCheckpoint{
		ID: id.String(), Node: string(t.Node), Acknowledged: t.Acknowledged, Finished: t.Finished,
		StateSize: t.StateSize, CheckpointedSize: t.Metrics.CheckpointedBytes,
		StartDelayMillis: t.Metrics.StartDelayMillis, AlignmentMillis: t.Metrics.AlignmentMillis,
		SyncMillis: t.Metrics.SyncMillis, AsyncMillis: t.Metrics.AsyncMillis, UploadMillis: t.Metrics.UploadMillis,
		ProcessedData: t.Metrics.ProcessedBytes, PersistedData: t.Metrics.PersistedBytes,
	}
	switch {
	case !t.Acknowledged:
		m.Phase = t.Phase.String()
	case !t.Finished:
		m.AckTimestamp = triggered + t.AckMillis
	}
	return m
}

func taskModel(vertex checkpoint.Vertex, subtasks []api.SubtaskCheckpoint, triggered int64) api.TaskCheckpoint {
	m := api.TaskCheckpoint{Vertex: string(vertex.ID), NumSubtasks: len(subtasks)}
	for _, t := range subtasks {
		if !t.Acknowledged {
			continue
		}
		m.NumAcknowledgedSubtasks++
		m.LatestAckTimestamp = max(m.LatestAckTimestamp, t.AckTimestamp)
		m.StateSize += t.StateSize
		m.CheckpointedSize += t.CheckpointedSize
		m.ProcessedData += t.ProcessedData
		m.PersistedData += t.PersistedData
	}
	if m.LatestAckTimestamp > 0 {
		m.EndToEndDurationMillis = m.LatestAckTimestamp - triggered
	}
	return m
}

// slowestAck names the subtask whose ack came last, and the phase that it spent most of that time in; nil when every
// subtask had finished before.
func slowestAck(topology checkpoint.Topology, detail checkpoint.Detail) *api.SlowestSubtask {
	last := -1
	for ordinal, t := range detail.Subtasks {
		if t.Acknowledged && !t.Finished && (last < 0 || t.AckMillis > detail.Subtasks[last].AckMillis) {
			last = ordinal
		}
	}
	if last < 0 {
		return nil
	}
	t := detail.Subtasks[last]
	m := t.Metrics
	phase, millis := m.Slowest()
	// What the subtask did not measure itself passed between the end of its upload and the ack's arrival.
	if rest := t.AckMillis - m.StartDelayMillis - m.AlignmentMillis - m.SyncMillis - m.AsyncMillis; rest > millis {
		phase, millis = checkpoint.PhaseAck, rest
	}
	return &api.SlowestSubtask{ID: topology.Subtasks()[last].String(), Node: string(t.Node), Phase: phase.String(), Millis: millis}
}

// slowestPending names the subtask that a checkpoint without all acks waits for; nil when there is none. Until a
// subtask has captured its state it holds the barrier back from all behind it, so the one that lags most is not the
// last to have heard of the checkpoint: it is the first in the order of the graph that has not let the barrier pass,
// and of its vertex the one that is least far. When the barrier has passed everywhere it is the one that is least far.
func slowestPending(topology checkpoint.Topology, detail checkpoint.Detail, triggered, until int64) *api.SlowestSubtask {
	subtasks := topology.Subtasks()
	found := -1
	for ordinal, t := range detail.Subtasks {
		if ordinal >= len(subtasks) || t.Acknowledged {
			continue
		}
		if found < 0 || lagsMore(t, subtasks[ordinal], detail.Subtasks[found], subtasks[found]) {
			found = ordinal
		}
	}
	if found < 0 {
		return nil
	}
	t := detail.Subtasks[found]
	return &api.SlowestSubtask{
		ID: subtasks[found].String(), Node: string(t.Node), Phase: t.Phase.String(), Millis: max(0, until-triggered),
	}
}

// lagsMore compares a subtask with one before it in the order of the graph.
func lagsMore(a checkpoint.SubtaskDetail, id checkpoint.SubtaskID, before checkpoint.SubtaskDetail, idBefore checkpoint.SubtaskID) bool {
	holdsBarrier := func(t checkpoint.SubtaskDetail) bool { return t.Phase <= checkpoint.PhaseSync }
	if holdsBarrier(before) && id.Vertex != idBefore.Vertex {
		return false
	}
	return a.Phase < before.Phase
}
