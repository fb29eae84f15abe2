package sim

import (
	"errors"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/fsm"
)

const (
	tick      = 20 * time.Millisecond
	maxRounds = 16
)

// leaderLoop is the coordinator's leader loop, step by step: events change the view, Decide says what is to be
// done, and while proposals commit the loop waits and events queue up. The view and Decide are the real ones.
type leaderLoop struct {
	w        *World
	c        *coord
	term     checkpoint.Term
	view     *coordinator.View
	inbox    []func()
	sessions map[checkpoint.NodeID]*session
	heard    map[checkpoint.NodeID]time.Duration
	holds    map[checkpoint.NodeID]map[checkpoint.ChunkID]bool // what nodes have told that they hold
	waiting  bool                                              // for proposals
	awake    bool                                              // a turn is scheduled
	plans    uint64                                            // numbers the questions for graphs
	ended    bool
}

func newLeaderLoop(c *coord, term checkpoint.Term) *leaderLoop {
	l := &leaderLoop{
		w: c.w, c: c, term: term, view: coordinator.NewView(term, c.clock(), c.w.cfg.Timing),
		sessions: make(map[checkpoint.NodeID]*session), heard: make(map[checkpoint.NodeID]time.Duration),
		holds: make(map[checkpoint.NodeID]map[checkpoint.ChunkID]bool),
	}
	l.view.SetJobs(c.raft.state.SortedJobs())
	return l
}

// after schedules something that dies with the loop.
func (l *leaderLoop) after(d time.Duration, do func()) {
	l.c.after(d, func() {
		if !l.ended {
			do()
		}
	})
}

func (l *leaderLoop) tick() {
	l.wake()
	l.after(tick, l.tick)
}

func (l *leaderLoop) post(event func()) {
	if !l.ended {
		l.inbox = append(l.inbox, event)
		l.wake()
	}
}

func (l *leaderLoop) wake() {
	if l.awake || l.waiting {
		return
	}
	l.awake = true
	l.after(l.w.between(0, time.Millisecond), func() {
		l.awake = false
		l.turn()
	})
}

// turn handles what has come in, then acts. It breaks off where it has to wait.
func (l *leaderLoop) turn() {
	for len(l.inbox) > 0 && !l.waiting && !l.ended {
		event := l.inbox[0]
		l.inbox = l.inbox[1:]
		event()
	}
	if !l.waiting {
		l.act(0)
	}
}

func (l *leaderLoop) opened(s *session) {
	l.post(func() {
		l.sessions[s.hello.Node.ID] = s
		l.heard[s.hello.Node.ID] = l.w.now
		delete(l.holds, s.hello.Node.ID)
		l.view.OnSession(s.hello, l.c.clock())
	})
}

func (l *leaderLoop) closed(s *session) {
	l.post(func() {
		if l.sessions[s.hello.Node.ID] == s {
			delete(l.sessions, s.hello.Node.ID)
			l.view.OnSessionClosed(s.hello.Node, l.c.clock())
		}
	})
}

func (l *leaderLoop) received(s *session, m checkpoint.FromNode) {
	l.post(func() {
		id := s.hello.Node.ID
		if l.sessions[id] != s {
			return
		}
		l.heard[id] = l.w.now
		l.view.OnHeard(id, l.c.clock())
		l.w.moment(Moment{Kind: Heard, Coordinator: l.c.id, Node: id, From: m})
		if !l.ended {
			l.handle(id, m)
		}
	})
}

func (l *leaderLoop) handle(id checkpoint.NodeID, m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.Report:
		l.view.OnReport(id, l.spoilReport(m), l.c.clock())
	case checkpoint.StatusChange:
		l.view.OnStatus(id, l.spoilStatus(m))
	case checkpoint.AckBatch:
		for _, ack := range m.Acks {
			l.w.check.told(ack)
			l.view.OnAck(id, l.spoilAck(ack), l.c.clock())
		}
	case checkpoint.Decline:
		l.view.OnDecline(id, m)
	case checkpoint.JobPlanned:
		l.view.OnPlanned(id, m)
	case checkpoint.Inventory, checkpoint.InventoryChange:
		l.inventory(id, m)
	case checkpoint.ChunksMarked:
		l.view.OnChunksMarked(id, m)
	case checkpoint.ChunksDeleted:
		l.view.OnChunksDeleted(id, m, l.c.clock())
	}
}

var (
	errStoreUnreachable = errors.New("no copy of the chunk can be reached")
	errDeposed          = errors.New("the leadership ended")
)

func (l *leaderLoop) writeManifest(m checkpoint.Manifest) {
	l.view.OnManifestWriting(m)
	data, err := checkpoint.EncodeManifest(m)
	if err != nil {
		l.w.violate(harness, "encoding the manifest of checkpoint %d: %v", m.ID, err)
		return
	}
	l.after(l.w.storeDelay(), func() {
		ref, err := l.w.put(l.c, data)
		l.post(func() { l.view.OnManifestWritten(m.Job, m.ID, ref, fsm.Detail{}, err) })
		l.w.moment(Moment{Kind: ManifestWritten, Coordinator: l.c.id})
	})
}

func (l *leaderLoop) loadManifest(a coordinator.LoadManifest) {
	l.view.OnManifestLoading(a)
	l.after(l.w.storeDelay(), func() {
		if a.Have != nil { // nothing is lost in this world without the manifest
			l.post(func() { l.view.OnManifestLoaded(a.Job, a.Checkpoint, a.Have, nil, l.c.clock()) })
			return
		}
		var m checkpoint.Manifest
		data, err := l.w.get(l.c, a.Manifest)
		if err == nil {
			m, err = checkpoint.DecodeManifest(data)
		}
		l.post(func() { l.view.OnManifestLoaded(a.Job, a.Checkpoint, &m, err, l.c.clock()) })
	})
}

// call is a client's command. Unlike the loop's own it does not end the loop when its outcome is unknown: the
// client is told so.
func (l *leaderLoop) call(command fsm.Command, reply func(r fsm.Response, ok bool)) {
	l.post(func() {
		l.waiting = true
		taken := l.c.raft.propose([]fsm.Command{command}, func(responses []fsm.Response, ok bool) {
			l.waiting = false
			if l.ended || !ok {
				reply(fsm.Response{}, false)
				l.wake()
				return
			}
			l.view.SetJobs(l.c.raft.state.SortedJobs())
			l.proposed(command, responses[0])
			reply(responses[0], true)
			l.turn()
		})
		if !taken {
			l.waiting = false
			reply(fsm.Response{}, false)
		}
	})
}
