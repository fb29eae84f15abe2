package executor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

func channel(attempt checkpoint.Attempt, to int) exchange.ChannelID {
	return exchange.ChannelID{Job: job1, Attempt: attempt, Edge: 0, From: 1, To: to}
}

func noGrant(exchange.Credit) {}

// I6: the zombie of an older attempt is told so; a peer that is ahead is asked to wait.
func TestAcceptChannel(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		check := func(when string, attempt checkpoint.Attempt, want error) {
			t.Helper()
			if _, err := c.AcceptChannel(t.Context(), channel(attempt, 0), noGrant); !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s, channel of attempt %d: %v, want %v", when, attempt, err, want)
			}
		}
		check("before any deployment", 1, ErrUnknownAttempt)
		c.made = func(f *fakeTask) { f.ignores = f.spec.Attempt == 2 }
		c.Receive(leader, deployment(1, 2))
		old := []*fakeTask{c.task(2, read0), c.task(2, write0)}
		check("while 2 runs", 1, ErrStaleAttempt)
		check("while 2 runs", 2, nil)
		check("while 2 runs", 3, ErrUnknownAttempt)
		c.Receive(leader, deployment(1, 3))
		synctest.Wait()
		check("while 3 waits for 2 to end", 2, ErrStaleAttempt)
		check("while 3 waits for 2 to end", 3, ErrUnknownAttempt)
		for _, f := range old {
			f.release()
		}
		c.task(3, read0)
		check("while 3 runs", 3, nil)
		c.Receive(leader, checkpoint.CancelAttempt{Term: 1, Job: job1, Attempt: 3})
		check("while 3 is being cancelled", 3, ErrStaleAttempt)
		synctest.Wait()
		check("after 3 was cancelled", 3, ErrStaleAttempt)
		check("after 3 was cancelled", 4, ErrUnknownAttempt)
	})
}

func TestAcceptChannelFindsTheTask(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		write := c.task(1, write0)
		w, err := c.AcceptChannel(t.Context(), channel(1, 0), noGrant)
		if err != nil || w.(fakeWriter).to != write {
			t.Errorf("got %+v, %v, want write[0]", w, err)
		}
		wrongEdge := channel(1, 0)
		wrongEdge.Edge = 1
		for _, id := range []exchange.ChannelID{channel(1, 1), channel(1, -1), wrongEdge} {
			if _, err := c.AcceptChannel(t.Context(), id, noGrant); err == nil || errors.Is(err, ErrUnknownAttempt) || errors.Is(err, ErrStaleAttempt) {
				t.Errorf("channel %+v: %v", id, err)
			}
		}
	})
}

func TestConnectToThisProcessWaitsForTheDeployment(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		var connected error = errors.New("still connecting")
		go func() {
			_, connected = connector{c.Executor}.Connect(t.Context(), self, channel(1, 0), func() {})
		}()
		time.Sleep(connectBound / 2)
		c.Receive(leader, deployment(1, 1))
		time.Sleep(2 * maxRetryWait)
		synctest.Wait()
		if connected != nil || c.peer.asked != 0 {
			t.Errorf("connecting: %v; the dialer was asked %d times", connected, c.peer.asked)
		}
	})
}

func TestConnectToAnotherNode(t *testing.T) {
	unknown := fmt.Errorf("n2: %w", ErrUnknownAttempt)
	tests := []struct {
		name      string
		refuse    []error
		want      error
		wantAsked int
	}{
		{"at once", nil, nil, 1},
		{"when it has been told", []error{unknown, unknown, unknown}, nil, 4},
		{"never, for a zombie", []error{unknown, ErrStaleAttempt}, ErrStaleAttempt, 2},
		{"gives up in the end", slices.Repeat([]error{unknown}, 1000), ErrUnknownAttempt, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				c.peer.refuse = test.refuse
				start := time.Now()
				_, err := connector{c.Executor}.Connect(t.Context(), other, channel(1, 1), func() {})
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if test.wantAsked != 0 && c.peer.asked != test.wantAsked {
					t.Errorf("asked %d times, want %d", c.peer.asked, test.wantAsked)
				}
				if took := time.Since(start); took > connectBound {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

func TestConnectEndsWithItsContext(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := (connector{c.Executor}).Connect(ctx, self, channel(1, 0), func() {}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A channel to the process that ran on this node before this one leads nowhere.
func TestConnectToAnEarlierProcessOfThisNode(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		c.task(1, write0)
		before := self
		before.Incarnation--
		if _, err := (connector{c.Executor}).Connect(t.Context(), before, channel(1, 0), func() {}); !errors.Is(err, ErrStaleAttempt) {
			t.Errorf("got %v", err)
		}
	})
}
