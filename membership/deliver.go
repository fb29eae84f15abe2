package membership

import (
	"context"
	"time"
)

// change applies f to the roster, queues the events it returns and wakes who waits for the consequences.
func (g *Gossip) change(f func(r *roster, now time.Time) []Event) {
	now := time.Now()
	g.mu.Lock()
	events := f(g.mu.roster, now)
	for _, e := range events {
		g.mu.queue.push(e)
	}
	rivals := g.mu.roster.rivals()
	if g.mu.roster.settled && !g.mu.ready && !anyPreceded(rivals) {
		g.mu.ready = true
		close(g.ready)
	}
	g.mu.Unlock()
	if len(events) > 0 {
		wake(g.queued)
	}
	if len(rivals) > 0 {
		wake(g.rivalSeen)
	}
}

// wake sets a signal of capacity 1.
func wake(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default: // it is set already
	}
}

// deliver hands the queued events to the consumer until ctx is done.
func (g *Gossip) deliver(ctx context.Context) {
	defer close(g.events)
	for {
		g.mu.Lock()
		e, found := g.mu.queue.pop()
		g.mu.Unlock()
		if !found {
			select {
			case <-g.queued:
				continue
			case <-ctx.Done():
				return
			}
		}
		g.logger.Info("member "+e.Kind.String(), "member", e.Member.ID, "role", e.Member.Role,
			"incarnation", e.Member.Incarnation, "gossip_addr", e.Member.GossipAddr, "rpc_addr", e.Member.RPCAddr)
		select {
		case g.events <- e:
		case <-ctx.Done():
			return
		}
	}
}
