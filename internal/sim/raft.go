package sim

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The replicated log is a small Raft: elections, replication and commitment by majority, a leader that steps
// down when it reaches no majority, and hand-over. Logs are never cut short at the front; a replica that restarts
// reads a snapshot of its state and applies what follows it again.
const (
	replicateInterval = 60 * time.Millisecond
	electionTimeout   = 400 * time.Millisecond // at least; at most twice that
	leaderLease       = 300 * time.Millisecond
	transferLimit     = 400 * time.Millisecond
	maxEntries        = 64 // per message
	snapshotEvery     = 16 // entries
)

type role uint8

const (
	follower role = iota
	candidate
	leading
)

// entry is one entry of the log. A new leader's first is empty: committing it is the barrier behind which
// everything of earlier terms is known.
type entry struct {
	term    checkpoint.Term
	command string // encoded; a string, so that nobody changes it
}

// replica is one coordinator's member of the Raft cluster.
type replica struct {
	w     *World
	owner *coord
	self  int

	// On disk. Writes take no time, and an answer follows them.
	term          checkpoint.Term
	votedFor      int // -1 for nobody
	log           []entry
	snapshot      []byte
	snapshotIndex int // of the last entry that the snapshot covers

	// In memory.
	role        role
	votes       map[int]bool    // of a candidate: who has voted for it
	next, match []int           // of a leader, by peer
	heard       []time.Duration // of a leader: when each peer last answered
	busyUntil   time.Duration   // of a leader: while it hands over, it takes no proposals
	commit      int
	applied     int
	state       *fsm.State
	elections   int // counts the resets of the election timer
	barrier     int // of a leader: the index of its first entry
	waiting     []*proposal
}

// proposal is a batch of commands that the leader loop waits for.
type proposal struct {
	first, left int
	responses   []fsm.Response
	// done gets the responses, or ok false when the outcome of some is unknown.
	done func(responses []fsm.Response, ok bool)
}

func newReplica(w *World, owner *coord, self int) *replica {
	return &replica{w: w, owner: owner, self: self, votedFor: -1}
}

// start begins the life of a process with what is on its disk.
func (r *replica) start() {
	r.role, r.votes, r.waiting, r.busyUntil = follower, nil, nil, 0
	if r.w.broken(ForgetsItsLog) {
		r.term, r.votedFor, r.log, r.snapshot, r.snapshotIndex = 0, -1, nil, nil, 0
	}
	r.state = fsm.NewState()
	if r.snapshot != nil {
		state, err := fsm.DecodeSnapshot(r.snapshot)
		if err != nil {
			r.w.violate(I10, "%s cannot read its snapshot of index %d: %v", r.owner.id, r.snapshotIndex, err)
			return
		}
		r.state = state
	}
	r.commit, r.applied = r.snapshotIndex, r.snapshotIndex
	r.resetElection()
}

func (r *replica) quorum() int { return len(r.w.coordinators)/2 + 1 }

func (r *replica) lastIndex() int { return len(r.log) }

func (r *replica) termAt(index int) checkpoint.Term {
	if index == 0 {
		return 0
	}
	return r.log[index-1].term
}

// send delivers a message to a peer if its process lives by then.
func (r *replica) send(to int, handle func(peer *replica)) {
	if !r.owner.up {
		return // it has just crashed, in the middle of this
	}
	peer := r.w.coordinators[to]
	r.w.net.datagram(r.self, to, func() {
		if peer.up {
			handle(peer.raft)
		}
	})
}

func (r *replica) peers(f func(peer int)) {
	for peer := range r.w.coordinators {
		if peer != r.self {
			f(peer)
		}
	}
}

// propose appends commands to the log; nil is an entry that says nothing. It reports false, having appended nothing, when no proposals are taken.
func (r *replica) propose(commands []fsm.Command, done func([]fsm.Response, bool)) bool {
	if r.w.now < r.busyUntil {
		return false
	}
	if r.role != leading {
		r.owner.after(r.w.between(0, time.Millisecond), func() { done(nil, false) })
		return true
	}
	p := &proposal{first: r.lastIndex() + 1, left: len(commands), done: done}
	for _, c := range commands {
		e := entry{term: r.term}
		if c != nil {
			data, err := fsm.EncodeCommand(c)
			if err != nil {
				r.w.violate(harness, "encoding %T: %v", c, err)
				return true
			}
			e.command = string(data)
		}
		r.log = append(r.log, e)
	}
	r.waiting = append(r.waiting, p)
	r.replicate()
	if r.w.broken(CommitsAlone) {
		r.setCommit(r.lastIndex())
	}
	return true
}

// replicate sends every peer what it lacks.
func (r *replica) replicate() {
	r.peers(func(peer int) {
		prev := r.next[peer] - 1
		last := min(r.lastIndex(), prev+maxEntries)
		m := appendEntries{
			term: r.term, leader: r.self, prev: prev, prevTerm: r.termAt(prev),
			entries: r.log[prev:last:last], commit: r.commit,
		}
		r.send(peer, func(p *replica) { p.onAppend(m) })
	})
}

type appendEntries struct {
	term     checkpoint.Term
	leader   int
	prev     int
	prevTerm checkpoint.Term
	entries  []entry
	commit   int
}

func (r *replica) onAppend(m appendEntries) {
	if m.term < r.term {
		r.answer(m.leader, false, 0)
		return
	}
	r.follow(m.term)
	r.role = follower
	r.resetElection()
	if m.prev > r.lastIndex() || r.termAt(m.prev) != m.prevTerm {
		r.answer(m.leader, false, min(r.lastIndex(), m.prev-1))
		return
	}
	for i, e := range m.entries {
		index := m.prev + 1 + i
		if index <= r.lastIndex() && r.termAt(index) != e.term {
			r.log = r.log[: index-1 : index-1]
		}
		if index > r.lastIndex() {
			r.log = append(r.log, e)
		}
	}
	match := m.prev + len(m.entries)
	r.setCommit(min(m.commit, match))
	r.answer(m.leader, true, match)
}

func (r *replica) answer(leader int, ok bool, match int) {
	term, self := r.term, r.self
	r.send(leader, func(l *replica) { l.onAnswer(self, term, ok, match) })
}

// onAnswer takes in what a follower has, or, when it lacks what was to come before, up to where to go back.
func (r *replica) onAnswer(from int, term checkpoint.Term, ok bool, match int) {
	if term > r.term {
		r.follow(term)
		return
	}
	if r.role != leading || term < r.term {
		return
	}
	r.heard[from] = r.w.now
	if !ok {
		r.next[from] = max(r.match[from]+1, min(r.next[from]-1, match+1), 1)
		return
	}
	r.match[from] = max(r.match[from], match)
	r.next[from] = max(r.next[from], r.match[from]+1)
	r.advance()
}

// advance commits what a majority has. Entries of earlier terms are committed by one of the leader's own.
func (r *replica) advance() {
	for index := r.lastIndex(); index > r.commit && r.termAt(index) == r.term; index-- {
		have := 1
		r.peers(func(peer int) {
			if r.match[peer] >= index {
				have++
			}
		})
		if have >= r.quorum() {
			r.setCommit(index)
			return
		}
	}
}

func (r *replica) setCommit(index int) {
	if index <= r.commit {
		return
	}
	r.commit = index
	for r.applied < r.commit && r.w.failed == nil && r.owner.up {
		r.applied++
		r.apply(r.applied)
	}
}
