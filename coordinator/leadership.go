package coordinator

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/checkpoint"
)

// leadership is what runs while Raft calls this replica the leader: the leader loop, started again whenever it
// fails, and the upkeep of the configuration.
type leadership struct {
	c      *Coordinator
	cancel context.CancelFunc
	done   chan struct{} // closed when everything has ended
	// interludes are functions that run while no leader loop does; capacity 0.
	interludes chan func()
}

const (
	// leaderRetry is the pause before a leader loop that failed while Raft still calls this replica the leader
	// is started again.
	leaderRetry = 100 * time.Millisecond
	// settled is how long a leader loop has to run for its failure not to count as one at the start.
	settled = 10 * time.Second
	// maxFailedStarts is after how many failures at the start another coordinator is asked to lead.
	maxFailedStarts = 3
)

func (c *Coordinator) lead() *leadership {
	ctx, cancel := context.WithCancel(context.Background())
	l := &leadership{c: c, cancel: cancel, done: make(chan struct{}), interludes: make(chan func())}
	go func() {
		defer close(l.done)
		defer c.log.Info("no longer leading")
		var running sync.WaitGroup
		running.Go(func() { c.upkeep.run(ctx) })
		l.keepLoop(ctx)
		cancel()
		running.Wait()
	}()
	return l
}

// stop ends the leadership and waits until everything of it has ended. It may be called on nil.
func (l *leadership) stop() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}

// errLeadershipOver says that there is no leadership any more to do something under.
var errLeadershipOver = errors.New("leadership has ended")

// interlude runs f while no leader loop does; a new loop, which knows nothing of the old one's soft state, starts
// afterwards. It returns f's error, or errLeadershipOver when f has not run and will not.
func (l *leadership) interlude(ctx context.Context, f func() error) error {
	result := make(chan error, 1)
	select {
	case l.interludes <- func() { result <- f() }:
		return <-result
	case <-l.done:
		return errLeadershipOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// keepLoop runs leader loops, one after the other, for as long as this replica is the leader.
func (l *leadership) keepLoop(ctx context.Context) {
	c, failures := l.c, 0
	for nth := uint8(0); ctx.Err() == nil && c.replica.raft.State() == raft.Leader; nth++ {
		began := time.Now()
		interlude, err := l.runLoop(ctx, nth)
		if interlude != nil {
			interlude()
			continue
		}
		if err == nil || errors.Is(err, context.Canceled) {
			return
		}
		c.log.Warn("leader loop ended", "cause", err)
		if failures++; time.Since(began) > settled {
			failures = 0
		}
		if failures >= maxFailedStarts {
			l.giveUp(ctx, err)
			failures = 0
		}
		select {
		case <-ctx.Done():
		case f := <-l.interludes:
			f()
		case <-time.After(leaderRetry):
		}
	}
}

// runLoop runs one leader loop until it ends, or until somebody wants an interlude, which is returned then.
func (l *leadership) runLoop(ctx context.Context, nth uint8) (func(), error) {
	c := l.c
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	loop := newLeader(c.cfg.ID, checkpoint.Term(c.replica.raft.CurrentTerm()), c.leaderLog, c.deps.Store, c.cfg.Timing, c.log)
	loop.nth = nth
	loop.keep(c.cfg.Replicas, c.cfg.Repair)
	go func() { ended <- loop.run(ctx, c.sessions) }()
	select {
	case err := <-ended:
		return nil, err
	case f := <-l.interludes:
		cancel()
		<-ended
		return f, nil
	}
}

// giveUp asks any other voter to lead: Raft is content with this replica, but it cannot do a leader's work, and would
// keep the others from doing it.
func (l *leadership) giveUp(ctx context.Context, cause error) {
	c := l.c
	if len(c.replica.voters()) < 2 {
		return
	}
	c.log.Warn("this coordinator cannot lead and asks another one to", "cause", cause)
	if err := c.replica.transfer(ctx, "", c.transferLimit()); err != nil {
		c.log.Warn("leadership was not handed over", "cause", err)
	}
}
