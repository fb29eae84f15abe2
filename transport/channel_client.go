package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cairn/transport/transportpb"
)

// ChannelWriter is the sending end of a data channel. One goroutine at a time uses it.
type ChannelWriter struct {
	id      ChannelID
	address string
	stream  grpc.BidiStreamingClient[transportpb.ChannelData, transportpb.ChannelOpened]
	ctx     context.Context // ends with the stream; its cause says why this side ended it
	end     context.CancelCauseFunc

	closed bool          // by Close
	done   chan struct{} // closed when the receiver's side has ended; err is set before
	err    error         // nil when it ended because the channel was closed
}

var _ FrameWriter = (*ChannelWriter)(nil)

// OpenChannel opens a data channel to the node at address and returns when the node has accepted it. It
// returns an error that wraps ErrUnknownAttempt or ErrStaleAttempt when the node refused it, and fails at once
// when nobody listens there. ctx bounds the opening only.
func (d *Dialer) OpenChannel(ctx context.Context, address string, id ChannelID) (*ChannelWriter, error) {
	c, err := d.conn(address, laneData)
	if err != nil {
		return nil, err
	}
	w := &ChannelWriter{id: id, address: address, done: make(chan struct{})}
	w.ctx, w.end = context.WithCancelCause(d.ctx)
	opening := context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) })
	err = w.open(c)
	if !opening() {
		err = context.Cause(ctx)
	}
	if err == nil && !d.start(w.watch) {
		err = ErrClosed
	}
	if err != nil {
		w.end(err)
		return nil, fmt.Errorf("open %s to node at %s: %w", id, address, err)
	}
	return w, nil
}

func (w *ChannelWriter) open(c *conn) error {
	var err error
	if w.stream, err = transportpb.NewChannelServiceClient(c).OpenChannel(w.ctx); err != nil {
		return c.meaning(err)
	}
	header := &transportpb.ChannelData{Kind: &transportpb.ChannelData_Header{Header: channelToPB(w.id)}}
	if err := w.stream.Send(header); err != nil {
		w.end(err) // so that the Recv below returns; it knows better why
	}
	if _, err := w.stream.Recv(); err != nil {
		return c.meaning(err)
	}
	return nil
}

// watch waits for the end of the receiver's side, so that a writer which is idle, or stuck in the window, is
// told as soon as its peer is lost.
func (w *ChannelWriter) watch() {
	_, err := w.stream.Recv()
	w.err = w.brokenBy(err)
	close(w.done)
	w.end(nil) // nothing is left to be sent: give the stream's resources back
}

// brokenBy turns what ended the stream into the error that Write and Close return: nil when the receiver has
// ended it with OK, which it does after a Close.
func (w *ChannelWriter) brokenBy(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		err = fmt.Errorf("%w: the receiver spoke out of turn", ErrMalformed)
	case status.Code(err) == codes.Canceled && w.ctx.Err() != nil:
		err = context.Cause(w.ctx)
	default:
		err = fromStatus(err)
	}
	return fmt.Errorf("%s to node at %s: %w: %w", w.id, w.address, ErrChannelBroken, err)
}

// Write sends a frame. It blocks while the receiver's window is full; when ctx ends meanwhile, the channel is
// broken. The caller has the frame back when Write returns. Frames larger than MaxFrameSize are refused.
func (w *ChannelWriter) Write(ctx context.Context, frame []byte) error {
	if len(frame) > MaxFrameSize {
		return fmt.Errorf("%s: frame of %d bytes: %w, at most %d", w.id, len(frame), ErrMessageTooLarge, MaxFrameSize)
	}
	if w.closed {
		return fmt.Errorf("%s: %w", w.id, ErrClosed)
	}
	select {
	case <-w.done:
		return w.failure()
	default:
	}
	defer context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) })()
	if err := w.stream.SendMsg(&outgoing{data: frame}); err == nil {
		return nil
	}
	// The stream has ended, or cannot go on. Its status says why.
	w.end(ErrClosed)
	<-w.done
	return w.failure()
}

// failure returns why the channel ended, which no writer expects before it has closed it.
func (w *ChannelWriter) failure() error {
	if w.err == nil {
		return fmt.Errorf("%s to node at %s: %w: the receiver closed it", w.id, w.address, ErrChannelBroken)
	}
	return w.err
}

// Close ends the channel cleanly: the receiver hears of it after the last frame. It does not wait for that, so
// that a receiver which is held back holds back nobody else. It returns an error when the channel was known
// to be broken. Closing twice is harmless.
func (w *ChannelWriter) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	select {
	case <-w.done:
		return w.failure()
	default:
	}
	if err := w.stream.CloseSend(); err != nil {
		w.end(err)
		return fmt.Errorf("%s to node at %s: %w: %w", w.id, w.address, ErrChannelBroken, fromStatus(err))
	}
	return nil
}
