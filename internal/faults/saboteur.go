package faults

import (
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// saboteur sits in the job's operators (dataflow.Tap). It is safe for concurrent use.
type saboteur struct {
	slow  checkpoint.OperatorID // whose records take time; empty for none
	takes time.Duration         // each

	mu      sync.Mutex
	victim  checkpoint.OperatorID // that is to panic; empty for none
	left    int                   // records that the victim may take before
	stopped chan checkpoint.SubtaskID
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
	if operator == s.slow {
		time.Sleep(s.takes) // virtual time
	}
	if s.strikes(operator) {
		s.stopped <- subtask
		panic("sabotage")
	}
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
