package executor

import (
	"context"
	"fmt"
	"time"
)

// signalLeaderChanged makes the watch look again. One pending signal is enough: it looks at all there is.
func (e *Executor) signalLeaderChanged() {
	select {
	case e.leaderChanged <- struct{}{}:
	default:
	}
}

// watchForLeader stops all tasks when no leader has had a session for the orphan timeout, until ctx is
// done. A node that is cut off must not work for ever beside the attempt that has replaced its own.
func (e *Executor) watchForLeader(ctx context.Context) {
	timer := time.NewTimer(e.cfg.OrphanTimeout)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.leaderChanged:
		case <-timer.C:
		}
		if left, waiting := e.checkOrphaned(time.Now()); waiting {
			timer.Reset(left)
		} else {
			timer.Stop()
		}
	}
}

// checkOrphaned stops all tasks if they have been without a leader for too long. Otherwise it returns how
// long they have left, or false when a leader's session is open or the tasks have just been stopped.
func (e *Executor) checkOrphaned(now time.Time) (left time.Duration, waiting bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.leaderless.IsZero() {
		return 0, false
	}
	if left := e.cfg.OrphanTimeout - now.Sub(e.mu.leaderless); left > 0 {
		return left, true
	}
	for id, j := range e.mu.jobs {
		a := j.current
		if a == nil || !a.roster.active() {
			continue
		}
		a.roster.stopped = fmt.Sprintf("node %s stopped it: no leader was heard for %s", e.cfg.Self.ID, e.cfg.OrphanTimeout)
		e.cancelLocked(a)
		e.log.Warn("stopping orphaned tasks", "job", id, "attempt", a.number(), "orphan_timeout", e.cfg.OrphanTimeout)
	}
	return 0, false
}
