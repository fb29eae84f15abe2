package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
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

// Compaction says when Raft puts a snapshot of the state in the place of the log that led to it.
type Compaction struct {
	// Threshold is how many entries since the last snapshot are worth a new one, and Interval how often that is
	// looked at (with jitter, up to twice as long).
	Threshold uint64
	Interval  time.Duration
	// Trailing is how many entries stay in front of a snapshot, for followers that are a little behind.
	Trailing uint64
}

// DefaultCompaction returns thresholds for what a coordinator writes: two entries of a few hundred bytes for each
// checkpoint, and a state that is small beside a long log of them.
func DefaultCompaction() Compaction {
	return Compaction{Threshold: 4096, Interval: 30 * time.Second, Trailing: 2048}
}

// Validate returns an error that names the threshold that makes no sense.
func (c Compaction) Validate() error {
	const least = 5 * time.Millisecond
	switch {
	case c.Threshold < 1:
		return fmt.Errorf("raft snapshot threshold %d: must be at least 1 entry", c.Threshold)
	case c.Interval < least:
		return fmt.Errorf("raft snapshot interval %s: must be at least %s", c.Interval, least)
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
	id         checkpoint.NodeID
	raft       *raft.Raft
	machine    *fsm.Machine
	stores     Stores
	gate       *gate
	leadership chan bool // raft's notifications; buffered, and read all the time by leadUntil
	reads      readIndexer
}

func newReplica(cfg Config, deps Deps, log *slog.Logger) (*replica, error) {
	existing, err := raft.HasExistingState(deps.Stores.Log, deps.Stores.Stable, deps.Stores.Snapshots)
	if err != nil {
		return nil, err
	}
	r := &replica{
		id: cfg.ID, machine: fsm.NewMachine(), stores: deps.Stores, gate: newGate(deps.Transport, existing),
		leadership: make(chan bool, 8),
	}
	r.reads.confirm = r.confirmLeadership
	conf := raft.DefaultConfig()
	conf.LocalID = raft.ServerID(cfg.ID)
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = cfg.Raft.Heartbeat, cfg.Raft.Election, cfg.Raft.Lease
	conf.CommitTimeout = min(conf.CommitTimeout, cfg.Raft.Heartbeat/4)
	conf.SnapshotThreshold, conf.SnapshotInterval = cfg.Compaction.Threshold, cfg.Compaction.Interval
	conf.TrailingLogs = cfg.Compaction.Trailing
	conf.Logger = RaftLogger(log)
	conf.NotifyCh = r.leadership
	conf.NoLegacyTelemetry = true
	if r.raft, err = raft.NewRaft(conf, r.machine, r.stores.Log, r.stores.Stable, r.stores.Snapshots, r.gate); err != nil {
		return nil, errors.Join(fmt.Errorf("starting raft: %w", err), r.gate.Close())
	}
	r.gate.serve(r.isOutdated)
	return r, nil
}

// isOutdated reports whether a snapshot would take this replica back behind what it has applied. The entries in
// between may have been compacted away here: raft would want to apply them again, not find them, and panic. And the
// configuration of that time would come back.
//
// One of a newer term than everything here may: then this replica has led, and has applied what no majority has, a
// restore that was cut short. It has to give that up.
func (r *replica) isOutdated(snapshot *raft.InstallSnapshotRequest) bool {
	term := max(r.lastTerm(), r.stat("last_snapshot_term"))
	return snapshot.LastLogIndex < r.raft.AppliedIndex() && snapshot.LastLogTerm <= term
}

// shutdown stops raft and waits for its goroutines, then closes what it used.
func (r *replica) shutdown() error {
	err := errors.Join(r.raft.Shutdown().Error(), r.gate.Close())
	r.reads.running.Wait() // its heartbeats end with the transport
	if r.stores.Close != nil {
		err = errors.Join(err, r.stores.Close())
	}
	return err
}

func (r *replica) jobs() []*fsm.Job { return r.machine.Jobs() }

func (r *replica) imports() []fsm.Import { return r.machine.Imports() }

func (r *replica) drained() map[checkpoint.NodeID]checkpoint.Timestamp { return r.machine.Drained() }

// barrierLimit bounds the wait for what is committed to be applied: far above what a log takes between two
// compactions. After it the leader tries again, and in the end lets another one try.
const barrierLimit = 10 * time.Second

// barrier implements replicatedLog.
func (r *replica) barrier(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, barrierLimit, fmt.Errorf("not applied within %s", barrierLimit))
	defer cancel()
	return await(ctx, r.raft.Barrier(barrierLimit))
}

// await waits for a future of raft's, but not longer than ctx. Raft ends each with the leadership, or when it is
// shut down.
func await(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- f.Error() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// propose implements replicatedLog. It does not return before every outcome is known or known to be
// unknown: raft fails what is in flight when leadership is lost. While a hand-over is under way raft takes nothing:
// such a command surely has no effect, but those before it may have committed, so their responses count.
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
			responses[i], busy = fsm.Response{Err: errBusy}, true
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("proposing %T: %w", commands[i], err)
		}
		responses[i] = f.Response().(fsm.Response)
	}
	if busy {
		return responses, errBusy
	}
	return responses, nil
}

// leader returns the leader's ID and address, empty when none is known.
func (r *replica) leader() (checkpoint.NodeID, string) {
	address, id := r.raft.LeaderWithID()
	return checkpoint.NodeID(id), string(address)
}

// servers returns the members of the latest configuration, with and without vote.
func (r *replica) servers() []raft.Server {
	f := r.raft.GetConfiguration()
	if f.Error() != nil {
		return nil
	}
	return f.Configuration().Servers
}

// voters returns the voters of the latest configuration.
func (r *replica) voters() []raft.Server { return votersOf(r.servers()) }

func votersOf(servers []raft.Server) []raft.Server {
	var voters []raft.Server
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s)
		}
	}
	return voters
}

// lastTerm returns the term of the last entry of the log, 0 for an empty one.
func (r *replica) lastTerm() uint64 { return r.stat("last_log_term") }

// stat returns one of raft's numbers, for which it has no function.
func (r *replica) stat(name string) uint64 {
	n, err := strconv.ParseUint(r.raft.Stats()[name], 10, 64)
	if err != nil {
		return 0
	}
	return n
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
func (r *replica) transfer(ctx context.Context, id checkpoint.NodeID, limit time.Duration) error {
	if r.raft.State() != raft.Leader {
		return raft.ErrNotLeader
	}
	var f raft.Future
	if id == "" {
		f = r.raft.LeadershipTransfer()
	} else {
		voters := r.voters()
		i := slices.IndexFunc(voters, func(s raft.Server) bool { return s.ID == raft.ServerID(id) })
		if i < 0 {
			return fmt.Errorf("no voter is named %q", id)
		}
		f = r.raft.LeadershipTransferToServer(voters[i].ID, voters[i].Address)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	return await(ctx, f)
}
