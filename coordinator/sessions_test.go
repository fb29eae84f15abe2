package coordinator

import "cairn/checkpoint"

// opened returns the open session of node n1, to tell one from the next.
func (s *sessions) opened() *openSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.byNode[checkpoint.NodeID("n1")]
}
