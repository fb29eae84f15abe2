package sim

import (
	"crypto/sha256"
	"slices"
	"time"

	"cairn/checkpoint"
)

// The store of chunks is the machines' disks: each chunk on two of them where it can be. Disks outlive the processes
// that write to them.

const (
	copies = 2
	// newsDelay is how long a process gathers changes of its disk before it tells of them.
	newsDelay = 10 * time.Millisecond
)

func (w *World) storeDelay() time.Duration { return w.between(time.Millisecond, 30*time.Millisecond) }

// put stores a manifest for a coordinator, on machines that it reaches.
func (w *World) put(c *coord, data []byte) (checkpoint.ChunkRef, error) {
	var reached []*host
	for _, h := range w.hosts {
		if h.proc != nil && w.net.connected(c.self, h.self) {
			reached = append(reached, h)
		}
	}
	if len(reached) == 0 || !w.calm && w.chance(w.cfg.StoreErrors) {
		return checkpoint.ChunkRef{}, errStoreUnreachable
	}
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID(sha256.Sum256(data)), Size: int64(len(data))}
	for len(reached) > copies {
		i := w.index(len(reached))
		reached = slices.Delete(reached, i, i+1)
	}
	for _, h := range reached {
		h.proc.keep(ref.ID, data)
	}
	w.check.chunks.stored[ref.ID] = reached
	return ref, nil
}

// get reads a manifest for a coordinator.
func (w *World) get(c *coord, ref checkpoint.ChunkRef) ([]byte, error) {
	for _, h := range w.hosts {
		data, found := h.disk[ref.ID]
		if found && h.proc != nil && w.net.connected(c.self, h.self) && (w.calm || !w.chance(w.cfg.StoreErrors)) {
			return data, nil
		}
	}
	return nil, errStoreUnreachable
}

// content returns a manifest from whatever disk it is on.
func (w *World) content(id checkpoint.ChunkID) ([]byte, bool) {
	for _, h := range w.hosts {
		if data, found := h.disk[id]; found {
			return data, true
		}
	}
	return nil, false
}

// index draws a number below n; the last in a steady world.
func (w *World) index(n int) int {
	if w.cfg.Steady {
		return n - 1
	}
	return w.rng.IntN(n)
}

// store makes the chunks of a state durable on the task's own machine and then on another one, if it reaches any.
func (t *task) store(state checkpoint.SubtaskState, stored func(on []*host)) {
	chunks := chunksOf(state)
	t.w.check.storing(chunks)
	own := t.a.n
	for _, c := range chunks {
		own.keep(c, nil)
	}
	var others []*host
	for _, h := range t.w.hosts {
		if h != own.host && h.proc != nil && t.w.net.connected(own.host.self, h.self) {
			others = append(others, h)
		}
	}
	if len(others) == 0 {
		stored([]*host{own.host})
		return
	}
	other := others[t.w.index(len(others))].proc
	t.after(t.w.between(0, 20*time.Millisecond), func() {
		if !other.up {
			stored([]*host{own.host})
			return
		}
		for _, c := range chunks {
			other.keep(c, nil)
		}
		stored([]*host{own.host, other.host})
	})
}

func chunksOf(state checkpoint.SubtaskState) []checkpoint.ChunkID {
	var ids []checkpoint.ChunkID
	for _, h := range state.Handles {
		for _, c := range h.Chunks {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// swept is a process's part in sweeps: what it was asked to keep since the mark. It dies with the process.
type swept struct {
	sweep uint64 // of the newest mark, 0 for none
	kept  map[checkpoint.ChunkID]bool
}

// keep is asked for whenever somebody wants a chunk on this machine, be it there already or not.
func (n *node) keep(id checkpoint.ChunkID, data []byte) {
	if n.swept.kept != nil {
		n.swept.kept[id] = true
	}
	if _, found := n.host.disk[id]; !found {
		n.changed(id, true)
	}
	n.host.disk[id] = data
}

// mark opens a sweep.
func (n *node) mark(m checkpoint.MarkChunks) {
	if m.Sweep > n.swept.sweep {
		n.swept = swept{sweep: m.Sweep, kept: make(map[checkpoint.ChunkID]bool)}
	}
	if m.Sweep == n.swept.sweep {
		n.tellNews()
		n.tell(checkpoint.ChunksMarked{Sweep: m.Sweep})
	}
}

// remove deletes chunks, one after the other, beside everything else that the process does.
func (n *node) remove(m checkpoint.DeleteChunks) {
	if m.Sweep != n.swept.sweep {
		n.tell(checkpoint.ChunksDeleted{Sweep: m.Sweep, Error: "the mark is not in force"})
		return
	}
	answer := checkpoint.ChunksDeleted{Sweep: m.Sweep}
	wait := time.Duration(0)
	for _, id := range m.Chunks {
		wait += n.w.between(0, 10*time.Millisecond)
		n.after(wait, func() {
			spared := m.Sweep != n.swept.sweep || n.swept.kept[id]
			if spared && !n.w.broken(DeletesWhatWasKept) {
				answer.Refused++
				return
			}
			if _, found := n.host.disk[id]; found {
				n.w.check.deleting(n.host, id)
				n.changed(id, false)
			}
			delete(n.host.disk, id)
			answer.Deleted++
		})
	}
	n.after(wait, func() {
		if m.Sweep != n.swept.sweep {
			answer.Error = "the mark is not in force any more"
		}
		n.tell(answer)
	})
}
