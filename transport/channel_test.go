package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/transport/transportpb"
)

// channelFunc makes a function a ChannelHandler.
type channelFunc func(context.Context, ChannelID, func(Credit)) (FrameSink, error)

func (f channelFunc) AcceptChannel(ctx context.Context, id ChannelID, grant func(Credit)) (FrameSink, error) {
	return f(ctx, id, grant)
}

// testWindow is what a recorder grants at first.
var testWindow = Credit{Frames: 8, Bytes: 256 << 10}

// recorder is a FrameSink that grants a window, and gives back what it takes as long as its gate is open.
type recorder struct {
	err   error      // what Write returns
	ended chan error // capacity 2, so that a second end shows: nil from Close, the error from Fail

	mu     sync.Mutex
	closed bool // the gate
	grant  func(Credit)
	credit Credit // that the sender has left
	owed   Credit // of frames that came while the gate was closed
	frames [][]byte
	over   int // frames that came without credit
}

func newRecorder() *recorder { return &recorder{ended: make(chan error, 2)} }

// newBlockedRecorder returns one that takes nothing until open is called.
func newBlockedRecorder() *recorder {
	r := newRecorder()
	r.closed = true
	return r
}

func (r *recorder) accept(grant func(Credit)) *recorder {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grant, r.credit = grant, testWindow
	grant(testWindow)
	return r
}

func (r *recorder) Write(frame []byte) error {
	if r.err != nil {
		return r.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, bytes.Clone(frame))
	if r.credit.Frames <= 0 || r.credit.Bytes <= 0 {
		r.over++
		return nil
	}
	r.credit.Frames--
	r.credit.Bytes -= len(frame)
	r.owed.Frames++
	r.owed.Bytes += len(frame)
	r.repayLocked()
	return nil
}

func (r *recorder) repayLocked() {
	if r.closed || r.owed == (Credit{}) {
		return
	}
	r.credit.Frames += r.owed.Frames
	r.credit.Bytes += r.owed.Bytes
	r.grant(r.owed)
	r.owed = Credit{}
}

// open opens the gate.
func (r *recorder) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = false
	r.repayLocked()
}

func (r *recorder) Close() error {
	r.ended <- nil
	return nil
}

func (r *recorder) Fail(err error) { r.ended <- err }

func (r *recorder) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.frames)
}

// withoutCredit returns how many frames came for which the sender had no credit.
func (r *recorder) withoutCredit() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// accepting hands the channel to subtask i to sinks[i].
func accepting(sinks ...*recorder) ChannelHandler {
	return channelFunc(func(_ context.Context, id ChannelID, grant func(Credit)) (FrameSink, error) {
		return sinks[id.To].accept(grant), nil
	})
}

// waitingWriter is a ChannelWriter whose user waits for credit.
type waitingWriter struct {
	*ChannelWriter
	ready chan struct{} // capacity 1
}

func openChannel(t testing.TB, d *Dialer, address string, to int) *waitingWriter {
	t.Helper()
	w := &waitingWriter{ready: make(chan struct{}, 1)}
	var err error
	id := ChannelID{Job: testJob, Attempt: 3, Edge: 1, From: 2, To: to}
	w.ChannelWriter, err = d.OpenChannel(t.Context(), address, id, func() {
		select {
		case w.ready <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Write sends a frame, and waits for credit if it has to.
func (w *waitingWriter) Write(ctx context.Context, frame []byte) error {
	for {
		sent, err := w.TryWrite(frame)
		if sent || err != nil {
			return err
		}
		select {
		case <-w.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill sends frames until one is refused, and returns how many went out.
func (w *waitingWriter) fill(t *testing.T, frame []byte) int {
	t.Helper()
	for n := 0; ; n++ {
		sent, err := w.TryWrite(frame)
		if err != nil {
			t.Fatal(err)
		}
		if !sent {
			return n
		}
	}
}

func TestChannelCarriesFramesInOrder(t *testing.T) {
	want := ChannelID{Job: testJob, Attempt: 3, Edge: 1, From: 2, To: 0}
	sink := newRecorder()
	address := serve(t, ServerOptions{Channels: channelFunc(func(_ context.Context, id ChannelID, grant func(Credit)) (FrameSink, error) {
		if id != want {
			t.Errorf("opened %s, want %s", id, want)
		}
		return sink.accept(grant), nil
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

// TestChannelBlockedOnesStallNoOther uses up the credit of so many channels that together they exceed the connection's
// window several times, and then sends much more than that window through one more.
func TestChannelBlockedOnesStallNoOther(t *testing.T) {
	const frameSize = 64 << 10
	blocked := 4 * connWindow / testWindow.Bytes
	frames := 4 * connWindow / frameSize
	sinks := make([]*recorder, blocked+1)
	for i := range sinks {
		sinks[i] = newBlockedRecorder()
	}
	sinks[blocked] = newRecorder()
	d := dialer(t)
	address := serve(t, ServerOptions{Channels: accepting(sinks...)})
	frame := make([]byte, frameSize)
	writers := make([]*waitingWriter, blocked)
	for i := range writers {
		writers[i] = openChannel(t, d, address, i)
		if n := writers[i].fill(t, frame); n != testWindow.Bytes/frameSize {
			t.Fatalf("channel %d took %d frames, its credit is for %d", i, n, testWindow.Bytes/frameSize)
		}
	}

	free := openChannel(t, d, address, blocked)
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
	for i, w := range writers {
		if sent, err := w.TryWrite(frame); sent || err != nil {
			t.Errorf("channel %d, whose sink takes nothing: sent %t, %v", i, sent, err)
		}
		sinks[i].open()
		wait(t, "credit", w.ready)
		if err := errors.Join(w.Write(t.Context(), frame), w.Close()); err != nil {
			t.Fatal(err)
		}
		if err := wait(t, "the end", sinks[i].ended); err != nil {
			t.Error(err)
		}
	}
	for i, s := range sinks {
		if n := s.withoutCredit(); n > 0 {
			t.Errorf("channel %d: %d frames came without credit", i, n)
		}
	}
}

// TestChannelForcedFramesNeedNoCredit sends a frame past the end of the credit. It arrives behind what was sent before.
func TestChannelForcedFramesNeedNoCredit(t *testing.T) {
	sink := newBlockedRecorder()
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	if n := w.fill(t, []byte("record")); n != testWindow.Frames {
		t.Fatalf("sent %d frames, want %d", n, testWindow.Frames)
	}
	if err := errors.Join(w.Force([]byte("barrier")), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatal(err)
	}
	got := sink.received()
	if len(got) != testWindow.Frames+1 || string(got[testWindow.Frames]) != "barrier" || sink.withoutCredit() != 1 {
		t.Errorf("received %q, %d of them without credit", got, sink.withoutCredit())
	}
}

// TestChannelLastFrameMayExceedTheCredit: a frame that is larger than the whole window passes all the same.
func TestChannelLastFrameMayExceedTheCredit(t *testing.T) {
	sink := newBlockedRecorder()
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	large := make([]byte, 4*testWindow.Bytes)
	if n := w.fill(t, large); n != 1 {
		t.Errorf("sent %d frames", n)
	}
	sink.open()
	wait(t, "credit", w.ready)
	if err := errors.Join(w.Write(t.Context(), large), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatal(err)
	}
}

func TestChannelRefused(t *testing.T) {
	address := serve(t, ServerOptions{Channels: channelFunc(func(_ context.Context, id ChannelID, _ func(Credit)) (FrameSink, error) {
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
			_, err := d.OpenChannel(t.Context(), tc.address, ChannelID{Job: testJob, Attempt: 3, To: tc.to}, func() {})
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
	address := serve(t, ServerOptions{Channels: channelFunc(func(ctx context.Context, _ ChannelID, _ func(Credit)) (FrameSink, error) {
		close(accepting)
		<-ctx.Done()
		return nil, ctx.Err()
	})})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-accepting
		cancel()
	}()
	_, err := dialer(t).OpenChannel(ctx, address, ChannelID{Job: testJob}, func() {})
	wantError(t, err, context.Canceled)
}

func TestChannelOutlivesTheContextThatOpenedIt(t *testing.T) {
	sink := newRecorder()
	address := serve(t, ServerOptions{Channels: accepting(sink)})
	ctx, cancel := context.WithCancel(t.Context())
	w, err := dialer(t).OpenChannel(ctx, address, ChannelID{Job: testJob}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	sent, err := w.TryWrite([]byte("frame"))
	if err := errors.Join(err, w.Close()); err != nil || !sent {
		t.Fatal(sent, err)
	}
	if err := wait(t, "the end", sink.ended); err != nil {
		t.Fatal(err)
	}
}

func TestChannelSenderDies(t *testing.T) {
	for name, sink := range map[string]*recorder{
		"while the receiver waits for a frame": newRecorder(),
		"while the sink holds a frame":         newBlockedRecorder(),
	} {
		t.Run(name, func(t *testing.T) {
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
	sink := newBlockedRecorder()
	address, kill := serveUntil(t, ServerOptions{Channels: accepting(sink)})
	w := openChannel(t, dialer(t), address, 0)
	w.fill(t, make([]byte, 64<<10))
	kill()
	wait(t, "the writer, who waits for credit, to be told", w.ready)
	for range 2 {
		sent, err := w.TryWrite(nil)
		if wantError(t, err, ErrChannelBroken); sent {
			t.Error("a broken channel takes a frame")
		}
	}
	wantError(t, w.Force(nil), ErrChannelBroken)
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

func TestChannelMalformedCreditBreaksIt(t *testing.T) {
	sink := newBlockedRecorder()
	w := openChannel(t, dialer(t), serve(t, ServerOptions{Channels: accepting(sink)}), 0)
	sink.grant(Credit{Frames: maxGrant + 1})
	wait(t, "the writer's end", w.done)
	_, err := w.TryWrite(nil)
	wantError(t, err, ErrMalformed)
}

// discard is a FrameSink that counts.
type discard struct {
	bytes int64
	grant func(Credit)
	ended chan struct{}
}

func (d *discard) Write(frame []byte) error {
	d.bytes += int64(len(frame))
	d.grant(Credit{Frames: 1, Bytes: len(frame)})
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
	server := NewServer(ServerOptions{Channels: channelFunc(func(_ context.Context, _ ChannelID, grant func(Credit)) (FrameSink, error) {
		sink.grant = grant
		grant(Credit{Frames: 128, Bytes: 256 << 10})
		return sink, nil
	})})
	go server.Serve(mux.GRPC())
	defer server.Close(b.Context())
	d := NewDialer(DialerOptions{})
	defer d.Close()
	w := openChannel(b, d, mux.Addr().String(), 0)
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
