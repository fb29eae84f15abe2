package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"cairn/transport/transportpb"
)

// channelFunc makes a function a ChannelHandler.
type channelFunc func(context.Context, ChannelID) (FrameSink, error)

func (f channelFunc) AcceptChannel(ctx context.Context, id ChannelID) (FrameSink, error) {
	return f(ctx, id)
}

// recorder is a FrameSink that takes frames as long as its gate is open.
type recorder struct {
	gate  chan struct{} // closed when frames are taken; nil for at once
	err   error         // what Write returns
	ended chan error    // capacity 2, so that a second end shows: nil from Close, the error from Fail

	mu     sync.Mutex
	frames [][]byte
}

func newRecorder() *recorder { return &recorder{ended: make(chan error, 2)} }

func (r *recorder) Write(ctx context.Context, frame []byte) error {
	if r.gate != nil {
		select {
		case <-r.gate:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if r.err != nil {
		return r.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, bytes.Clone(frame))
	return nil
}

func (r *recorder) Close() error {
	r.ended <- nil
	return nil
}

func (r *recorder) Fail(err error) { r.ended <- err }

func (r *recorder) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.frames
}

// accepting hands the channel to subtask i to sinks[i].
func accepting(sinks ...*recorder) ChannelHandler {
	return channelFunc(func(_ context.Context, id ChannelID) (FrameSink, error) { return sinks[id.To], nil })
}

func openChannel(t *testing.T, d *Dialer, address string, to int) *ChannelWriter {
	t.Helper()
	w, err := d.OpenChannel(t.Context(), address, ChannelID{Job: testJob, Attempt: 3, Edge: 1, From: 2, To: to})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestChannelCarriesFramesInOrder(t *testing.T) {
	want := ChannelID{Job: testJob, Attempt: 3, Edge: 1, From: 2, To: 0}
	sink := newRecorder()
	address := serve(t, ServerOptions{Channels: channelFunc(func(_ context.Context, id ChannelID) (FrameSink, error) {
		if id != want {
			t.Errorf("opened %s, want %s", id, want)
		}
		return sink, nil
	})})
	w := openChannel(t, dialer(t), address, 0)
	random := rand.New(rand.NewPCG(1, 2))
	var sent [][]byte
	buffer := make([]byte, 2<<20) // used again for every frame: the writer must not keep it
	for _, size := range []int{0, 1, 100, 1023, 1024, 16 << 10, 32<<10 - 3, 32 << 10, 32<<10 + 1, 1 << 20, 2 << 20, 0, 7} {
		frame := buffer[:size]
		for i := range frame {
			frame[i] = byte(random.Uint32())
		}
		sent = append(sent, bytes.Clone(frame))
		if err := w.Write(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatalf("the sink was told %v, want a clean close", err)
	}
	received := sink.received()
	if len(received) != len(sent) {
		t.Fatalf("received %d frames, sent %d", len(received), len(sent))
	}
	for i := range sent {
		if !bytes.Equal(received[i], sent[i]) {
			t.Errorf("frame %d of %d bytes arrived changed", i, len(sent[i]))
		}
	}
	wantError(t, w.Write(t.Context(), nil), ErrClosed)
}

// TestChannelBlockedOnesStallNoOther fills the windows of so many channels that together they exceed the
// connection's window several times, and then sends much more than that window through one more.
func TestChannelBlockedOnesStallNoOther(t *testing.T) {
	const blocked = 4 * connWindow / streamWindow
	const frameSize, frames = 64 << 10, 4 * connWindow / (64 << 10)
	const held = 8 * streamWindow / frameSize // frames for each blocked channel: far more than can be under way
	gate := make(chan struct{})
	sinks := make([]*recorder, blocked+1)
	for i := range sinks {
		sinks[i] = newRecorder()
		sinks[i].gate = gate
	}
	sinks[blocked].gate = nil
	d := dialer(t)
	address := serve(t, ServerOptions{Channels: accepting(sinks...)})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writers sync.WaitGroup
	filled := make(chan struct{}, blocked)
	unblocked := make(chan int, blocked) // those that got everything off while their sink took nothing
	for i := range blocked {
		w := openChannel(t, d, address, i)
		writers.Go(func() {
			frame := make([]byte, frameSize)
			for n := range held {
				if n == streamWindow/frameSize {
					filled <- struct{}{}
				}
				if w.Write(ctx, frame) != nil {
					return
				}
			}
			unblocked <- i
		})
	}
	for range blocked {
		wait(t, "the windows to fill", filled)
	}

	free := openChannel(t, d, address, blocked)
	frame := make([]byte, frameSize)
	for range frames {
		if err := free.Write(t.Context(), frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the free channel's end", sinks[blocked].ended); err != nil {
		t.Fatal(err)
	}
	if got := len(sinks[blocked].received()); got != frames {
		t.Errorf("the free channel delivered %d frames of %d", got, frames)
	}
	select {
	case i := <-unblocked:
		t.Errorf("channel %d was not held back, although its sink took nothing", i)
	default:
	}

	close(gate)
	for range blocked {
		wait(t, "the blocked channels to go on", unblocked)
	}
	writers.Wait()
}

func TestChannelRefused(t *testing.T) {
	address := serve(t, ServerOptions{Channels: channelFunc(func(_ context.Context, id ChannelID) (FrameSink, error) {
		switch id.To {
		case 0:
			return nil, fmt.Errorf("job %s: attempt %d: %w", id.Job, id.Attempt, ErrUnknownAttempt)
		case 1:
			return nil, fmt.Errorf("job %s: attempt %d: %w", id.Job, id.Attempt, ErrStaleAttempt)
		}
		return nil, errors.New("no such edge")
	})})
	noChannels := serve(t, ServerOptions{})
	dead := deadAddress(t)
	d := dialer(t)
	for _, tc := range []struct {
		name     string
		address  string
		to       int
		wantIs   error
		wantText string
	}{
		{"unknown attempt", address, 0, ErrUnknownAttempt, "attempt 3: unknown attempt"},
		{"stale attempt", address, 1, ErrStaleAttempt, "attempt 3: stale attempt"},
		{"other", address, 2, nil, "no such edge"},
		{"not a node", noChannels, 0, nil, "unknown service"},
		{"nobody listens", dead, 0, ErrUnreachable, "connection refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := d.OpenChannel(t.Context(), tc.address, ChannelID{Job: testJob, Attempt: 3, To: tc.to})
			if err == nil || !strings.Contains(err.Error(), tc.wantText) || strings.Contains(err.Error(), "rpc error") {
				t.Fatalf("got %v, want %q", err, tc.wantText)
			}
			for _, sentinel := range []error{ErrUnknownAttempt, ErrStaleAttempt, ErrUnreachable} {
				if errors.Is(err, sentinel) != (sentinel == tc.wantIs) {
					t.Errorf("%v: is %v: %t", err, sentinel, errors.Is(err, sentinel))
				}
			}
		})
	}
}

func TestChannelOpenIsBoundedByItsContext(t *testing.T) {
	accepting := make(chan struct{})
	address := serve(t, ServerOptions{Channels: channelFunc(func(ctx context.Context, _ ChannelID) (FrameSink, error) {
		close(accepting)
		<-ctx.Done()
		return nil, ctx.Err()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-accepting
		cancel()
	}()
	_, err := dialer(t).OpenChannel(ctx, address, ChannelID{Job: testJob})
	wantError(t, err, context.Canceled)
}

func TestChannelOutlivesTheContextThatOpenedIt(t *testing.T) {
	sink := newRecorder()
	address := serve(t, ServerOptions{Channels: accepting(sink)})
	ctx, cancel := context.WithCancel(t.Context())
	w, err := dialer(t).OpenChannel(ctx, address, ChannelID{Job: testJob})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := errors.Join(w.Write(t.Context(), []byte("frame")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatal(err)
	}
}

func TestChannelSenderDies(t *testing.T) {
	for name, gate := range map[string]chan struct{}{
		"while the receiver waits for a frame": nil,
		"while the sink holds a frame":         make(chan struct{}),
	} {
		t.Run(name, func(t *testing.T) {
			sink := newRecorder()
			sink.gate = gate
			address := serve(t, ServerOptions{Channels: accepting(sink)})
			d := NewDialer(DialerOptions{})
			w := openChannel(t, d, address, 0)
			if err := w.Write(t.Context(), []byte("frame")); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			wantError(t, wait(t, "the sink to be told", sink.ended), ErrChannelBroken)
			select {
			case err := <-sink.ended:
				t.Errorf("the sink was told a second time: %v", err)
			default:
			}
			wantError(t, w.Write(t.Context(), []byte("frame")), ErrChannelBroken)
		})
	}
}

func TestChannelReceiverDies(t *testing.T) {
	sink := newRecorder()
	sink.gate = make(chan struct{})
	address, kill := serveUntil(t, ServerOptions{Channels: accepting(sink)})
	w := openChannel(t, dialer(t), address, 0)
	filled := make(chan struct{})
	broken := make(chan error, 1)
	go func() {
		frame := make([]byte, 64<<10)
		for i := 0; ; i++ {
			if i == streamWindow/len(frame) {
				close(filled)
			}
			if err := w.Write(t.Context(), frame); err != nil {
				broken <- err
				return
			}
		}
	}()
	wait(t, "the window to fill", filled)
	kill()
	wantError(t, wait(t, "the blocked writer to be told", broken), ErrChannelBroken)
	wantError(t, w.Write(t.Context(), nil), ErrChannelBroken)
	wantError(t, w.Close(), ErrChannelBroken)
	wantError(t, wait(t, "the sink to be told", sink.ended), ErrChannelBroken)
}

func TestChannelSinkFails(t *testing.T) {
	sink := newRecorder()
	sink.err = errors.New("task count[2] has ended")
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	var err error
	for err == nil {
		err = w.Write(t.Context(), make([]byte, 1<<10))
	}
	wantError(t, err, ErrChannelBroken)
	if !strings.Contains(err.Error(), "task count[2] has ended") {
		t.Errorf("the writer is not told why: %v", err)
	}
	if err := wait(t, "the sink to be told", sink.ended); !errors.Is(err, sink.err) {
		t.Errorf("the sink was told %v", err)
	}
}

func TestChannelWriteIsBoundedByItsContext(t *testing.T) {
	sink := newRecorder()
	sink.gate = make(chan struct{})
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("attempt is cancelled")
	frame := make([]byte, streamWindow)
	var err error
	for i := 0; err == nil; i++ {
		if i == 2 { // the first frame lies at the sink, the second fills the window
			go cancel(stopped)
		}
		err = w.Write(ctx, frame)
	}
	cancel(nil)
	wantError(t, err, stopped)
	wantError(t, wait(t, "the sink to be told", sink.ended), ErrChannelBroken)
}

func TestChannelServerCloses(t *testing.T) {
	mux := listen(t, MuxOptions{})
	sink := newRecorder()
	server := NewServer(ServerOptions{Channels: accepting(sink)})
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.GRPC()) }()
	w := openChannel(t, dialer(t), mux.Addr().String(), 0)
	if err := server.Close(t.Context()); err != nil {
		t.Fatalf("an open channel kept the server from closing in good order: %v", err)
	}
	wantError(t, wait(t, "the sink to be told", sink.ended), ErrShuttingDown)
	wait(t, "the writer's end", w.done)
	wantError(t, w.Write(t.Context(), nil), ErrShuttingDown)
	if err := wait(t, "Serve", served); err != nil {
		t.Error(err)
	}
}

func TestChannelFrameOverTheLimit(t *testing.T) {
	sink := newRecorder()
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	wantError(t, w.Write(t.Context(), make([]byte, MaxFrameSize+1)), ErrMessageTooLarge)
	if err := w.Write(t.Context(), make([]byte, MaxFrameSize)); err != nil {
		t.Fatalf("the largest frame is refused: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatal(err)
	}
}

func TestChannelMalformedMessagesBreakIt(t *testing.T) {
	header := func(pb *transportpb.ChannelHeader) *transportpb.ChannelData {
		return &transportpb.ChannelData{Kind: &transportpb.ChannelData_Header{Header: pb}}
	}
	good := channelToPB(ChannelID{Job: testJob, Attempt: 1})
	for name, messages := range map[string][]*transportpb.ChannelData{
		"no header":     {{Kind: &transportpb.ChannelData_Frame{Frame: []byte("x")}}},
		"nothing":       {{}},
		"bad job":       {header(&transportpb.ChannelHeader{Job: []byte("x")})},
		"bad subtask":   {header(&transportpb.ChannelHeader{Job: testJob[:], To: -1})},
		"second header": {header(good), header(good)},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, ServerOptions{Channels: accepting(newRecorder())})
			c, err := dialer(t).conn(address, laneData)
			if err != nil {
				t.Fatal(err)
			}
			stream, err := transportpb.NewChannelServiceClient(c).OpenChannel(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				if err := stream.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if !strings.Contains(err.Error(), ErrMalformed.Error()) {
				t.Errorf("got %v, want it refused as malformed", err)
			}
		})
	}
}

// discard is a FrameSink that counts.
type discard struct {
	bytes int64
	ended chan struct{}
}

func (d *discard) Write(_ context.Context, frame []byte) error {
	d.bytes += int64(len(frame))
	return nil
}
func (d *discard) Close() error { close(d.ended); return nil }
func (d *discard) Fail(error)   { close(d.ended) }

func BenchmarkChannel(b *testing.B) {
	sink := &discard{ended: make(chan struct{})}
	mux, err := Listen("127.0.0.1:0", MuxOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer mux.Close()
	server := NewServer(ServerOptions{Channels: channelFunc(func(context.Context, ChannelID) (FrameSink, error) { return sink, nil })})
	go server.Serve(mux.GRPC())
	defer server.Close(b.Context())
	d := NewDialer(DialerOptions{})
	defer d.Close()
	w, err := d.OpenChannel(b.Context(), mux.Addr().String(), ChannelID{})
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 32<<10)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(b.Context(), frame); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	<-sink.ended
}
