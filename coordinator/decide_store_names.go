package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
	"cairn/placement"
)

const (
	// namedGrace is how long a chunk is needed before it is judged: nodes tell of new chunks a while after they have
	// stored them.
	namedGrace = 5 * time.Second
	// maxReading is how many manifests are read at a time.
	maxReading = 2
	// rereadPause is the pause before a manifest is tried again that could not be read, and rereadMost what it grows to.
	rereadPause, rereadMost = time.Second, 5 * time.Minute
	// maxWritten bounds the manifests of this leader that are kept until the log names them.
	maxWritten = 16
)

// names are the chunks that the replicated state names: they are needed. What pending checkpoints are about to name is
// not among them; it has its copies from its writers.
type names struct {
	naming map[checkpoint.ChunkID]*naming // by the chunk that names, or that is named by itself
	// unread are those manifests whose content is not known yet, in the order of the jobs.
	unread  []*naming
	gone    []*naming // what the state names no more and has not been released yet
	reading int
	fresh   []freshNames // oldest first
	// written are manifests that this leader has stored, and which may be named any moment; oldest first.
	written []storedManifest
}

type storedManifest struct {
	ref      checkpoint.ChunkRef
	manifest checkpoint.Manifest
	at       time.Time
}

// naming is a manifest, or another chunk that the state names itself.
type naming struct {
	ref     checkpoint.ChunkRef
	chunks  []placement.Number // what it names, its own chunk first
	stored  time.Time          // when this leader has stored it, zero when it did not
	reading bool
	tries   int
	retryAt time.Time
}

// freshNames are chunks that are judged from due on.
type freshNames struct {
	due    time.Time
	chunks []placement.Number
}

func newNames() names { return names{naming: make(map[checkpoint.ChunkID]*naming)} }

// OnManifestStored takes in a manifest that this leader has stored, so that it need not be read.
func (v *storeView) OnManifestStored(ref checkpoint.ChunkRef, m checkpoint.Manifest, now time.Time) {
	w := &v.names.written
	if *w = append(*w, storedManifest{ref, m, now}); len(*w) > maxWritten {
		*w = slices.Delete(*w, 0, len(*w)-maxWritten)
	}
}

// OnLive takes in what the replicated state names. What is being imported may not be there yet: it is not missing.
func (v *storeView) OnLive(live fsm.Live, now time.Time) {
	named := make(map[checkpoint.ChunkID]bool, len(live.Manifests)+len(live.Details))
	for _, ref := range live.Manifests {
		if slices.Contains(live.Incomplete, ref) {
			continue
		}
		named[ref.ID] = true
		if v.names.naming[ref.ID] != nil {
			continue
		}
		n := v.name(ref, now)
		at := v.writtenAt(ref.ID)
		if at < 0 {
			v.names.unread = append(v.names.unread, n)
			continue
		}
		n.stored = v.names.written[at].at
		v.take(n, v.names.written[at].manifest, now)
		v.names.written = slices.Delete(v.names.written, at, at+1)
	}
	for _, ref := range live.Details {
		named[ref.ID] = true
		if v.names.naming[ref.ID] == nil {
			v.name(ref, now)
		}
	}
	for id, n := range v.names.naming {
		if !named[id] {
			v.names.gone = append(v.names.gone, n)
			delete(v.names.naming, id)
		}
	}
	v.names.unread = slices.DeleteFunc(v.names.unread, func(n *naming) bool { return v.names.naming[n.ref.ID] != n })
	v.release()
}

// writtenAt returns the position of a manifest in names.written, -1 for none.
func (v *storeView) writtenAt(manifest checkpoint.ChunkID) int {
	return slices.IndexFunc(v.names.written, func(w storedManifest) bool { return w.ref.ID == manifest })
}

// isFresh reports whether a manifest was stored so lately that nodes may not have told yet what they have stored for it.
func (v *storeView) isFresh(manifest checkpoint.ChunkID, now time.Time) bool {
	var stored time.Time
	if at := v.writtenAt(manifest); at >= 0 {
		stored = v.names.written[at].at
	} else if n := v.names.naming[manifest]; n != nil {
		stored = n.stored
	}
	return !stored.IsZero() && now.Sub(stored) < namedGrace
}

// release gives up what was named by manifests that the state names no more. It waits until those that took their place
// have been read, or tried: what both name is needed without a break.
func (v *storeView) release() {
	if slices.ContainsFunc(v.names.unread, func(n *naming) bool { return n.tries == 0 }) {
		return
	}
	for _, n := range v.names.gone {
		for _, chunk := range n.chunks {
			v.index.Release(chunk)
		}
	}
	v.names.gone = nil
}

// name notes that the state names a chunk.
func (v *storeView) name(ref checkpoint.ChunkRef, now time.Time) *naming {
	n := &naming{ref: ref, chunks: []placement.Number{v.index.Need(ref, "", v.second(now))}}
	v.names.naming[ref.ID] = n
	v.ripen(n.chunks, now)
	return n
}

// take notes what a manifest names.
func (v *storeView) take(n *naming, m checkpoint.Manifest, now time.Time) {
	at := v.second(now)
	count := 1
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			count += len(h.Chunks)
		}
	}
	n.chunks = append(make([]placement.Number, 0, count), n.chunks...)
	for i, s := range m.Subtasks {
		var writer checkpoint.NodeID
		if m.Writers != nil {
			writer = m.Writers[i]
		}
		for _, h := range s.Handles {
			for _, chunk := range h.Chunks {
				n.chunks = append(n.chunks, v.index.Need(chunk, writer, at))
			}
		}
	}
	v.ripen(n.chunks, now)
}

// ripen has chunks judged when their time has come. They may be needed no more by then, or stand for others: Judge
// looks at that.
func (v *storeView) ripen(chunks []placement.Number, now time.Time) {
	v.names.fresh = append(v.names.fresh, freshNames{now.Add(namedGrace), chunks})
}

// judgeFresh judges those whose time has come.
func (v *storeView) judgeFresh(now time.Time) {
	for len(v.names.fresh) > 0 && !v.names.fresh[0].due.After(now) {
		for _, chunk := range v.names.fresh[0].chunks {
			v.index.Judge(chunk, v.second(now.Add(-namedGrace)))
		}
		v.names.fresh = slices.Delete(v.names.fresh, 0, 1)
	}
}

// OnManifestReading records that a manifest is being read.
func (v *storeView) OnManifestReading(ref checkpoint.ChunkRef) {
	v.names.reading++
	if n := v.names.naming[ref.ID]; n != nil {
		n.reading = true
	}
}

// OnManifestRead takes in a manifest, or why it could not be read. It reports how often that was so.
func (v *storeView) OnManifestRead(ref checkpoint.ChunkRef, m checkpoint.Manifest, err error, now time.Time) int {
	v.names.reading--
	n := v.names.naming[ref.ID]
	if n == nil || !n.reading {
		return 0
	}
	n.reading = false
	defer v.release()
	if err != nil {
		n.tries++
		n.retryAt = now.Add(doubled(rereadPause, rereadMost, n.tries))
		return n.tries
	}
	v.names.unread = slices.DeleteFunc(v.names.unread, func(other *naming) bool { return other == n })
	v.take(n, m, now)
	return 0
}

// unreadableTries is after how many tries a manifest counts as one that cannot be read.
const unreadableTries = 3

// mayBeRead reports whether there is a manifest that is not known yet, and has not failed to be read several times.
func (n *names) mayBeRead() bool {
	return slices.ContainsFunc(n.unread, func(n *naming) bool { return n.tries < unreadableTries })
}

// doubled doubles a pause with each try.
func doubled(pause, most time.Duration, tries int) time.Duration {
	for range tries - 1 {
		if pause *= 2; pause >= most {
			return most
		}
	}
	return pause
}
