package executor

import (
	"cmp"
	"context"
	"maps"
	"time"

	"cairn/checkpoint"
)

const (
	// progressAfter is how long a checkpoint goes on before the leader is told how far the subtasks are. Most are over
	// by then. It is well below the time in which a dead node is found out: a checkpoint that fails with the node has the
	// phases of those who waited for it.
	progressAfter = 200 * time.Millisecond
	// progressPause lies between two messages on the same checkpoint.
	progressPause = 500 * time.Millisecond
)

// progress is how far the subtasks of one attempt on this node are with checkpoints that they have not answered. It is
// soft state: what is lost of it is told again with the next change, or to the next leader. It is pure; the
// executor's mutex guards it.
type progress struct {
	pending map[checkpoint.ID]*checkpointProgress
}

type checkpointProgress struct {
	kind     checkpoint.Kind
	since    time.Time // when this node first heard of it
	told     time.Time // when the leader was last told of it; zero when it has not been
	subtasks map[checkpoint.SubtaskID]checkpoint.SubtaskProgress
	changed  map[checkpoint.SubtaskID]bool // what the leader has not been told; subtasks has them all
}

func newProgress() *progress {
	return &progress{pending: make(map[checkpoint.ID]*checkpointProgress)}
}

// note records that a subtask has entered a phase, and reports whether it is the first change to tell of the
// checkpoint.
func (p *progress) note(b checkpoint.Barrier, s checkpoint.SubtaskProgress, now time.Time) bool {
	c := p.pending[b.ID]
	if c == nil {
		c = &checkpointProgress{
			kind: b.Kind, since: now,
			subtasks: make(map[checkpoint.SubtaskID]checkpoint.SubtaskProgress),
			changed:  make(map[checkpoint.SubtaskID]bool),
		}
		p.pending[b.ID] = c
	}
	if s.Phase <= c.subtasks[s.Subtask].Phase {
		return false // a repeated trigger
	}
	c.subtasks[s.Subtask], c.changed[s.Subtask] = s, true
	return len(c.changed) == 1
}

// answered forgets a subtask that has acknowledged or declined: its answer says more.
func (p *progress) answered(id checkpoint.ID, s checkpoint.SubtaskID) {
	if c := p.pending[id]; c != nil {
		delete(c.subtasks, s)
		delete(c.changed, s)
	}
}

// forget drops the checkpoints that have their outcome.
func (p *progress) forget(resolved func(checkpoint.ID, checkpoint.Kind) bool) {
	maps.DeleteFunc(p.pending, func(id checkpoint.ID, c *checkpointProgress) bool { return resolved(id, c.kind) })
}

// repeat makes everything news again, for a new leader.
func (p *progress) repeat() {
	for _, c := range p.pending {
		c.told = time.Time{}
		for s := range c.subtasks {
			c.changed[s] = true
		}
	}
}

// due is when the leader is to be told of the changes next.
func (c *checkpointProgress) due() time.Time {
	due := c.since.Add(progressAfter)
	if next := c.told.Add(progressPause); next.After(due) {
		due = next
	}
	return due
}

// take returns what is to be told now, by checkpoint, and when there will be more; zero when nothing waits.
func (p *progress) take(now time.Time) (told []checkpoint.Progress, next time.Time) {
	for _, id := range sortedKeys(p.pending, cmp.Compare) {
		c := p.pending[id]
		if len(c.changed) == 0 {
			continue
		}
		if due := c.due(); due.After(now) {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		m := checkpoint.Progress{Checkpoint: id}
		for _, s := range sortedKeys(c.changed, compareSubtasks) {
			m.Subtasks = append(m.Subtasks, c.subtasks[s])
		}
		told = append(told, m)
		c.told = now
		clear(c.changed)
	}
	return told, next
}

// progressLoop tells the leader of checkpoints that take long, until ctx is done.
func (e *Executor) progressLoop(ctx context.Context) {
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.progressed:
		case <-timer.C:
		}
		if next := e.tellProgress(time.Now()); !next.IsZero() {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// tellProgress tells what is due and returns when there will be more. Without a leader nothing is taken: the next one
// is told everything.
func (e *Executor) tellProgress(now time.Time) (next time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.fence.session == nil {
		return time.Time{}
	}
	for _, id := range sortedKeys(e.mu.jobs, compareJobs) {
		a := e.mu.jobs[id].current
		if a == nil {
			continue
		}
		told, more := a.progress.take(now)
		for _, m := range told {
			m.Job, m.Attempt = id, a.number()
			e.tellLocked(m)
		}
		if !more.IsZero() && (next.IsZero() || more.Before(next)) {
			next = more
		}
	}
	return next
}

// noteProgressLocked records that a subtask has entered a phase of a checkpoint that has no outcome yet, and no answer
// from the subtask.
func (e *Executor) noteProgressLocked(a *attempt, b checkpoint.Barrier, p checkpoint.SubtaskProgress) {
	if a.book.resolved(b.ID, b.Kind) || a.book.answered(b.ID, p.Subtask) {
		return
	}
	if a.progress.note(b, p, time.Now()) {
		e.signalProgress()
	}
}

// signalProgress makes the loop look again. One pending signal is enough: it looks at all there is.
func (e *Executor) signalProgress() {
	select {
	case e.progressed <- struct{}{}:
	default:
	}
}
