package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

var (
	// ErrUnknownAttempt says that the node has not been told of the channel's attempt, or has not set up
	// its tasks yet: the peer tries again.
	ErrUnknownAttempt = errors.New("the attempt is not deployed here yet")
	// ErrStaleAttempt says that the node has gone on to a newer attempt than the channel's, or has been
	// told to stop that attempt: the peer is a zombie and its task must fail (I6).
	ErrStaleAttempt = errors.New("the attempt has ended here")
)

const (
	connectBound   = 10 * time.Second // how long a peer may take to deploy its share
	firstRetryWait = 5 * time.Millisecond
	maxRetryWait   = 250 * time.Millisecond
)

// AcceptChannel finds the task at the receiving end of a channel that another task opens, here or on
// another node, and returns where to write the channel's frames; grant is told how many may be written (Task.Accept).
// It returns ErrUnknownAttempt or ErrStaleAttempt, wrapped, for attempts other than the one that runs here.
func (e *Executor) AcceptChannel(ctx context.Context, id exchange.ChannelID, grant func(exchange.Credit)) (exchange.FrameWriter, error) {
	t, err := e.receiverOf(id)
	if err != nil {
		return nil, fmt.Errorf("channel %s: node %s: %w", id, e.cfg.Self.ID, err)
	}
	return t.Accept(ctx, id, grant)
}

func (e *Executor) receiverOf(id exchange.ChannelID) (task, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	j := e.mu.jobs[id.Job]
	switch {
	case j == nil || id.Attempt > j.seen:
		return nil, ErrUnknownAttempt
	case j.current == nil:
		return nil, ErrStaleAttempt
	}
	topology := j.current.deploy.Topology
	if id.Edge < 0 || id.Edge >= len(topology.Edges) {
		return nil, fmt.Errorf("the job has %d edges", len(topology.Edges))
	}
	return j.current.receiver(id, checkpoint.SubtaskID{Vertex: topology.Vertices[topology.Edges[id.Edge].To].ID, Index: id.To})
}

// receiver returns the task at the end of a channel. Both ends belong to one pipelined region, so they were deployed in
// the same attempt, which is the channel's; the present one may be newer.
func (a *attempt) receiver(id exchange.ChannelID, s checkpoint.SubtaskID) (task, error) {
	x := a.executions[s]
	switch {
	case x != nil && x.since == id.Attempt && a.ctx.Err() == nil && (x.returned || x.ctx.Err() == nil):
		return x.task, nil
	case x != nil || id.Attempt < a.number() || a.ctx.Err() != nil:
		return nil, ErrStaleAttempt
	case !a.isBuilt():
		return nil, ErrUnknownAttempt
	}
	return nil, fmt.Errorf("%s is not on this node", s)
}

// isBuilt reports whether the attempt has made what it deploys.
func (a *attempt) isBuilt() bool {
	select {
	case <-a.built:
		return true
	default:
		return false
	}
}

// connector connects a task's outputs: to tasks of this process directly, to others through the dialer.
type connector struct{ e *Executor }

var _ exchange.Connector = connector{}

// Connect opens a channel. Nodes are told of an attempt one after the other, so one that does not know it
// yet is asked again until it does, for a bounded time.
func (c connector) Connect(ctx context.Context, to checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	bound := time.NewTimer(connectBound)
	defer bound.Stop()
	for wait := firstRetryWait; ; wait = min(2*wait, maxRetryWait) {
		w, err := c.connectOnce(ctx, to, id, ready)
		if !errors.Is(err, ErrUnknownAttempt) {
			return w, err
		}
		retry := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			retry.Stop()
			return nil, fmt.Errorf("%w (last: %w)", ctx.Err(), err)
		case <-bound.C:
			retry.Stop()
			return nil, fmt.Errorf("gave up after %s: %w", connectBound, err)
		case <-retry.C:
		}
	}
}

func (c connector) connectOnce(ctx context.Context, to checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	self := c.e.cfg.Self
	switch {
	case to.ID != self.ID:
		return c.e.cfg.Dialer.Connect(ctx, to, id, ready)
	case to.Incarnation != self.Incarnation:
		return nil, fmt.Errorf("channel %s: node %s has restarted: %w", id, to.ID, ErrStaleAttempt)
	}
	return c.e.AcceptChannel(ctx, id, func(exchange.Credit) { ready() }) // the receiver keeps the count itself
}
