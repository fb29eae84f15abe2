package sim

import (
	"crypto/sha256"
	"time"

	"cairn/checkpoint"
)

// store is the replicated store of chunks, as the coordinators see it: reachable while a task node is, and slow.
// Nothing is ever deleted from it.
type store struct {
	w      *World
	chunks map[checkpoint.ChunkID][]byte
}

func (w *World) storeDelay() time.Duration { return w.between(time.Millisecond, 30*time.Millisecond) }

func (s *store) reachable(c *coord) bool {
	for _, h := range s.w.hosts {
		if h.proc != nil && s.w.net.connected(c.self, h.self) {
			return true
		}
	}
	return false
}

func (s *store) put(c *coord, data []byte) (checkpoint.ChunkRef, error) {
	if !s.reachable(c) || !s.w.calm && s.w.chance(s.w.cfg.StoreErrors) {
		return checkpoint.ChunkRef{}, errStoreUnreachable
	}
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID(sha256.Sum256(data)), Size: int64(len(data))}
	s.chunks[ref.ID] = data
	return ref, nil
}

func (s *store) get(c *coord, ref checkpoint.ChunkRef) ([]byte, error) {
	data, found := s.chunks[ref.ID]
	if !found || !s.reachable(c) || !s.w.calm && s.w.chance(s.w.cfg.StoreErrors) {
		return nil, errStoreUnreachable
	}
	return data, nil
}
