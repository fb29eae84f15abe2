package node

import (
	"context"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/membership"
	"cairn/transport"
)

const (
	// heartbeatInterval is how often a node says that it lives; the leader gives it up after a few missed ones
	// when gossip agrees, and after ten seconds in any case.
	heartbeatInterval = 500 * time.Millisecond
	// firstRetry is the pause before a session that broke is opened again; it doubles up to maxRetry.
	firstRetry = 50 * time.Millisecond
	maxRetry   = time.Second
)

// keepSessions keeps a session to every coordinator that gossip calls alive, until ctx is done. It waits until
// gossip knows that no other process holds this node's ID: a second one must not displace the first one's session.
func (a *Agent) keepSessions(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.endpoint.Gossip.Ready():
	}
	type kept struct {
		address string
		cancel  context.CancelFunc
	}
	sessions := make(map[checkpoint.NodeID]kept)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			for _, s := range sessions {
				s.cancel()
			}
			return nil
		case event, open := <-a.endpoint.Gossip.Events():
			if !open {
				<-ctx.Done()
				continue
			}
			m := event.Member
			if m.Role != membership.RoleCoordinator {
				continue
			}
			old, found := sessions[m.ID]
			alive := m.State == membership.StateAlive
			if found && (!alive || old.address != m.RPCAddr) {
				old.cancel()
				delete(sessions, m.ID)
				found = false
			}
			if alive && !found {
				ctx, cancel := context.WithCancel(ctx)
				sessions[m.ID] = kept{m.RPCAddr, cancel}
				running.Go(func() { a.keepSession(ctx, m.ID, m.RPCAddr) })
			}
		}
	}
}

// keepSession opens a session to one coordinator, and again whenever it breaks.
func (a *Agent) keepSession(ctx context.Context, coordinator checkpoint.NodeID, address string) {
	log := a.log.With("coordinator", coordinator, "address", address)
	wait := firstRetry
	for ctx.Err() == nil {
		s, err := a.endpoint.Dialer.OpenSession(ctx, address, a.executor.Hello())
		if err == nil {
			log.Info("session opened")
			wait = firstRetry
			err = a.serveSession(ctx, s)
		}
		if ctx.Err() != nil {
			return
		}
		if wait == firstRetry {
			log.Warn("no session; trying again until there is one", "cause", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			wait = min(2*wait, maxRetry)
		}
	}
}

// serveSession hands what the coordinator says to the executor until the session ends.
func (a *Agent) serveSession(ctx context.Context, s *transport.Session) error {
	defer a.executor.SessionClosed(s)
	beats := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() { heartbeat(ctx, s, beats) })
	defer beating.Wait()
	defer close(beats)
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	defer s.Close()
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		a.executor.Receive(s, m)
	}
}

func heartbeat(ctx context.Context, s *transport.Session, done <-chan struct{}) {
	ticker := time.NewTicker(heartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-done:
			return
		case <-ticker.C:
			if s.Send(checkpoint.Heartbeat{}) != nil {
				return // the receiver learns why
			}
		}
	}
}
