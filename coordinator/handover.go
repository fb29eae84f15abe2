package coordinator

import (
	"context"
	"errors"
	"time"

	"cairn/checkpoint"
)

const (
	// drainLimit is how long a hand-over waits for the pending checkpoints. One that takes longer is left to the
	// next leader, which adopts it.
	drainLimit = 2 * time.Second
	// drainPoll is how often the leader loop is asked whether they have an outcome.
	drainPoll = 10 * time.Millisecond
)

// errHandingOver says that a hand-over is under way already.
var errHandingOver = errors.New("leadership is being handed over already")

// handOver hands leadership to the named voter, or to any when id is empty. Before that the pending checkpoints may
// finish, and none begins. When it fails, this coordinator goes on as before.
func (c *Coordinator) handOver(ctx context.Context, id checkpoint.NodeID) error {
	if !c.handingOver.TryLock() {
		return errHandingOver
	}
	defer c.handingOver.Unlock()
	if l := c.sessions.leading(); l != nil {
		l.drain(ctx)
		defer l.resume() // of no effect when the loop has ended
	}
	return c.replica.transfer(ctx, id, c.transferLimit())
}

// handOverBeforeStop is handOver for a process that stops whatever comes of it.
func (c *Coordinator) handOverBeforeStop() {
	if len(c.replica.voters()) < 2 {
		return
	}
	if err := c.handOver(context.Background(), ""); err != nil {
		c.log.Info("leadership was not handed over before the stop; an election will follow", "cause", err)
		return
	}
	c.log.Info("leadership handed over before the stop")
}

// transferLimit bounds the transfer itself: an election timeout, and as much for a busy disk.
func (c *Coordinator) transferLimit() time.Duration { return 4 * c.cfg.Raft.Election }

// drain keeps checkpoints from beginning, and returns when none is pending, or after drainLimit, or when the
// leadership ends.
func (l *leader) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	for {
		pending, err := ask(ctx, l, func() (int, error) {
			l.view.Draining = true
			return l.numPending(), nil
		})
		if err != nil || pending == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(drainPoll):
		}
	}
}

// resume ends what drain began.
func (l *leader) resume() { l.inbox.post(func() { l.view.Draining = false }) }

func (l *leader) numPending() int {
	pending := 0
	for _, j := range l.raft.jobs() {
		pending += len(j.Pending)
	}
	return pending
}
