package fsm

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"cairn/checkpoint"
)

// Machine applies the Raft log to a State and lets others read it. It is safe for concurrent use: Raft
// calls Apply, Snapshot and Restore from one goroutine, everybody else calls the reading methods, which
// hold the lock for moments only. The *Job values that it returns are immutable and may be kept.
type Machine struct {
	mu struct {
		sync.Mutex
		state   *State
		sorted  []*Job        // what Jobs answers; nil when it has to be made anew
		changed chan struct{} // never sent on; closed and replaced when state changes
	}
}

var _ raft.FSM = (*Machine)(nil)

// Response is what Apply answers through Raft to the proposer: raft.ApplyFuture.Response. Err is one of the
// package's sentinel errors, wrapped, when Step rejected the command.
type Response struct {
	Result Result
	Err    error
}

// NewMachine returns a machine in the state before the first command.
func NewMachine() *Machine {
	m := new(Machine)
	m.mu.state, m.mu.changed = NewState(), make(chan struct{})
	return m
}

// Apply implements raft.FSM. It returns a Response. It panics on an entry that it cannot read: the majority
// has committed it, so skipping it would make this replica differ from the others without anybody noticing.
func (m *Machine) Apply(entry *raft.Log) any {
	c, err := DecodeCommand(entry.Data)
	if err != nil {
		panic(fmt.Sprintf("fsm: the log entry at index %d (term %d) cannot be applied, this coordinator needs "+
			"the version that wrote it: %v", entry.Index, entry.Term, err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	result, err := m.mu.state.Step(entry.Index, c)
	m.notifyLocked()
	return Response{Result: result, Err: err}
}

// Snapshot implements raft.FSM. It captures pointers only; encoding and writing happen in Persist, while
// Apply goes on.
func (m *Machine) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &machineSnapshot{state: m.mu.state.Clone()}, nil
}

// Restore implements raft.FSM. The old state stays in place unless the whole snapshot has been read and
// checked.
func (m *Machine) Restore(r io.ReadCloser) error {
	b, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("reading a snapshot of the coordinators' state: %w", err)
	}
	state, err := DecodeSnapshot(b)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.state = state
	m.notifyLocked()
	return nil
}

func (m *Machine) notifyLocked() {
	m.mu.sorted = nil
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}

// Changed returns a channel that is closed when the next command is applied or the next snapshot restored.
// Ask for it before reading what it is to be awaited for, so that no change is missed in between.
func (m *Machine) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.changed
}

// LastIndex returns the Raft index of the last applied command, 0 before the first.
func (m *Machine) LastIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.state.LastIndex
}

// Jobs returns all jobs in the order of their submission, as of one moment. The slice is shared: nobody changes it.
// It is made once per change of the state, for the leader asks at every event.
func (m *Machine) Jobs() []*Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.sorted == nil {
		m.mu.sorted = slices.Clip(m.mu.state.SortedJobs())
	}
	return m.mu.sorted
}

// Drained returns the drained nodes, and since when they are. The map is immutable.
func (m *Machine) Drained() map[checkpoint.NodeID]checkpoint.Timestamp {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.state.Drained
}

// Imports returns the imported savepoints. The slice is immutable.
func (m *Machine) Imports() []Import {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.state.Imports
}

// Job returns the job of that ID, nil when there is none.
func (m *Machine) Job(id checkpoint.JobID) *Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.state.Jobs[id]
}

// JobByName returns what State.JobByName does.
func (m *Machine) JobByName(name string) *Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.state.JobByName(name)
}

// machineSnapshot is a state that nobody changes any more, on its way to Raft's snapshot store.
type machineSnapshot struct{ state *State }

// Persist implements raft.FSMSnapshot.
func (s *machineSnapshot) Persist(sink raft.SnapshotSink) error {
	b, err := EncodeSnapshot(s.state)
	if err == nil {
		_, err = sink.Write(b)
	}
	if err != nil {
		err = fmt.Errorf("persisting snapshot %s: %w", sink.ID(), err)
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release implements raft.FSMSnapshot. Nothing is held but memory.
func (s *machineSnapshot) Release() {}
