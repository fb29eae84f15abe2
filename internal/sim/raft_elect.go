package sim

import (
	"time"

	"cairn/checkpoint"
)

// resetElection makes the replica stand for election when it hears from no leader for a while.
func (r *replica) resetElection() {
	r.elections++
	now := r.elections
	wait := r.w.between(electionTimeout, 2*electionTimeout)
	if r.w.cfg.Steady {
		wait += time.Duration(r.self) * 100 * time.Millisecond
	}
	r.owner.after(wait, func() {
		if r.elections == now && r.role != leading {
			r.campaign()
		}
	})
}

// campaign asks for the votes of a new term.
func (r *replica) campaign() {
	r.follow(r.term + 1)
	r.role, r.votedFor, r.votes = candidate, r.self, map[int]bool{r.self: true}
	r.resetElection()
	term, lastIndex, lastTerm, self := r.term, r.lastIndex(), r.termAt(r.lastIndex()), r.self
	r.peers(func(peer int) {
		r.send(peer, func(p *replica) { p.onVoteRequest(self, term, lastIndex, lastTerm) })
	})
}

func (r *replica) onVoteRequest(from int, term checkpoint.Term, lastIndex int, lastTerm checkpoint.Term) {
	r.follow(term)
	mine := r.termAt(r.lastIndex())
	upToDate := lastTerm > mine || lastTerm == mine && lastIndex >= r.lastIndex()
	granted := term == r.term && upToDate && (r.votedFor == -1 || r.votedFor == from)
	if granted {
		r.votedFor = from
		r.resetElection()
	}
	now, self := r.term, r.self
	r.send(from, func(p *replica) { p.onVote(self, now, granted) })
}

func (r *replica) onVote(from int, term checkpoint.Term, granted bool) {
	r.follow(term)
	if r.role != candidate || term != r.term || !granted {
		return
	}
	if r.votes[from] = true; len(r.votes) == r.quorum() {
		r.win()
	}
}

// win begins a leadership. The leader loop starts when the term's first entry has been applied here.
func (r *replica) win() {
	r.w.trace.add(r.w.now, "%s wins term %d", r.owner.id, r.term)
	r.w.stats.Elections++
	n := len(r.w.coordinators)
	r.role, r.busyUntil = leading, 0
	r.next, r.match, r.heard = make([]int, n), make([]int, n), make([]time.Duration, n)
	for i := range n {
		r.next[i], r.heard[i] = r.lastIndex()+1, r.w.now
	}
	r.log = append(r.log, entry{term: r.term})
	r.barrier = r.lastIndex()
	if r.w.broken(LeadsWithoutBarrier) {
		r.owner.lead(r.term)
	}
	r.keepLeading(r.term)
}

// keepLeading replicates until the leadership ends, and ends it when no majority answers.
func (r *replica) keepLeading(term checkpoint.Term) {
	if r.role != leading || r.term != term {
		return
	}
	reached := 1
	r.peers(func(peer int) {
		if r.w.now-r.heard[peer] <= leaderLease {
			reached++
		}
	})
	if reached < r.quorum() && !r.w.broken(CommitsAlone) {
		r.w.trace.add(r.w.now, "%s reaches no majority in term %d", r.owner.id, r.term)
		r.stepDown()
		return
	}
	r.replicate()
	r.owner.after(replicateInterval, func() { r.keepLeading(term) })
}

// follow moves to a term if that is newer than the replica's.
func (r *replica) follow(term checkpoint.Term) {
	if term > r.term {
		r.term, r.votedFor = term, -1
		r.stepDown()
	}
}

func (r *replica) stepDown() {
	was := r.role
	r.role, r.busyUntil = follower, 0
	if was != leading {
		return
	}
	r.resetElection()
	r.failWaiting()
	r.owner.deposed()
}

// transfer hands leadership to a peer: no more proposals, and the peer stands for election when it has
// everything. It gives up when that takes too long.
func (r *replica) transfer(to int) {
	if r.role != leading || r.w.now < r.busyUntil {
		return
	}
	r.busyUntil = r.w.now + transferLimit
	r.w.trace.add(r.w.now, "%s hands term %d over to %s", r.owner.id, r.term, r.w.coordinators[to].id)
	r.tryTransfer(to, r.term)
}

func (r *replica) tryTransfer(to int, term checkpoint.Term) {
	if r.role != leading || r.term != term || r.w.now >= r.busyUntil {
		return
	}
	if r.match[to] < r.lastIndex() {
		r.replicate()
		r.owner.after(5*time.Millisecond, func() { r.tryTransfer(to, term) })
		return
	}
	r.send(to, func(p *replica) {
		if p.term == term {
			p.campaign()
		}
	})
}
