package executor

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"strings"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// taskSpec says what a task of the attempt is.
func (e *Executor) taskSpec(a *attempt, s checkpoint.SubtaskID, graph *dataflow.Graph, state checkpoint.SubtaskState) dataflow.TaskSpec {
	m := a.deploy
	return dataflow.TaskSpec{
		Job: m.Job, Attempt: m.Attempt, Subtask: s, Graph: graph, Assignment: m.Assignment,
		Mode: m.Mode, AfterTasksFinish: m.AfterTasksFinish, Backend: m.Backend, WorkDir: e.workDir(m, s), Restore: m.Restore, State: state,
	}
}

// workDir is the directory of a task's own. Names of vertices need not be names of files.
func (e *Executor) workDir(m checkpoint.Deploy, s checkpoint.SubtaskID) string {
	if e.cfg.WorkDir == "" {
		return ""
	}
	return filepath.Join(e.cfg.WorkDir, fmt.Sprintf("%s-%d-%x-%d", m.Job, m.Attempt, sha256.Sum224([]byte(s.Vertex)), s.Index))
}

// taskDeps gives a task its surroundings. The callbacks only record and queue. They speak for the attempt that the
// execution belongs to at that moment.
func (e *Executor) taskDeps(x *execution) dataflow.TaskDeps {
	return dataflow.TaskDeps{
		OnStatus:   func(r checkpoint.SubtaskReport) { e.onStatus(x, r) },
		OnAck:      func(ack checkpoint.Ack, kind checkpoint.Kind) { e.onAck(x, ack, kind) },
		OnDecline:  func(d checkpoint.Decline, kind checkpoint.Kind) { e.onDecline(x, d, kind) },
		OnProgress: func(b checkpoint.Barrier, p checkpoint.SubtaskProgress) { e.onProgress(x, b, p) },
		Store:      e.cfg.Store, Rows: e.cfg.Rows, Connector: connector{e}, Logger: e.cfg.Logger,
	}
}

// presentLocked returns the attempt that an execution speaks for, nil when that has been replaced or forgotten: what it
// still says changes nothing (I6).
func (e *Executor) presentLocked(x *execution) *attempt {
	if a := x.attempt; e.currentLocked(a.deploy.Job, a.number()) == a {
		return a
	}
	return nil
}

// onStatus records and tells how a task's status changed.
func (e *Executor) onStatus(x *execution, r checkpoint.SubtaskReport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.presentLocked(x); a != nil {
		e.statusLocked(a, r)
	}
}

// onStatusOf is onStatus for a subtask that has no execution.
func (e *Executor) onStatusOf(a *attempt, r checkpoint.SubtaskReport) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.currentLocked(a.deploy.Job, a.number()) == a {
		e.statusLocked(a, r)
	}
}

func (e *Executor) statusLocked(a *attempt, r checkpoint.SubtaskReport) {
	r.Failure.Message = clip(r.Failure.Message)
	if told, changed := a.roster.update(r); changed {
		e.tellLocked(checkpoint.StatusChange{Job: a.deploy.Job, Attempt: a.number(), Report: told})
	}
}

// onAck records an ack until its checkpoint's outcome is heard, and tells it.
func (e *Executor) onAck(x *execution, ack checkpoint.Ack, kind checkpoint.Kind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.presentLocked(x); a != nil {
		e.ackLocked(a, ack, kind)
	}
}

// ackLocked records an ack for an attempt and tells it.
func (e *Executor) ackLocked(a *attempt, ack checkpoint.Ack, kind checkpoint.Kind) {
	ack.Attempt = a.number()
	if !a.book.ack(ack, kind) {
		return
	}
	a.progress.answered(ack.Checkpoint, ack.State.Subtask)
	if e.mu.outbox.putAck(ack) {
		e.wakeSender()
	}
}

// onDecline records a decline until its checkpoint's outcome is heard, and tells it.
func (e *Executor) onDecline(x *execution, d checkpoint.Decline, kind checkpoint.Kind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.presentLocked(x); a != nil {
		e.declineLocked(a, d, kind)
	}
}

// declineLocked records a decline for an attempt and tells it.
func (e *Executor) declineLocked(a *attempt, d checkpoint.Decline, kind checkpoint.Kind) {
	d.Attempt, d.Message = a.number(), clip(d.Message)
	a.progress.answered(d.Checkpoint, d.Subtask)
	if a.book.decline(d, kind) {
		e.tellLocked(d)
	}
}

// onProgress records which phase of a checkpoint a task has entered.
func (e *Executor) onProgress(x *execution, b checkpoint.Barrier, p checkpoint.SubtaskProgress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.presentLocked(x); a != nil {
		e.noteProgressLocked(a, b, p)
	}
}

// maxText bounds the texts that a task gives, in bytes: a report holds one for each subtask, and a user's error may
// quote a whole record.
const maxText = 4 << 10

func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + " … (cut)"
}
