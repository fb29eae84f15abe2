package transport

import (
	"context"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
)

func TestDialerCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDialer(DialerOptions{})
		release, closed := make(chan struct{}), make(chan struct{})
		if !d.start(func() { <-release }) {
			t.Fatal("the dialer is closed")
		}
		go func() {
			defer close(closed)
			d.Close()
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a goroutine was running")
		default:
		}
		close(release)
		<-closed
		if d.start(func() {}) {
			t.Error("a goroutine was started after Close")
		}
	})
}

func TestDialerCloseEndsEverything(t *testing.T) {
	sink := newRecorder()
	address := serve(t, ServerOptions{
		Channels: accepting(sink),
		Sessions: sessionFunc(func(ctx context.Context, _ checkpoint.Hello, _ NodeSession) error {
			<-ctx.Done()
			return ctx.Err()
		}),
	})
	d := NewDialer(DialerOptions{})
	s, err := d.OpenSession(t.Context(), address, testHello)
	if err != nil {
		t.Fatal(err)
	}
	w := openChannel(t, d, address, 0)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, done := range map[string]chan struct{}{"session": s.done, "channel": w.done} {
		select {
		case <-done:
		default:
			t.Errorf("Close returned while a goroutine of the %s was running", name)
		}
	}
	_, err = s.Recv()
	wantError(t, err, ErrClosed)
}

func TestDialerRefusesAfterClose(t *testing.T) {
	d := NewDialer(DialerOptions{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := d.OpenSession(t.Context(), "127.0.0.1:1", testHello)
	wantError(t, err, ErrClosed)
	_, err = d.OpenChannel(t.Context(), "127.0.0.1:1", ChannelID{}, func() {})
	wantError(t, err, ErrClosed)
	wantError(t, d.Peer("127.0.0.1:1").Put(t.Context(), chunkRef(1, 0), EncodedChunk{}), ErrClosed)
}

func TestDialerKeepsBulkAndControlApart(t *testing.T) {
	d := dialer(t)
	seen := make(map[*conn]lane)
	for _, l := range []lane{laneControl, laneData, laneChunks} {
		c, err := d.conn("127.0.0.1:1", l)
		if err != nil {
			t.Fatal(err)
		}
		if other, shared := seen[c]; shared {
			t.Errorf("lanes %d and %d share a connection", l, other)
		}
		seen[c] = l
		if again, err := d.conn("127.0.0.1:1", l); err != nil || again != c {
			t.Errorf("lane %d is not shared between callers: %v", l, err)
		}
	}
}
