package sim

import (
	"fmt"
	"strings"
	"time"

	"cairn/checkpoint"
)

// host is a machine on which processes of one task node follow each other.
type host struct {
	w         *World
	self      int
	id        checkpoint.NodeID
	slots     int
	processes int
	disk      map[checkpoint.ChunkID][]byte // manifests with their content, all others without
	proc      *node                         // nil while none runs
}

// node is one process of a task node: the term fence, its share of attempts, and sessions to all coordinators.
// It answers a leader as the executor of the real node does.
type node struct {
	w          *World
	host       *host
	ref        checkpoint.NodeRef
	up         bool
	sessions   []*session // by coordinator
	fence      fence
	outbox     *session // of the leader; nil while there is none
	leaderless int      // counts the times that the leader's session was lost or found
	jobs       map[checkpoint.JobID]*nodeJob
	swept      swept
	news       checkpoint.InventoryChange // of the disk, not told yet
	highest    checkpoint.Term            // that the checker has seen delivered
}

// fence lets only the leader of the highest term through.
type fence struct {
	term    checkpoint.Term
	leader  checkpoint.NodeID
	session *session
}

func (f *fence) admits(s *session, m checkpoint.ToNode) bool {
	if m.LeaderTerm() < f.term {
		return false
	}
	leading, ok := m.(checkpoint.Leading)
	switch {
	case ok && leading.Term == f.term && leading.Leader != f.leader:
		return false
	case ok:
		*f = fence{term: leading.Term, leader: leading.Leader, session: s}
		return true
	}
	return m.LeaderTerm() == f.term && s == f.session
}

// nodeJob is what the process knows of one job. It stays when the attempt is forgotten, so that none comes back.
type nodeJob struct {
	seen     checkpoint.Attempt // the highest deployed or cancelled
	deployed checkpoint.Attempt // the highest deployed
	current  *attempt
	last     *attempt // the one deployed last
}

// start begins a new process.
func (h *host) start() {
	if h.proc != nil {
		return
	}
	if h.processes == 0 || !h.w.broken(KeepsItsIncarnation) {
		h.processes++
	}
	n := &node{
		w: h.w, host: h, up: true, sessions: make([]*session, len(h.w.coordinators)),
		ref:  checkpoint.NodeRef{ID: h.id, Incarnation: checkpoint.Incarnation(h.processes), Address: string(h.id) + ":7490"},
		jobs: make(map[checkpoint.JobID]*nodeJob),
	}
	h.proc = n
	h.w.trace.add(h.w.now, "%s starts as incarnation %d", h.id, h.processes)
	h.w.moment(Moment{Kind: Starts, Node: h.id})
	n.watchForLeader()
	for _, c := range h.w.coordinators {
		n.w.after(n.w.between(0, lastDial), func() { n.dial(c) })
	}
}

// kill ends the process, with all its tasks.
func (h *host) kill() {
	n := h.proc
	if n == nil {
		return
	}
	h.w.trace.add(h.w.now, "%s crashes", h.id)
	h.w.stats.NodeCrashes++
	h.proc, n.up = nil, false
	for _, s := range n.sessions {
		if s != nil {
			s.nodeOpen = false
			s.up.close()
			h.w.after(s.notice(), s.closeCoordinator)
		}
	}
	n.eachAttempt(func(a *attempt) { a.vanish() })
	h.w.moment(Moment{Kind: Crashes, Node: h.id})
}

func (n *node) hello() checkpoint.Hello {
	return checkpoint.Hello{Node: n.ref, Slots: n.host.slots, Programs: []string{program}}
}

// after schedules something that dies with the process.
func (n *node) after(d time.Duration, do func()) {
	n.w.after(d, func() {
		if n.up {
			do()
		}
	})
}

func (n *node) sessionClosed(s *session) {
	n.sessions[s.coordinator.self] = nil
	if n.fence.session == s {
		n.fence.session, n.outbox = nil, nil
		n.watchForLeader()
	}
	n.after(n.w.between(firstDial, lastDial), func() { n.dial(s.coordinator) })
}

// watchForLeader stops all tasks if no leader is heard for too long.
func (n *node) watchForLeader() {
	n.leaderless++
	now := n.leaderless
	n.after(n.w.cfg.OrphanTimeout, func() {
		if n.leaderless == now {
			n.eachAttempt(func(a *attempt) { a.stop("no leader was heard") })
		}
	})
}

// tell sends to the leader, if there is one. What is not said now is in the report that the next one gets.
func (n *node) tell(m checkpoint.FromNode) {
	if n.outbox != nil {
		n.outbox.toCoordinator(m)
	}
}

func (n *node) eachAttempt(f func(*attempt)) {
	for _, id := range sortedJobs(n.jobs) {
		if a := n.jobs[id].current; a != nil {
			f(a)
		}
	}
}

func (n *node) job(id checkpoint.JobID) *nodeJob {
	j := n.jobs[id]
	if j == nil {
		j = &nodeJob{}
		n.jobs[id] = j
	}
	return j
}

// current returns the attempt if it is the one that counts here.
func (n *node) current(id checkpoint.JobID, number checkpoint.Attempt) *attempt {
	j := n.jobs[id]
	if j == nil || j.current == nil || j.current.number() != number {
		return nil
	}
	return j.current
}

// fingerprint is everything that a message could change.
func (n *node) fingerprint() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s %p %d;", n.fence.term, n.fence.leader, n.outbox, n.swept.sweep)
	for _, id := range sortedJobs(n.jobs) {
		j := n.jobs[id]
		fmt.Fprintf(&b, "%x %d %p;", id[0], j.seen, j.current)
		if j.current != nil {
			j.current.fingerprint(&b)
		}
	}
	return b.String()
}
