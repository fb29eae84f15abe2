package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"cairn/transport/transportpb"
)

// ChannelWriter is the sending end of a data channel. One goroutine at a time uses it. Two more carry its frames and the
// receiver's credit.
type ChannelWriter struct {
	id      ChannelID
	address string
	codec   *codec
	stream  grpc.BidiStreamingClient[transportpb.ChannelData, transportpb.ChannelOpened]
	ctx     context.Context // ends with the stream; its cause says why this side ended it
	end     context.CancelCauseFunc
	ready   func()        // the user's
	wake    chan struct{} // capacity 1, never closed: there is something to send
	done    chan struct{} // closed when the receiver's side has ended; err is set before
	err     error         // nil when it ended because the channel was closed

	mu struct {
		sync.Mutex
		credit  Credit
		refused bool         // a frame, for want of credit, since ready was called last
		queue   []mem.Buffer // not yet sent; what is in it has cost credit, or needed none
		spare   []mem.Buffer // the queue's memory when it was taken last but one
		closed  bool         // by Close
	}
}

var _ FrameWriter = (*ChannelWriter)(nil)

// OpenChannel opens a data channel to the node at address and returns when the node has accepted it. It
// returns an error that wraps ErrUnknownAttempt or ErrStaleAttempt when the node refused it, and fails at once
// when nobody listens there. ctx bounds the opening only. The channel calls ready from any goroutine when a frame can be
// sent that TryWrite has refused, or when it breaks; ready returns at once.
func (d *Dialer) OpenChannel(ctx context.Context, address string, id ChannelID, ready func()) (*ChannelWriter, error) {
	c, err := d.conn(address, laneData)
	if err != nil {
		return nil, err
	}
	w := &ChannelWriter{
		id: id, address: address, codec: d.codec, ready: ready, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	w.ctx, w.end = context.WithCancelCause(d.ctx)
	opening := context.AfterFunc(ctx, func() { w.end(context.Cause(ctx)) })
	err = w.open(c)
	if !opening() {
		err = context.Cause(ctx)
	}
	if err == nil && !(d.start(w.watch) && d.start(w.send)) {
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
	opened, err := w.stream.Recv()
	if err != nil {
		return c.meaning(err)
	}
	w.mu.credit, err = creditFromPB(opened)
	return err
}

// watch takes in credit until the receiver's side ends, so that a writer which is idle, or waits for credit, is told as
// soon as its peer is lost.
func (w *ChannelWriter) watch() {
	more, err := w.stream.Recv()
	for ; err == nil; more, err = w.stream.Recv() {
		credit, malformed := creditFromPB(more)
		if malformed != nil {
			w.end(malformed)
			continue // the next Recv returns that
		}
		w.grant(credit)
	}
	w.err = w.brokenBy(err)
	close(w.done)
	w.end(nil) // nothing is left to be sent: give the stream's resources back
	w.ready()
}

func (w *ChannelWriter) grant(more Credit) {
	w.mu.Lock()
	w.mu.credit.Frames += more.Frames
	w.mu.credit.Bytes += more.Bytes
	wanted := w.mu.refused && w.someCreditLocked()
	w.mu.refused = w.mu.refused && !wanted
	w.mu.Unlock()
	if wanted {
		w.ready()
	}
}

func (w *ChannelWriter) someCreditLocked() bool {
	return w.mu.credit.Frames > 0 && w.mu.credit.Bytes > 0
}

// brokenBy turns what ended the stream into the error that the writer returns: nil when the receiver has
// ended it with OK, which it does after a Close.
func (w *ChannelWriter) brokenBy(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case status.Code(err) == codes.Canceled && w.ctx.Err() != nil:
		err = context.Cause(w.ctx)
	default:
		err = fromStatus(err)
	}
	return fmt.Errorf("%s to node at %s: %w: %w", w.id, w.address, ErrChannelBroken, err)
}

// send carries the frames to the network, which may make it wait, until the channel is closed or has broken.
func (w *ChannelWriter) send() {
	var message encoded
	for {
		frames, closed := w.take()
		for _, message.buffer = range frames {
			if err := w.stream.SendMsg(&message); err != nil {
				w.end(ErrClosed) // if the stream has not ended already; its status says why
				return
			}
		}
		if closed {
			if err := w.stream.CloseSend(); err != nil {
				w.end(err)
			}
			return
		}
		if len(frames) > 0 {
			continue
		}
		select {
		case <-w.wake:
		case <-w.ctx.Done():
			return
		}
	}
}

// take returns what is to be sent, which is valid until the next call, and whether nothing comes behind it.
func (w *ChannelWriter) take() (frames []mem.Buffer, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	frames = w.mu.queue
	w.mu.queue, w.mu.spare = w.mu.spare[:0], frames
	return frames, w.mu.closed
}

// TryWrite implements FrameWriter. Frames larger than MaxFrameSize are refused with an error.
func (w *ChannelWriter) TryWrite(frame []byte) (sent bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.checkLocked(frame); err != nil {
		return false, err
	}
	if !w.someCreditLocked() {
		w.mu.refused = true
		return false, nil
	}
	w.mu.credit.Frames--
	w.mu.credit.Bytes -= len(frame)
	w.queueLocked(frame)
	return true, nil
}

// Force implements FrameWriter.
func (w *ChannelWriter) Force(frame []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.checkLocked(frame); err != nil {
		return err
	}
	w.queueLocked(frame)
	return nil
}

func (w *ChannelWriter) queueLocked(frame []byte) {
	w.mu.queue = append(w.mu.queue, w.codec.encode(frame))
	w.signal()
}

func (w *ChannelWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// checkLocked returns why a frame can not be sent.
func (w *ChannelWriter) checkLocked(frame []byte) error {
	switch {
	case len(frame) > MaxFrameSize:
		return fmt.Errorf("%s: frame of %d bytes: %w, at most %d", w.id, len(frame), ErrMessageTooLarge, MaxFrameSize)
	case w.mu.closed:
		return fmt.Errorf("%s: %w", w.id, ErrClosed)
	}
	select {
	case <-w.done:
		return w.failure()
	default:
		return nil
	}
}

// failure returns why the channel ended, which no writer expects before it has closed it.
func (w *ChannelWriter) failure() error {
	if w.err == nil {
		return fmt.Errorf("%s to node at %s: %w: the receiver closed it", w.id, w.address, ErrChannelBroken)
	}
	return w.err
}

// Close ends the channel cleanly: the receiver hears of it after the last frame. It does not wait for that.
// It returns an error when the channel was known to be broken. Closing twice is harmless.
func (w *ChannelWriter) Close() error {
	w.mu.Lock()
	closed := w.mu.closed
	w.mu.closed = true
	w.mu.Unlock()
	if closed {
		return nil
	}
	w.signal()
	select {
	case <-w.done:
		return w.failure()
	default:
		return nil
	}
}
