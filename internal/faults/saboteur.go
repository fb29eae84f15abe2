package faults

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// saboteur sits in the job's operators (dataflow.Tap). It is safe for concurrent use.
type saboteur struct {
	// stalling are the operators that stand still now and then, whatever the job's rate, so that records pile up before
	// them.
	stalling []checkpoint.OperatorID

	mu      sync.Mutex
	random  *rand.Rand            // of stalls
	resumed map[stalled]time.Time // when they may stall again
	victim  checkpoint.OperatorID // that is to panic; empty for none
	left    int                   // records that the victim may take before
	stopped chan checkpoint.SubtaskID
}

// stalled is an operator's instance.
type stalled struct {
	checkpoint.SubtaskID
	checkpoint.OperatorID
}

const (
	// longestStall is well below the timeout of checkpoints: several may follow each other down a job.
	longestStall = 120 * time.Millisecond
	longestRun   = 200 * time.Millisecond
)

func newSaboteur(random *rand.Rand) *saboteur {
	return &saboteur{random: random, resumed: make(map[stalled]time.Time)}
}

// sabotaged returns the program with the saboteur in it.
func (s *saboteur) sabotaged(p dataflow.Program) dataflow.Program {
	build := p.Build
	p.Build = func(g *dataflow.Graph, params *dataflow.Params) error {
		g.SetTap(s.tap)
		return build(g, params)
	}
	return p
}

func (s *saboteur) tap(subtask checkpoint.SubtaskID, operator checkpoint.OperatorID) {
	if slices.Contains(s.stalling, operator) {
		time.Sleep(s.stall(stalled{subtask, operator})) // virtual time
	}
	if s.strikes(operator) {
		s.stopped <- subtask
		panic("sabotage")
	}
}

// stall returns how long an operator stands still at this record.
func (s *saboteur) stall(o stalled) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Before(s.resumed[o]) {
		return 0
	}
	d := time.Duration(s.random.Int64N(int64(longestStall)))
	s.resumed[o] = now.Add(d + time.Duration(s.random.Int64N(int64(longestRun))))
	return d
}

// strikes reports whether an operator's record is the one to panic on. There is one for each call of arm.
func (s *saboteur) strikes(operator checkpoint.OperatorID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.victim != operator {
		return false
	}
	if s.left--; s.left < 0 {
		s.victim = ""
		return true
	}
	return false
}

// arm makes an operator panic after some records, and returns where the subtask is told that did.
func (s *saboteur) arm(victim checkpoint.OperatorID, after int) <-chan checkpoint.SubtaskID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.victim, s.left, s.stopped = victim, after, make(chan checkpoint.SubtaskID, 1)
	return s.stopped
}

// disarm reports false when the operator has panicked.
func (s *saboteur) disarm() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	armed := s.victim != ""
	s.victim = ""
	return armed
}
