package membership

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

// keepJoined finds other members and finds them again after a partition, until ctx is done.
//
// Until it has exchanged states with one of them it tries all seeds, at growing intervals, and those whose
// gossip it has received: hearing of others does not mean that they have heard of this process. Later,
// while it is alone, it tries all seeds and all members that have failed. While it is not, it tries one of
// them at a time, now and then: memberlist forgets dead nodes after a while, and two halves of a cluster
// would otherwise stay apart for ever once a long partition is over.
func (g *Gossip) keepJoined(ctx context.Context) {
	pause := g.cfg.RetryInterval
	lastErr := ""
	for attempt := 1; ; attempt++ {
		err := g.joinOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = g.cfg.RetryInterval
			lastErr, attempt = "", 0
			if !sleep(ctx, jitter(g.cfg.ReconnectInterval)) {
				return
			}
			continue
		}
		// The same failure again and again is for those who look for it.
		log := g.logger.Debug
		if err.Error() != lastErr {
			log, lastErr = g.logger.Warn, err.Error()
		}
		log("no other member answers, trying again", "join", g.cfg.Join, "attempt", attempt, "error", err)
		if !sleep(ctx, jitter(pause)) {
			return
		}
		pause = min(2*pause, g.cfg.RetryMax)
	}
}

// jitter spreads d over d/2 to 3d/2, so that members that start together do not call together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }

// joinOnce makes one round of attempts. The error says why this process is still alone, or has still not
// been introduced, although it knows whom to join.
func (g *Gossip) joinOnce(ctx context.Context) error {
	seeds, errs := g.seeds(ctx)
	view := g.view(seeds)
	missing := view.missing
	if view.settled && len(view.others) > 0 && len(missing) > 0 {
		i := rand.IntN(len(missing))
		missing = missing[i : i+1]
	}
	reached, failures := g.contact(ctx, missing)
	errs = append(errs, failures...)
	if !view.settled && reached == 0 {
		// Those who found this process first, or whose gossip for its predecessor it has received.
		reached, failures = g.contact(ctx, view.others)
		errs = append(errs, failures...)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// No error and nobody there: there is nobody to join, because a seed that answers and leaves this
	// process alone is this process itself, by another of its addresses.
	if err := errors.Join(errs...); err != nil {
		if introduced := view.settled || reached > 0; !introduced || g.alone() {
			return err
		}
		g.logger.Debug("member out of reach", "error", err)
	}
	g.settle()
	return nil
}

// seeds returns the addresses of the configured seeds, looked up each time: names can move.
func (g *Gossip) seeds(ctx context.Context) (addrs []string, errs []error) {
	for _, seed := range g.cfg.Join {
		resolved, err := resolve(ctx, seed)
		if err != nil {
			errs = append(errs, err)
		}
		addrs = append(addrs, resolved...)
	}
	return addrs, errs
}

// contact exchanges states with the members at the given addresses, IP:port each, and returns how many
// answered. Each takes up to twice the stream timeout.
func (g *Gossip) contact(ctx context.Context, addrs []string) (reached int, errs []error) {
	for _, addr := range addrs {
		if ctx.Err() != nil {
			break
		}
		if _, err := g.list.Load().Join([]string{addr}); err != nil {
			errs = append(errs, err)
			continue
		}
		reached++
	}
	return reached, errs
}

// view is what an attempt to join starts from; all are gossip addresses, none that of this process.
type view struct {
	settled bool
	missing []string // the seeds, and where members that have failed were last, if no member is alive there
	others  []string // the live members
}

func (g *Gossip) view(seeds []string) view {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetLocked()
	r := g.mu.roster
	v := view{settled: r.settled}
	for _, m := range r.others() {
		v.others = append(v.others, m.GossipAddr)
	}
	self := r.seats[r.self].holder.member.GossipAddr
	v.missing = slices.DeleteFunc(append(seeds, r.failedAddrs()...), func(addr string) bool {
		return addr == self || slices.Contains(v.others, addr)
	})
	slices.Sort(v.missing)
	v.missing = slices.Compact(v.missing)
	return v
}

func (g *Gossip) alone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.mu.roster.others()) == 0
}

// settle records that this process has found its place: who claims its ID from now on comes second.
func (g *Gossip) settle() {
	g.change(func(r *roster, _ time.Time) []Event {
		r.settled = true
		return nil
	})
}
