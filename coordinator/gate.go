package coordinator

import (
	"errors"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

var (
	// errNotAdmitted is what a replica without state answers to Raft's messages until it may take part.
	errNotAdmitted = errors.New("this coordinator has no state and has not been admitted to a cluster yet")
	// errOutdated is what a replica answers to a snapshot of the past. The leader waits a little and sends its newest.
	errOutdated = errors.New("this coordinator has applied more than what is in the snapshot")
)

// gate stands between a replica and the others, closed while the replica has no state and may have had some: a voter
// whose disk was wiped has forgotten whom it voted for and which entries it has acknowledged, and must not count
// until it has been taken out of the configuration and has come back as a newcomer. Closed, it refuses every
// message of Raft's; nothing is sent either, because a replica without configuration does not stand for election.
// Open, it refuses what would take the replica back to the past (see replica.isOutdated), which Raft itself accepts.
// It is safe for concurrent use.
type gate struct {
	raft.Transport
	rpcs    chan raft.RPC // capacity 0: what inner received, while the gate is open
	opened  chan struct{} // closed by open
	closed  chan struct{} // closed by Close
	running sync.WaitGroup

	openOnce, closeOnce sync.Once
	closeErr            error
}

var (
	_ raft.WithPreVote = (*gate)(nil)
	_ raft.WithClose   = (*gate)(nil)
)

func newGate(inner raft.Transport, open bool) *gate {
	g := &gate{Transport: inner, rpcs: make(chan raft.RPC), opened: make(chan struct{}), closed: make(chan struct{})}
	if open {
		g.open()
	}
	return g
}

// open lets the replica take part from now on.
func (g *gate) open() { g.openOnce.Do(func() { close(g.opened) }) }

func (g *gate) isOpen() bool {
	select {
	case <-g.opened:
		return true
	default:
		return false
	}
}

// serve starts to take in messages. It is called once.
func (g *gate) serve(isOutdated func(*raft.InstallSnapshotRequest) bool) {
	g.running.Go(func() {
		for {
			select {
			case <-g.closed:
				return
			case rpc := <-g.Transport.Consumer():
				g.handle(rpc, isOutdated)
			}
		}
	})
}

func (g *gate) handle(rpc raft.RPC, isOutdated func(*raft.InstallSnapshotRequest) bool) {
	snapshot, isSnapshot := rpc.Command.(*raft.InstallSnapshotRequest)
	switch {
	case !g.isOpen():
		g.refuse(rpc, errNotAdmitted)
	case isSnapshot && isOutdated(snapshot):
		g.refuse(rpc, errOutdated)
	default:
		g.forward(rpc)
	}
}

// forward hands a message to raft, and returns when raft has answered: what comes next is judged by what this one has
// changed. Nothing is slower for it, raft handles one message at a time.
func (g *gate) forward(rpc raft.RPC) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case g.rpcs <- raft.RPC{Command: rpc.Command, Reader: rpc.Reader, RespChan: answer}:
	case <-g.closed:
		g.refuse(rpc, raft.ErrTransportShutdown)
		return
	}
	select {
	case a := <-answer:
		rpc.Respond(a.Response, a.Error)
	case <-g.closed: // so is the transport: nobody waits for the answer
	}
}

// refuse answers with why. A snapshot is read to its end first: the bytes follow the message on its connection, and
// would be taken for the next one. That is not done in the way of other messages, for the sender may be slow.
func (g *gate) refuse(rpc raft.RPC, why error) {
	if rpc.Reader == nil {
		rpc.Respond(emptyResponse(rpc.Command), why)
		return
	}
	g.running.Go(func() { // it ends with the transport
		_, _ = io.Copy(io.Discard, rpc.Reader)
		rpc.Respond(emptyResponse(rpc.Command), why)
	})
}

// emptyResponse goes with an error: raft's pipelines look at nothing else.
func emptyResponse(command any) any {
	switch command.(type) {
	case *raft.AppendEntriesRequest:
		return &raft.AppendEntriesResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{}
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{}
	case *raft.InstallSnapshotRequest:
		return &raft.InstallSnapshotResponse{}
	case *raft.TimeoutNowRequest:
		return &raft.TimeoutNowResponse{}
	}
	return nil
}

// Consumer implements raft.Transport.
func (g *gate) Consumer() <-chan raft.RPC { return g.rpcs }

// SetHeartbeatHandler implements raft.Transport: the fast path of heartbeats has to pass the gate too.
func (g *gate) SetHeartbeatHandler(handle func(raft.RPC)) {
	g.Transport.SetHeartbeatHandler(func(rpc raft.RPC) {
		if !g.isOpen() {
			g.refuse(rpc, errNotAdmitted)
			return
		}
		handle(rpc)
	})
}

// RequestPreVote implements raft.WithPreVote.
func (g *gate) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return g.Transport.(raft.WithPreVote).RequestPreVote(id, target, args, resp)
}

// Close implements raft.WithClose. It closes the transport and waits for what the gate has started. It is idempotent.
func (g *gate) Close() error {
	g.closeOnce.Do(func() {
		close(g.closed)
		if c, ok := g.Transport.(raft.WithClose); ok {
			g.closeErr = c.Close()
		}
		g.running.Wait()
	})
	return g.closeErr
}
