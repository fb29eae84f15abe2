package transport

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

func TestOutboxSendsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox[int](QueueLimits{})
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := errors.New("stopped")
		var sent []int
		ended := make(chan error, 1)
		go func() { ended <- o.run(ctx, func(m int) error { sent = append(sent, m); return nil }) }()
		for i := range 100 {
			if err := o.put(i, 1); err != nil {
				t.Fatal(err)
			}
			if i%7 == 0 {
				synctest.Wait() // the sender catches up, and sleeps
			}
		}
		synctest.Wait()
		cancel(stopped)
		if err := <-ended; !errors.Is(err, stopped) {
			t.Errorf("run returned %v", err)
		}
		for i, m := range sent {
			if m != i {
				t.Fatalf("message %d was sent in place %d", m, i)
			}
		}
		if len(sent) != 100 || o.mu.messages != 0 || o.mu.bytes != 0 {
			t.Errorf("sent %d; %d messages, %d bytes are still counted", len(sent), o.mu.messages, o.mu.bytes)
		}
	})
}

func TestOutboxLimits(t *testing.T) {
	for _, tc := range []struct {
		name   string
		limits QueueLimits
		size   int
		fit    int
	}{
		{"messages", QueueLimits{Messages: 5, Bytes: 1000}, 10, 5},
		{"bytes", QueueLimits{Messages: 1000, Bytes: 95}, 10, 9},
		{"defaults", QueueLimits{}, 1 << 20, 64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox[int](tc.limits)
				// What is being sent counts as well: the sender takes everything and sticks to the first.
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() {
					ended <- o.run(ctx, func(int) error { <-ctx.Done(); return ctx.Err() })
				}()
				for i := range tc.fit {
					if err := o.put(i, tc.size); err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					synctest.Wait()
				}
				if err := o.put(0, tc.size); !errors.Is(err, ErrOverflow) {
					t.Errorf("one more gave %v", err)
				}
				cancel()
				<-ended
			})
		})
	}
}

// What is offered is lost as long as anything waits, so that it never adds to the queue of a peer that is slow.
func TestOutboxOffersNothingToASlowPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox[int](QueueLimits{Messages: 10, Bytes: 100})
		ctx, cancel := context.WithCancel(t.Context())
		slow := make(chan struct{})
		var sent []int
		ended := make(chan error, 1)
		go func() { ended <- o.run(ctx, func(m int) error { <-slow; sent = append(sent, m); return nil }) }()
		offer := func(messages ...int) bool {
			var all []queued[int]
			for _, m := range messages {
				all = append(all, queued[int]{m, 10})
			}
			synctest.Wait()
			return o.offer(all)
		}
		if !offer(1, 2) {
			t.Error("an idle peer was not offered two messages")
		}
		for range 1000 {
			if offer(3) {
				t.Fatal("a message was offered while another one is being sent")
			}
		}
		slow <- struct{}{}
		if offer(4) {
			t.Error("a message was offered while another one waits")
		}
		slow <- struct{}{}
		if offer(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10) {
			t.Error("more was offered than the queue may hold")
		}
		if !offer(5) {
			t.Error("the peer has caught up, and was not offered a message")
		}
		slow <- struct{}{}
		synctest.Wait()
		cancel()
		<-ended
		if want := []int{1, 2, 5}; !slices.Equal(sent, want) || o.mu.messages != 0 || o.mu.bytes != 0 {
			t.Errorf("sent %v, want %v; %d messages, %d bytes are still counted", sent, want, o.mu.messages, o.mu.bytes)
		}
	})
}
