package exchange

import (
	"errors"
	"slices"
	"testing"

	"cairn/checkpoint"
)

// acceptedGate is a gate whose channels are connected and hold so many frames each. granted counts what their senders
// were granted.
func acceptedGate(t *testing.T, channels, frames int) (g *Gate, granted []Credit) {
	t.Helper()
	g = NewGate(channels)
	g.Flow.Window.Frames = frames
	granted = make([]Credit, channels)
	for i := range channels {
		if err := g.accept(i, func(c Credit) { granted[i] = granted[i].Add(c) }); err != nil {
			t.Fatal(err)
		}
	}
	return g, granted
}

func deliver(t *testing.T, g *Gate, channel int, frame ...byte) {
	t.Helper()
	if sent, err := g.tryPut(channel, frame); !sent || err != nil {
		t.Fatalf("put %q: %t, %v", frame, sent, err)
	}
}

// takeByte returns the channel and first byte of the next frame, or -1 when there is none.
func takeByte(t *testing.T, g *Gate) (channel int, b byte) {
	t.Helper()
	channel, frame, err := g.Take()
	if err != nil {
		t.Fatal(err)
	}
	if frame == nil {
		return -1, 0
	}
	defer frame.Release()
	return channel, frame.data[0]
}

func TestGateServesChannelsInTurn(t *testing.T) {
	g, _ := acceptedGate(t, 2, 8)
	for _, f := range []struct {
		channel int
		b       byte
	}{{0, 'a'}, {0, 'b'}, {0, 'c'}, {1, 'x'}} {
		deliver(t, g, f.channel, f.b)
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

// TestGateBlockedChannelStallsNoOther fills a blocked channel until its sender has no credit left, and sends through the
// other one all the while.
func TestGateBlockedChannelStallsNoOther(t *testing.T) {
	const frames = 8
	g, granted := acceptedGate(t, 2, frames)
	g.Block([]int{0})
	for i := range frames {
		deliver(t, g, 0, 'A'+byte(i))
	}
	if sent, err := g.tryPut(0, []byte{'Z'}); sent || err != nil {
		t.Fatalf("the blocked channel took a frame without credit: %t, %v", sent, err)
	}
	for i := range byte(3 * frames) {
		deliver(t, g, 1, 'A'+i)
		if channel, b := takeByte(t, g); channel != 1 || b != 'A'+i {
			t.Fatalf("took %d of channel %d, want %d of channel 1", b, channel, i)
		}
	}
	if channel, _ := takeByte(t, g); channel >= 0 {
		t.Fatalf("took from channel %d, which is blocked", channel)
	}
	if granted[0].Frames != frames {
		t.Errorf("the blocked channel granted %d frames", granted[0].Frames)
	}
	g.Unblock([]int{0})
	for i := range byte(frames) {
		if channel, b := takeByte(t, g); channel != 0 || b != 'A'+i {
			t.Fatalf("took %d of channel %d, want %d of channel 0", b, channel, i)
		}
	}
	deliver(t, g, 0, 'Z')
}

// TestGateGrantsWhatItTakes: a sender that has used up its credit always gets more once the task takes frames, and never
// more than the task has taken.
func TestGateGrantsWhatItTakes(t *testing.T) {
	for _, window := range []Credit{{1, 1 << 20}, {2, 1 << 20}, {7, 1 << 20}, {1000, 10}, {1000, 1}} {
		g := NewGate(1)
		g.Flow.Window = window
		var granted Credit
		if err := g.accept(0, func(c Credit) { granted = granted.Add(c) }); err != nil {
			t.Fatal(err)
		}
		frame := []byte{FrameRecords, 1, 2, 3}
		var sent, taken Credit
		for range 100 {
			for granted.Frames > sent.Frames && granted.Bytes > sent.Bytes {
				deliver(t, g, 0, frame...)
				sent = sent.Add(Credit{1, len(frame)})
			}
			if ok, _ := g.tryPut(0, frame); ok {
				t.Fatalf("window %v: a frame was taken without credit", window)
			}
			before := granted
			for granted == before {
				if channel, _ := takeByte(t, g); channel < 0 {
					t.Fatalf("window %v: the queue is empty, the sender has sent %v of %v", window, sent, granted)
				}
				taken = taken.Add(Credit{1, len(frame)})
			}
			if granted.Frames > window.Frames+taken.Frames || granted.Bytes > window.Bytes+taken.Bytes {
				t.Fatalf("window %v: granted %v when %v were taken", window, granted, taken)
			}
		}
	}
}

func TestGateEnds(t *testing.T) {
	for name, final := range map[string]error{"failed": ErrTaskEnded, "finished": nil} {
		t.Run(name, func(t *testing.T) {
			g, granted := acceptedGate(t, 1, 2)
			deliver(t, g, 0, 1)
			deliver(t, g, 0, 1)
			before := granted[0]
			g.End(final)
			if granted[0] == before {
				t.Error("the sender, who waits for credit, is not told")
			}
			for range 100 { // a finished task takes everything
				if sent, err := g.tryPut(0, []byte{1}); !sent || !errors.Is(err, final) {
					t.Fatalf("%t, %v", sent, err)
				}
			}
			if final == nil && granted[0].Frames < 100 {
				t.Errorf("the sender to a finished task runs out of credit: %v", granted[0])
			}
		})
	}
}

func TestGateClosedChannel(t *testing.T) {
	g, _ := acceptedGate(t, 2, 8)
	complete := &receiver{gate: g, channel: 0, name: "channel 0"}
	if _, err := complete.TryWrite([]byte{FrameEndOfPartition}); err != nil {
		t.Fatal(err)
	}
	if _, err := complete.TryWrite([]byte{FrameEndOfData}); !errors.Is(err, ErrFrame) {
		t.Errorf("a frame behind the end of the partition: %v", err)
	}
	_ = complete.Close()
	if channel, b := takeByte(t, g); channel != 0 || b != FrameEndOfPartition {
		t.Errorf("took %d of channel %d", b, channel)
	}
	cause, channel := errors.New("connection reset"), new(ChannelError)
	(&receiver{gate: g, channel: 1, name: "channel 1"}).Fail(cause)
	_, _, err := g.Take()
	if !errors.Is(err, cause) || !errors.As(err, &channel) {
		t.Errorf("a channel that breaks: %v", err)
	}
}

// barrierOf is the barrier of a checkpoint with the given alignment.
func barrierOf(id checkpoint.ID, alignment checkpoint.Alignment) checkpoint.Barrier {
	b := barrier(id)
	b.Alignment = alignment
	return b
}

func barrier(id checkpoint.ID) checkpoint.Barrier {
	return checkpoint.Barrier{
		ID: id, Timestamp: checkpoint.Timestamp(someTime.UnixMilli()),
		Kind: checkpoint.KindCheckpoint, Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned,
	}
}

// TestGateAnnouncesBarriers: what may overtake is heard of at once, but never before another barrier of its channel.
func TestGateAnnouncesBarriers(t *testing.T) {
	g, _ := acceptedGate(t, 1, 2)
	deliver(t, g, 0, FrameRecords)
	deliver(t, g, 0, AppendBarrier(nil, barrier(1))...)
	unaligned := AppendBarrier(nil, barrierOf(2, checkpoint.AlignmentUnaligned))
	deliver(t, g, 0, unaligned...) // needs no credit
	if a := g.TakeArrivals(); len(a) != 0 {
		t.Fatalf("%v has overtaken another barrier", a)
	}
	if _, b := takeByte(t, g); b != FrameRecords {
		t.Fatalf("took %d", b)
	}
	if _, b := takeByte(t, g); b != FrameBarrier {
		t.Fatalf("took %d", b)
	}
	if channel, _ := takeByte(t, g); channel >= 0 {
		t.Fatal("a frame is taken before the arrivals")
	}
	if a := g.TakeArrivals(); len(a) != 1 || a[0].Barrier.ID != 2 {
		t.Fatalf("arrived: %v", a)
	}
	deliver(t, g, 0, FrameRecords)
	deliver(t, g, 0, AppendCancel(nil, 2)...) // needs no credit, and takes no place in the queue
	if a := g.TakeArrivals(); len(a) != 1 || a[0].Cancel != 2 {
		t.Fatalf("arrived: %v", a)
	}
	var rest []byte
	for channel, b := takeByte(t, g); channel >= 0; channel, b = takeByte(t, g) {
		rest = append(rest, b)
	}
	if !slices.Equal(rest, []byte{FrameBarrier, FrameRecords}) {
		t.Errorf("left in the queue: %v", rest)
	}
}
