package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"cairn/checkpoint"
	"cairn/fsm"
)

// RaftTiming holds Raft's timers.
type RaftTiming struct {
	// Heartbeat is how long a follower waits for the leader before it stands for election, and Election
	// how long a candidate waits for votes.
	Heartbeat, Election time.Duration
	// Lease is how long a leader that reaches no quorum goes on before it steps down.
	Lease time.Duration
}

// DefaultRaftTiming returns timers that hold on a loaded machine: a leader is replaced within about a
// second.
func DefaultRaftTiming() RaftTiming {
	return RaftTiming{Heartbeat: 500 * time.Millisecond, Election: 500 * time.Millisecond, Lease: 250 * time.Millisecond}
}

// Validate returns an error that names the timer that Raft would not accept.
func (t RaftTiming) Validate() error {
	const least = 5 * time.Millisecond
	switch {
	case t.Heartbeat < least || t.Election < least || t.Lease < least:
		return fmt.Errorf("raft timers %s, %s, %s: each must be at least %s", t.Heartbeat, t.Election, t.Lease, least)
	case t.Election < t.Heartbeat:
		return fmt.Errorf("raft election timeout %s: must not be below the heartbeat timeout %s", t.Election, t.Heartbeat)
	case t.Lease > t.Heartbeat:
		return fmt.Errorf("raft leader lease %s: must not be above the heartbeat timeout %s", t.Lease, t.Heartbeat)
	}
	return nil
}

// Stores are where a replica keeps its log, its votes and its snapshots.
type Stores struct {
	Log       raft.LogStore
	Stable    raft.StableStore
	Snapshots raft.SnapshotStore
	// Close releases the stores after the replica has stopped. It may be nil.
	Close func() error
}

// replica is this coordinator's member of the Raft cluster, with the state machine that it applies the
// log to. It is safe for concurrent use.
type replica struct {
	raft       *raft.Raft
	machine    *fsm.Machine
	stores     Stores
	transport  raft.Transport
	leadership chan bool // raft's notifications; buffered, and read all the time by monitor
}

func newReplica(id checkpoint.NodeID, timing RaftTiming, stores Stores, transport raft.Transport, log *slog.Logger) (*replica, error) {
	r := &replica{machine: fsm.NewMachine(), stores: stores, transport: transport, leadership: make(chan bool, 8)}
	cfg := raft.DefaultConfig()
	cfg.LocalID = raft.ServerID(id)
	cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaderLeaseTimeout = timing.Heartbeat, timing.Election, timing.Lease
	cfg.CommitTimeout = min(cfg.CommitTimeout, timing.Heartbeat/4)
	cfg.Logger = RaftLogger(log)
	cfg.NotifyCh = r.leadership
	cfg.NoLegacyTelemetry = true
	var err error
	if r.raft, err = raft.NewRaft(cfg, r.machine, stores.Log, stores.Stable, stores.Snapshots, transport); err != nil {
		return nil, fmt.Errorf("starting raft: %w", err)
	}
	return r, nil
}

// shutdown stops raft and waits for its goroutines, then closes what it used.
func (r *replica) shutdown() error {
	err := r.raft.Shutdown().Error()
	if c, ok := r.transport.(raft.WithClose); ok {
		err = errors.Join(err, c.Close())
	}
	if r.stores.Close != nil {
		err = errors.Join(err, r.stores.Close())
	}
	return err
}

func (r *replica) jobs() []*fsm.Job { return r.machine.Jobs() }

func (r *replica) barrier(context.Context) error {
	// Without a bound of its own: it ends with the leadership at the latest, which is what ctx stands for.
	return r.raft.Barrier(0).Error()
}

// propose implements replicatedLog. It does not return before every outcome is known or known to be
// unknown: raft fails what is in flight when leadership is lost.
func (r *replica) propose(commands []fsm.Command, during func()) ([]fsm.Response, error) {
	futures := make([]raft.ApplyFuture, len(commands))
	for i, c := range commands {
		data, err := fsm.EncodeCommand(c)
		if err != nil {
			return nil, fmt.Errorf("encoding %T: %w", c, err)
		}
		futures[i] = r.raft.Apply(data, 0)
	}
	during()
	responses := make([]fsm.Response, len(commands))
	busy := false
	for i, f := range futures {
		err := f.Error()
		if errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			busy = true
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("proposing %T: %w", commands[i], err)
		}
		responses[i] = f.Response().(fsm.Response)
	}
	if busy {
		return nil, errBusy
	}
	return responses, nil
}

// leader returns the leader's ID and address, empty when none is known.
func (r *replica) leader() (checkpoint.NodeID, string) {
	address, id := r.raft.LeaderWithID()
	return checkpoint.NodeID(id), string(address)
}

// voters returns the voters of the latest configuration.
func (r *replica) voters() []raft.Server {
	f := r.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	var voters []raft.Server
	for _, s := range f.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s)
		}
	}
	return voters
}

// lastContact returns the time since this replica heard from the leader, 0 for the leader itself, -1 for
// never.
func (r *replica) lastContact() time.Duration {
	if r.raft.State() == raft.Leader {
		return 0
	}
	last := r.raft.LastContact()
	if last.IsZero() {
		return -1
	}
	return time.Since(last)
}

// transfer hands leadership to the named voter, or to any when id is empty. Raft answers within an election
// timeout, or never when it is shut down meanwhile: the wait is bounded here.
func (r *replica) transfer(id checkpoint.NodeID, limit time.Duration) error {
	if r.raft.State() != raft.Leader {
		return raft.ErrNotLeader
	}
	var f raft.Future
	if id == "" {
		f = r.raft.LeadershipTransfer()
	} else {
		i := slices.IndexFunc(r.voters(), func(s raft.Server) bool { return s.ID == raft.ServerID(id) })
		if i < 0 {
			return fmt.Errorf("no voter is named %q", id)
		}
		voter := r.voters()[i]
		f = r.raft.LeadershipTransferToServer(voter.ID, voter.Address)
	}
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return fmt.Errorf("no answer within %s", limit)
	}
}
