package membership

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/memberlist"
)

// maxLeftSent bounds what is told about past departures when two members synchronise.
const maxLeftSent = 64

// Leave takes this process out of the cluster so that the others see it left, not failed. It returns once
// every live member has acknowledged the goodbye and memberlist has spread its own, or when ctx or
// Config.LeaveTimeout end; the error then says how many members may see a failure instead. The process goes
// on answering until Run's context ends. It cannot come back: that takes a new Gossip with a new
// incarnation.
func (g *Gossip) Leave(ctx context.Context) error {
	if !g.begin() {
		return ErrClosed
	}
	defer g.ops.Done()
	ctx, cancel := context.WithTimeout(ctx, g.cfg.LeaveTimeout)
	defer cancel()

	g.mu.Lock()
	if g.mu.acks == nil {
		g.mu.acks = make(map[process]bool)
	}
	self := g.mu.roster.seats[g.process.ID].holder.member
	self.State = StateLeft
	g.mu.roster.setSelf(self)
	g.mu.Unlock()

	// memberlist's announcement must come second: to who hears it first, it looks like a failure. It gets
	// the second half of the time even if somebody does not acknowledge.
	unheard := g.sayGoodbye(ctx, timeLeft(ctx, g.cfg.LeaveTimeout)/2)
	if unheard == 0 {
		// Everybody has been told. The announcement is a courtesy to who joins at this moment, and it times
		// out when nobody is left to spread it.
		_ = g.list.Load().Leave(min(timeLeft(ctx, g.cfg.LeaveTimeout), courtesy))
		return nil
	}
	if err := g.list.Load().Leave(timeLeft(ctx, g.cfg.LeaveTimeout)); err != nil {
		return fmt.Errorf("leave of %s, with %d members not told: %w", g.process.ID, unheard, err)
	}
	return fmt.Errorf("leave of %s: %d members did not acknowledge and may see a failure", g.process.ID, unheard)
}

// courtesy bounds memberlist's own announcement when every member has acknowledged the goodbye.
const courtesy = 300 * time.Millisecond

// sayGoodbye repeats the goodbye to all live members until each has acknowledged. It returns how many had
// not when the time was up.
func (g *Gossip) sayGoodbye(ctx context.Context, limit time.Duration) int {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	goodbye := message{kind: msgLeaving, fields: []string{g.process.String(), g.LocalAddr()}}
	resend := time.NewTicker(g.cfg.Timing.ProbeTimeout)
	defer resend.Stop()
	for {
		missing := g.unacknowledged()
		if len(missing) == 0 {
			return 0
		}
		for _, m := range missing {
			g.send(m.process().String(), m.GossipAddr, goodbye)
		}
	wait:
		for {
			select {
			case <-g.acked:
				if len(g.unacknowledged()) == 0 {
					return 0
				}
			case <-resend.C:
				break wait
			case <-g.closing:
				return len(g.unacknowledged())
			case <-ctx.Done():
				return len(g.unacknowledged())
			}
		}
	}
}

// unacknowledged returns the live members that have not acknowledged that this process is leaving. Who
// fails meanwhile drops out.
func (g *Gossip) unacknowledged() []Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	var missing []Member
	for _, m := range g.mu.roster.others() {
		if !g.mu.acks[m.process()] {
			missing = append(missing, m)
		}
	}
	return missing
}

// send sends one packet; whoever needs an answer repeats it.
func (g *Gossip) send(name, addr string, m message) {
	list := g.list.Load()
	if list == nil {
		return
	}
	if err := list.SendToAddress(memberlist.Address{Addr: addr, Name: name}, m.encode()); err != nil {
		g.logger.Debug("gossip message not sent", "member", name, "address", addr, "error", err)
	}
}

// receive handles a message of another member. What it cannot read it drops.
func (g *Gossip) receive(b []byte) {
	m, err := decodeMessage(b)
	if err != nil {
		g.logger.Warn("gossip message dropped", "error", err)
		return
	}
	switch m.kind {
	case msgLeaving:
		g.receiveLeft(m.fields[:1])
		ack := message{kind: msgLeavingAck, fields: []string{m.fields[0], g.process.String()}}
		g.send(m.fields[0], m.fields[1], ack)
	case msgLeavingAck:
		g.receiveAck(m.fields[0], m.fields[1])
	case msgLeft:
		g.receiveLeft(m.fields)
	}
}

func (g *Gossip) receiveLeft(names []string) {
	for _, name := range names {
		p, err := parseProcess(name)
		if err != nil {
			g.logger.Warn("gossip message dropped", "error", err)
			return
		}
		g.change(func(r *roster, now time.Time) []Event { return r.gone(p, StateLeft, now) })
	}
}

func (g *Gossip) receiveAck(leaver, by string) {
	p, err := parseProcess(by)
	if err != nil || leaver != g.process.String() {
		return // for an earlier process at this address
	}
	g.mu.Lock()
	if g.mu.acks != nil {
		g.mu.acks[p] = true
	}
	g.mu.Unlock()
	wake(g.acked)
}

// leftMessage returns the latest departures in the form that receive reads.
func (g *Gossip) leftMessage() []byte {
	m := message{kind: msgLeft}
	g.mu.Lock()
	for _, p := range g.mu.roster.left(maxLeftSent) {
		m.fields = append(m.fields, p.String())
	}
	g.mu.Unlock()
	return m.encode()
}
