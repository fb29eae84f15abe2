package coordinator

import (
	"slices"
	"strings"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// jobMetrics tells what the subtasks of a vertex measure, or of all when it is empty.
func (r reading) jobMetrics(j *fsm.Job, vertex checkpoint.VertexID) (api.JobMetrics, error) {
	m := api.JobMetrics{Job: j.ID.String(), Name: j.Name, Attempt: uint32(j.Attempt), Subtasks: []api.SubtaskMetrics{}}
	if err := checkVertex(j, vertex); err != nil {
		return api.JobMetrics{}, err
	}
	if len(j.Assignment.NodeOf) == 0 {
		return m, nil
	}
	for ordinal, subtask := range j.Topology.Subtasks() {
		if vertex == "" || subtask.Vertex == vertex {
			m.Subtasks = append(m.Subtasks, r.subtaskMetrics(j, ordinal, subtask))
		}
	}
	return m, nil
}

func checkVertex(j *fsm.Job, vertex checkpoint.VertexID) error {
	named := func(v checkpoint.Vertex) bool { return v.ID == vertex }
	if vertex == "" || slices.ContainsFunc(j.Topology.Vertices, named) {
		return nil
	}
	var all []string
	for _, v := range j.Topology.Vertices {
		all = append(all, string(v.ID))
	}
	return api.Errorf(api.NotFound, "job %s has no vertex %q; it has %s", j.Name, vertex, strings.Join(all, ", "))
}

func (r reading) subtaskMetrics(j *fsm.Job, ordinal int, subtask checkpoint.SubtaskID) api.SubtaskMetrics {
	s := api.SubtaskMetrics{
		ID: subtask.String(), Node: string(j.Assignment.Node(ordinal).ID), Status: r.subtaskStatus(j, ordinal),
	}
	known := r.measured(j, ordinal)
	if known == nil {
		return s
	}
	m := known.measured
	s.MeasuredAt, s.Watermark = known.at.UnixMilli(), m.Watermark
	s.Totals = &api.TaskTotals{
		RecordsIn: m.RecordsIn, RecordsOut: m.RecordsOut, BytesIn: m.BytesIn, BytesOut: m.BytesOut, LateRecords: m.LateRecords,
	}
	s.Load = loadModel(m.Load)
	if m.Checkpoint != 0 {
		s.LastCheckpoint = &api.LastCheckpoint{
			ID: uint64(m.Checkpoint), StateBytes: m.StateBytes, AlignmentMillis: m.AlignmentMillis, StartDelayMillis: m.StartDelayMillis,
		}
	}
	return s
}

// measured returns what the leader knows of a subtask, nil when nothing is known.
func (r reading) measured(j *fsm.Job, ordinal int) *metricsView {
	if r.view == nil {
		return nil
	}
	return r.view.job(j).metricsOf(ordinal, r.now)
}

func loadModel(l *checkpoint.TaskLoad) *api.TaskLoad {
	if l == nil {
		return nil
	}
	return &api.TaskLoad{
		RecordsInPerSecond: l.RecordsIn, RecordsOutPerSecond: l.RecordsOut, BytesInPerSecond: l.BytesIn, BytesOutPerSecond: l.BytesOut,
		BusyMillisPerSecond: l.BusyMillis, BackpressuredMillisPerSecond: l.BackpressuredMillis, IdleMillisPerSecond: l.IdleMillis,
		InFlightBytes: l.InFlightBytes,
	}
}

// vertexMetrics sums up the subtasks of a vertex, the first of which has the given ordinal. It is nil when nothing is
// known of any.
func (r reading) vertexMetrics(j *fsm.Job, first, parallelism int) *api.VertexMetrics {
	var sum api.VertexMetrics
	timeless := false
	for ordinal := first; ordinal < first+parallelism; ordinal++ {
		known := r.measured(j, ordinal)
		if known == nil {
			continue
		}
		m := known.measured
		sum.Measured++
		sum.Totals.RecordsIn += m.RecordsIn
		sum.Totals.RecordsOut += m.RecordsOut
		sum.Totals.BytesIn += m.BytesIn
		sum.Totals.BytesOut += m.BytesOut
		sum.Totals.LateRecords += m.LateRecords
		sum.StateBytes += m.StateBytes
		addLoad(&sum, m.Load)
		if timeless = timeless || m.Watermark == nil; !timeless && (sum.Watermark == nil || *m.Watermark < *sum.Watermark) {
			sum.Watermark = m.Watermark
		}
	}
	if sum.Measured == 0 {
		return nil
	}
	if timeless {
		sum.Watermark = nil
	}
	return &sum
}

// addLoad adds the rates of a subtask, and keeps the worst of how busy the subtasks are.
func addLoad(sum *api.VertexMetrics, l *checkpoint.TaskLoad) {
	if l == nil {
		return
	}
	if sum.Load == nil {
		sum.Load = &api.TaskLoad{}
	}
	sum.Loads++
	t := sum.Load
	t.RecordsInPerSecond += l.RecordsIn
	t.RecordsOutPerSecond += l.RecordsOut
	t.BytesInPerSecond += l.BytesIn
	t.BytesOutPerSecond += l.BytesOut
	t.InFlightBytes += l.InFlightBytes
	t.BusyMillisPerSecond = max(t.BusyMillisPerSecond, l.BusyMillis)
	t.BackpressuredMillisPerSecond = max(t.BackpressuredMillisPerSecond, l.BackpressuredMillis)
	t.IdleMillisPerSecond = max(t.IdleMillisPerSecond, l.IdleMillis)
}
