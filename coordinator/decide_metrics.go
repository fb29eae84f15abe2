package coordinator

import (
	"time"

	"cairn/checkpoint"
)

// metricsFresh is for how long a node's word on how busy its subtasks are holds. Nodes speak once a second.
const metricsFresh = 5 * time.Second

// metricsView is what a subtask of the current attempt measured last. It is soft state: a new leader has none until the
// nodes speak again.
type metricsView struct {
	at       time.Time // when it came; zero while nothing is known
	measured checkpoint.SubtaskMetrics
}

// OnTaskMetrics records how the subtasks of a node get on. Nothing depends on it but what people are told. It keeps one
// value for each subtask, until the attempt is replaced.
func (v *View) OnTaskMetrics(id checkpoint.NodeID, m checkpoint.TaskMetrics, now time.Time) {
	for _, measured := range m.Subtasks {
		j, ordinal := v.execution(id, m.Job, m.Attempt, measured.Subtask)
		if j == nil {
			continue
		}
		s := v.job(j)
		if s.metrics == nil {
			s.metrics = make([]metricsView, len(s.all))
		}
		s.metrics[ordinal] = metricsView{at: now, measured: measured}
	}
}

// metricsOf returns what a subtask measured last, nil when nothing is known. Its load is left out when it is of the
// past: of the subtask's own, or because nothing has been heard for a while.
func (s *jobView) metricsOf(ordinal int, now time.Time) *metricsView {
	if s.metrics == nil || s.metrics[ordinal].at.IsZero() {
		return nil
	}
	m := s.metrics[ordinal]
	switch s.subtasks[ordinal].status {
	case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		m.measured.Load = nil
	}
	if now.Sub(m.at) > metricsFresh {
		m.measured.Load = nil
	}
	return &m
}
