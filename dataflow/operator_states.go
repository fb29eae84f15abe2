package dataflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cairn/checkpoint"
)

// CheckpointedProcessor is a processor of any kind that wants to know of the beginning of its state and of snapshots: one
// that keeps what it has in variables of its own, and puts it into operator state when that is asked for. Both methods are
// called without a current key.
type CheckpointedProcessor interface {
	// InitializeState is called once, behind Open and before the first record, when all state is there: restored says
	// whether it comes from a checkpoint, in which an operator that is new has none all the same.
	InitializeState(restored bool) error
	// SnapshotState is called before the state is captured for a checkpoint or savepoint. An error declines that, and
	// the task goes on.
	SnapshotState(id checkpoint.ID) error
}

// operatorTable is state that has no keys, whatever its types.
type operatorTable interface {
	stateName() string
	stateKind() checkpoint.HandleKind // how its entries are dealt out at a restore
	// snapshot returns the entries, in an order that depends on nothing else.
	snapshot() [][]byte
	load(entries [][]byte) error
}

// operatorStates are all of an operator's state without keys.
type operatorStates struct {
	chain     *chain
	tables    []operatorTable
	processor CheckpointedProcessor // nil when it does not want to be called
	broadcast bool                  // the operator has a broadcast stream
	opened    bool
	writable  bool // a record of the broadcast stream is under way
}

// statesOf returns the state of the operator that runs a processor.
func statesOf(c *chain, processor any) operatorStates {
	s := operatorStates{chain: c}
	s.processor, _ = processor.(CheckpointedProcessor)
	return s
}

func (s *operatorStates) declare(t operatorTable) error {
	name := t.stateName()
	same := func(other operatorTable) bool { return other.stateName() == name }
	switch {
	case s.opened:
		return fmt.Errorf("%s state %q is declared after Open", t.stateKind(), name)
	case name == "" || slices.ContainsFunc(s.tables, same):
		return fmt.Errorf("%s state %q: the name is empty or declared twice", t.stateKind(), name)
	case strings.HasPrefix(name, reservedPrefix):
		return fmt.Errorf("%s state %q: names that begin with %q are the runtime's own", t.stateKind(), name, reservedPrefix)
	}
	s.tables = append(s.tables, t)
	return nil
}

// mayWrite fails the task where the copies of broadcast state would come to differ.
func (s *operatorStates) mayWrite(name string) bool {
	if !s.writable {
		s.chain.fail(fmt.Errorf("broadcast state %q is written outside of ProcessBroadcast: the subtasks' copies would differ", name))
		return false
	}
	return true
}

// restore loads what the checkpoint has. A state that is new starts empty.
func (s *operatorStates) restore(from *operatorState) error {
	s.opened = true
	var errs []error
	for _, t := range s.tables {
		entries, _ := from.takeList(t.stateName())
		errs = append(errs, t.load(entries))
	}
	return errors.Join(errs...)
}

// initialize tells the processor that all state is there.
func (s *operatorStates) initialize(restored bool) error {
	if s.processor == nil {
		return nil
	}
	return s.processor.InitializeState(restored)
}

// prepare lets the processor bring its state up to date for a snapshot.
func (s *operatorStates) prepare(into *snapshot) error {
	if s.processor == nil {
		return nil
	}
	if err := s.processor.SnapshotState(into.barrier.ID); err != nil {
		return declined(err)
	}
	return s.chain.err
}

// capture adds the subtask's part to the snapshot. It is serialized at once: it is meant for what is small.
func (s *operatorStates) capture(into *snapshot, id checkpoint.OperatorID) {
	for _, t := range s.tables {
		into.addList(id, t.stateName(), t.stateKind(), t.snapshot())
	}
}
