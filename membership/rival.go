package membership

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// rivalGrace is how long a process that came second has to find out and leave by itself.
	rivalGrace = 5 * time.Second
	// rivalPatience is after how long memberlist's word that a rival is alive counts as much as an answer
	// to a ping: a dead one would have been found out long before, even under load.
	rivalPatience = 30 * time.Second
)

// guardID watches for other live processes with the ID of this one. It returns nil when ctx is done, and
// an error that wraps ErrDuplicateID when this one has to give way.
func (g *Gossip) guardID(ctx context.Context) error {
	for {
		self, rivals, unseen := g.rivals()
		for _, r := range unseen {
			g.logger.Warn("another process claims the ID of this one", "member", self.ID, "own_addr", self.GossipAddr,
				"other_addr", r.member.GossipAddr, "other_incarnation", r.member.Incarnation, "was_first", r.preceded)
		}
		if len(rivals) == 0 {
			select {
			case <-g.rivalSeen:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		for _, r := range rivals {
			if r.displaces(self, time.Now(), func() bool { return g.answers(r.member) }) {
				return fmt.Errorf("%w: %s is held by the process at %s, this one is at %s", ErrDuplicateID,
					self.ID, r.member.GossipAddr, self.GossipAddr)
			}
		}
		if !sleep(ctx, g.cfg.Timing.ProbeInterval) {
			return nil
		}
	}
}

// displaces reports whether the process self has to give way to the rival c: because the rival was there
// first, or, where neither was (they arrived at once through different members, or two clusters have
// merged), because it started first. It takes a proof that the rival is alive: answers pings it. The dead
// predecessor of a restarted process looks the same until memberlist has found it dead.
func (c claim) displaces(self Member, now time.Time, answers func() bool) bool {
	age := now.Sub(c.since)
	if !c.preceded && (age < rivalGrace || !outranks(c.member, self)) {
		return false
	}
	return age >= rivalPatience || answers()
}

// outranks is a total order of the processes of one ID, the same at all members.
func outranks(a, b Member) bool {
	if a.Started != b.Started {
		return a.Started < b.Started
	}
	return a.Incarnation < b.Incarnation
}

// answers pings exactly the process that m describes: another one at its address would not answer to its
// name.
func (g *Gossip) answers(m Member) bool {
	addr, err := netip.ParseAddrPort(m.GossipAddr)
	if err != nil {
		return false
	}
	_, err = g.list.Load().Ping(m.process().String(), net.UDPAddrFromAddrPort(addr))
	return err == nil
}

// rivals returns the live processes with the ID of this one, and those that have claimed it since the last
// call.
func (g *Gossip) rivals() (self Member, live, unseen []claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.mu.roster
	unseen, r.newRivals = r.newRivals, nil
	return r.seats[r.self].holder.member, r.rivals(), unseen
}

func anyPreceded(claims []claim) bool {
	return slices.ContainsFunc(claims, func(c claim) bool { return c.preceded })
}
