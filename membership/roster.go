package membership

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

// claim is one process that says it is the member with its ID.
type claim struct {
	member Member
	since  time.Time // of the last change of member.State
	// preceded is set when the process was there before this one had settled: it is the older holder.
	preceded bool
}

// seat is the place of one NodeID.
type seat struct {
	// holder is the process that is reported for the ID: alive, or the last one that was.
	holder *claim
	// waiting are the other live processes that claim the ID, by arrival. It is empty unless the holder is
	// alive (or is this process): when the holder goes, the newest one takes its place at once.
	waiting []*claim
}

// roster decides which process holds each ID and what is reported of it. It is a value of the past events
// and the times given: it does no I/O and reads no clock. The caller synchronises.
type roster struct {
	seats map[checkpoint.NodeID]*seat
	self  checkpoint.NodeID // its holder is this process, always
	// settled is set once this process counts as a member: from then on, who comes with its ID comes second.
	settled bool
	// newRivals are the claims to the ID of this process that guardID has not seen yet, even those that are
	// gone again: a process that comes second may give way within a millisecond.
	newRivals []claim
}

func newRoster(self Member, now time.Time) *roster {
	holder := &claim{member: self, since: now}
	return &roster{self: self.ID, seats: map[checkpoint.NodeID]*seat{self.ID: {holder: holder}}}
}

// alive records that memberlist regards the process that m describes as alive.
func (r *roster) alive(m Member, now time.Time) []Event {
	s := r.seats[m.ID]
	if s == nil {
		r.seats[m.ID] = &seat{holder: &claim{member: m, since: now}}
		return []Event{{EventJoined, m}}
	}
	if m.process() == s.holder.member.process() {
		return r.refresh(s.holder, m, now)
	}
	if i := s.waitingIndex(m.process()); i >= 0 {
		s.waiting[i].member = m
		return nil
	}
	c := &claim{member: m, since: now, preceded: !r.settled}
	switch {
	case m.ID == r.self:
		// At the address of this process it can only be its dead predecessor.
		if m.GossipAddr != s.holder.member.GossipAddr {
			s.waiting = append(s.waiting, c)
			r.newRivals = append(r.newRivals, *c)
		}
		return nil
	case s.holder.member.State != StateAlive:
		s.holder = c
		return []Event{{EventJoined, m}}
	case supersedes(m, s.holder.member):
		old := s.holder
		s.holder = c
		// memberlist goes on to regard the old process as alive until it notices; if the clocks were
		// wrong and it is the living one, it gets its seat back when the new one is found dead.
		s.waiting = append(s.waiting, old)
		gone := old.member
		gone.State = StateFailed
		return []Event{{EventFailed, gone}, {EventJoined, m}}
	}
	s.waiting = append(s.waiting, c)
	return nil
}

// refresh records news of the process that holds its seat.
func (r *roster) refresh(c *claim, m Member, now time.Time) []Event {
	switch {
	case m.ID == r.self, c.member.State == StateLeft, c.member == m:
		return nil // this process knows itself best; a goodbye is final; nothing new
	case c.member.State == StateAlive:
		c.member = m
		return []Event{{EventUpdated, m}}
	}
	c.member, c.since = m, now
	return []Event{{EventJoined, m}}
}

// gone records that a process has failed or left.
func (r *roster) gone(p process, state State, now time.Time) []Event {
	s := r.seats[p.ID]
	if s == nil {
		return nil
	}
	if i := s.waitingIndex(p); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		return nil
	}
	c := s.holder
	if p != c.member.process() || p.ID == r.self || c.member.State == StateLeft || c.member.State == state {
		return nil // unknown, or this process, or known already; a goodbye is final
	}
	c.member.State, c.since = state, now
	kind := EventFailed
	if state == StateLeft {
		kind = EventLeft
	}
	events := []Event{{kind, c.member}}
	if last := len(s.waiting) - 1; last >= 0 {
		s.holder, s.waiting = s.waiting[last], s.waiting[:last]
		events = append(events, Event{EventJoined, s.holder.member})
	}
	return events
}

// supersedes reports whether a's being alive proves that b is dead: they use one address, which only one
// process can bind, and a started later by the clock that such processes share.
func supersedes(a, b Member) bool { return a.GossipAddr == b.GossipAddr && a.Started > b.Started }

// setSelf replaces what this process says of itself.
func (r *roster) setSelf(m Member) { r.seats[r.self].holder.member = m }

// rivals returns the live processes that claim the ID of this one.
func (r *roster) rivals() []claim {
	var rivals []claim
	for _, c := range r.seats[r.self].waiting {
		rivals = append(rivals, *c)
	}
	return rivals
}

// members returns the holder of each ID, this process included, by role and ID.
func (r *roster) members() []Member {
	all := make([]Member, 0, len(r.seats))
	for _, s := range r.seats {
		all = append(all, s.holder.member)
	}
	slices.SortFunc(all, compareMembers)
	return all
}

// others returns every live process but this one, claimants included, in a fixed order.
func (r *roster) others() []Member {
	var others []Member
	for _, id := range slices.Sorted(maps.Keys(r.seats)) {
		s := r.seats[id]
		if id != r.self && s.holder.member.State == StateAlive {
			others = append(others, s.holder.member)
		}
		for _, c := range s.waiting {
			others = append(others, c.member)
		}
	}
	return others
}

// failedAddrs returns the gossip addresses of the members that have failed, sorted.
func (r *roster) failedAddrs() []string {
	var addrs []string
	for _, s := range r.seats {
		if s.holder.member.State == StateFailed {
			addrs = append(addrs, s.holder.member.GossipAddr)
		}
	}
	slices.Sort(addrs)
	return addrs
}

// left returns up to limit processes that have left, the latest first.
func (r *roster) left(limit int) []process {
	var claims []*claim
	for id, s := range r.seats {
		if id != r.self && s.holder.member.State == StateLeft {
			claims = append(claims, s.holder)
		}
	}
	slices.SortFunc(claims, func(a, b *claim) int {
		return cmp.Or(b.since.Compare(a.since), cmp.Compare(a.member.ID, b.member.ID))
	})
	var names []process
	for _, c := range claims[:min(limit, len(claims))] {
		names = append(names, c.member.process())
	}
	return names
}

// forget drops the members that left or failed before the given time.
func (r *roster) forget(before time.Time) {
	maps.DeleteFunc(r.seats, func(id checkpoint.NodeID, s *seat) bool {
		return id != r.self && s.holder.member.State != StateAlive && s.holder.since.Before(before)
	})
}

func (s *seat) waitingIndex(p process) int {
	return slices.IndexFunc(s.waiting, func(c *claim) bool { return c.member.process() == p })
}
