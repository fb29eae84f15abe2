package dataflow

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// takeByte returns the channel and first byte of the next frame, or -1 when there is none.
func takeByte(t *testing.T, g *gate) (channel int, b byte) {
	t.Helper()
	channel, frame, err := g.take()
	if err != nil {
		t.Fatal(err)
	}
	if frame == nil {
		return -1, 0
	}
	defer recycle(frame)
	return channel, (*frame)[0]
}

func TestGateServesChannelsInTurn(t *testing.T) {
	g := newGate(2)
	for _, f := range []struct {
		channel int
		b       byte
	}{{0, 'a'}, {0, 'b'}, {0, 'c'}, {1, 'x'}} {
		if err := g.put(t.Context(), f.channel, []byte{f.b}); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for {
		channel, b := takeByte(t, g)
		if channel < 0 {
			break
		}
		got = append(got, b)
	}
	if string(got) != "axbc" {
		t.Errorf("taken in the order %q", got)
	}
}

// TestGateBlockedChannelStallsNoOther fills a blocked channel until its writer waits, and sends through the
// other one all the while.
func TestGateBlockedChannelStallsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2)
		g.block([]int{0})
		const sent = 3 * queueCapacity
		written := 0
		go func() {
			for i := range sent {
				if err := g.put(t.Context(), 0, []byte{'A' + byte(i)}); err != nil {
					t.Error(err)
				}
				written++
			}
		}()
		synctest.Wait() // the writer waits for room
		if written != queueCapacity {
			t.Fatalf("the writer of the blocked channel wrote %d frames, the queue holds %d", written, queueCapacity)
		}
		for i := range sent {
			if err := g.put(t.Context(), 1, []byte{'A' + byte(i)}); err != nil {
				t.Fatal(err)
			}
			if channel, b := takeByte(t, g); channel != 1 || b != 'A'+byte(i) {
				t.Fatalf("took %d of channel %d, want %d of channel 1", b, channel, i)
			}
		}
		if channel, _ := takeByte(t, g); channel >= 0 {
			t.Fatalf("took from channel %d, which is blocked", channel)
		}
		g.unblock([]int{0})
		for i := range sent {
			synctest.Wait()
			if channel, b := takeByte(t, g); channel != 0 || b != 'A'+byte(i) {
				t.Fatalf("took %d of channel %d, want %d of channel 0", b, channel, i)
			}
		}
	})
}

func TestGateWriterGivesUp(t *testing.T) {
	for name, stop := range map[string]func(*gate, context.CancelFunc){
		"its context ends":   func(_ *gate, cancel context.CancelFunc) { cancel() },
		"the task fails":     func(g *gate, _ context.CancelFunc) { g.end(errTaskEnded) },
		"the task finishes":  func(g *gate, _ context.CancelFunc) { g.end(nil) },
		"a frame makes room": func(g *gate, _ context.CancelFunc) { _, f, _ := g.take(); recycle(f) },
	} {
		want := map[string]error{"its context ends": context.Canceled, "the task fails": errTaskEnded}[name]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				for range queueCapacity {
					if err := g.put(ctx, 0, []byte{1}); err != nil {
						t.Fatal(err)
					}
				}
				result := make(chan error, 1)
				go func() { result <- g.put(ctx, 0, []byte{1}) }()
				synctest.Wait()
				stop(g, cancel)
				if err := <-result; !errors.Is(err, want) || (want == nil) != (err == nil) {
					t.Errorf("the writer got %v, want %v", err, want)
				}
			})
		})
	}
}

func TestGateClosedChannel(t *testing.T) {
	g := newGate(2)
	complete := &receiver{gate: g, channel: 0, name: "channel 0"}
	if err := complete.Write(t.Context(), []byte{frameEndOfPartition}); err != nil {
		t.Fatal(err)
	}
	if err := complete.Write(t.Context(), []byte{frameEndOfData}); !errors.Is(err, errFrame) {
		t.Errorf("a frame behind the end of the partition: %v", err)
	}
	_ = complete.Close()
	if channel, b := takeByte(t, g); channel != 0 || b != frameEndOfPartition {
		t.Errorf("took %d of channel %d", b, channel)
	}
	cause := errors.New("connection reset")
	(&receiver{gate: g, channel: 1, name: "channel 1"}).Fail(cause)
	_, _, err := g.take()
	if !errors.Is(err, cause) || !FailureOf(err).Secondary {
		t.Errorf("a channel that breaks: %v", err)
	}
}
