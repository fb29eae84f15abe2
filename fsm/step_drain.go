package fsm

import (
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
)

func (s *State) drainNode(c DrainNode) error {
	if c.Node == "" {
		return fmt.Errorf("%w: draining a node without a name", ErrInvalid)
	}
	if _, drained := s.Drained[c.Node]; drained {
		return nil
	}
	next := maps.Clone(s.Drained)
	next[c.Node] = c.At
	s.Drained = next
	return nil
}

func (s *State) undrainNode(c UndrainNode) error {
	if _, drained := s.Drained[c.Node]; !drained {
		return nil
	}
	next := maps.Clone(s.Drained)
	delete(next, c.Node)
	s.Drained = next
	return nil
}

// SortedDrained returns the drained nodes in the order of their IDs.
func (s *State) SortedDrained() []checkpoint.NodeID { return slices.Sorted(maps.Keys(s.Drained)) }
