package sim

import (
	"cairn/checkpoint"
	"cairn/fsm"
)

// Invariant names what a violation violates.
type Invariant string

// The invariants that the simulation checks, and Liveness: what was stopped by faults goes on when they are over.
const (
	I1  Invariant = "I1"
	I2  Invariant = "I2"
	I3  Invariant = "I3"
	I4  Invariant = "I4"
	I5  Invariant = "I5"
	I6  Invariant = "I6"
	I7  Invariant = "I7"
	I8  Invariant = "I8"
	I10 Invariant = "I10"
	I11 Invariant = "I11"
	// Savepoints: what a user owns stays until the user gives it up, and is in no log.
	Savepoints Invariant = "savepoints"
	Liveness   Invariant = "liveness"
	// harness says that the simulation itself is broken.
	harness Invariant = "the simulation"
)

// checker sees everything that happens in the world, all replicas and nodes at once, and compares it with what
// the invariants allow. What it knows it has from the events, not from the parts that it checks: the log as it
// was committed, and what tasks really did.
type checker struct {
	w *World

	// The committed log, as the first replica to commit an entry had it, and a state of the checker's own to
	// which it is applied.
	log       []committedEntry
	state     *fsm.State
	termStart map[checkpoint.Term]int // index of each term's first committed entry
	lastID    map[checkpoint.JobID]checkpoint.ID
	begun     map[checkpointKey]begun
	outcomes  map[checkpointKey]outcome
	over      map[attemptKey]int // index of the entry that ended the attempt

	// What tasks did.
	acks      map[ackKey]checkpoint.SubtaskState
	manifests map[checkpointKey]checkpoint.Manifest
	runs      map[subtaskKey]checkpoint.NodeRef
	ended     map[subtaskKey]checkpoint.SubtaskStatus // finished, failed or canceled
	failures  map[subtaskKey]bool                     // has really failed or been stopped

	// Subtasks are known, above, by the attempt that deployed them. executions says which that is, by ordinal, as the
	// committed attempts say; startedAt is the index of the entry that started an attempt; global, whether all of it failed.
	executions map[checkpoint.JobID][]checkpoint.Attempt
	startedAt  map[attemptKey]int
	global     map[attemptKey]bool

	chunks chunkLedger
	// What users own, by the commands alone; and what each job goes back to.
	savepoints   map[checkpoint.JobID][]checkpoint.ID
	source       map[checkpoint.JobID]checkpoint.ID
	restorePoint map[checkpoint.JobID]checkpoint.ID

	silenced map[*leaderLoop]bool // leaderships that have met an unknown outcome
}

type committedEntry struct {
	entry
	command  fsm.Command // nil for a barrier
	response fsm.Response
	digest   digest // of the state behind it
}

type checkpointKey struct {
	job checkpoint.JobID
	id  checkpoint.ID
}

type attemptKey struct {
	job     checkpoint.JobID
	attempt checkpoint.Attempt
}

type subtaskKey struct {
	attemptKey
	subtask checkpoint.SubtaskID
}

type ackKey struct {
	subtaskKey
	id checkpoint.ID
}

type begun struct {
	attempt checkpoint.Attempt
	kind    checkpoint.Kind
	stop    checkpoint.Stop
	index   int
}

type outcome struct {
	completed bool
	index     int
}

func newChecker(w *World) *checker {
	return &checker{
		w: w, state: fsm.NewState(), termStart: make(map[checkpoint.Term]int),
		lastID: make(map[checkpoint.JobID]checkpoint.ID), begun: make(map[checkpointKey]begun),
		outcomes: make(map[checkpointKey]outcome), over: make(map[attemptKey]int),
		acks: make(map[ackKey]checkpoint.SubtaskState), manifests: make(map[checkpointKey]checkpoint.Manifest),
		runs: make(map[subtaskKey]checkpoint.NodeRef), ended: make(map[subtaskKey]checkpoint.SubtaskStatus),
		failures: make(map[subtaskKey]bool), executions: make(map[checkpoint.JobID][]checkpoint.Attempt),
		startedAt: make(map[attemptKey]int), global: make(map[attemptKey]bool), chunks: newChunkLedger(),
		savepoints: make(map[checkpoint.JobID][]checkpoint.ID), source: make(map[checkpoint.JobID]checkpoint.ID),
		restorePoint: make(map[checkpoint.JobID]checkpoint.ID), silenced: make(map[*leaderLoop]bool),
	}
}

// command returns the command at an index of the committed log, nil for a barrier.
func (k *checker) command(index int) fsm.Command {
	if index > len(k.log) {
		return nil // the checker has stopped at a violation
	}
	return k.log[index-1].command
}

// decidedBefore reports whether a checkpoint had its outcome when the term began.
func (k *checker) decidedBefore(job checkpoint.JobID, id checkpoint.ID, term checkpoint.Term) bool {
	o, found := k.outcomes[checkpointKey{job, id}]
	return found && k.before(o.index, term)
}

// before reports whether an entry was committed when the term began: a leader of that term knows it.
func (k *checker) before(index int, term checkpoint.Term) bool {
	start, found := k.termStart[term]
	return found && index < start
}
