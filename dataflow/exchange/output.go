package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"cairn/checkpoint"
)

// Output is one edge as its sending subtask sees it: a channel to each subtask that it may send to, with a
// batch under way. Its exported fields are set before it is used. It belongs to the task's goroutine.
type Output struct {
	Backlog  *Backlog // of all outputs of the task
	Channels []*OutputChannel
	Timed    bool // records carry their event times
	turn     int  // the channel that Next returns
	// unsent says that some batch is not empty. The task's loop arms its timer by it.
	unsent  bool
	records int64 // sent
	bytes   int64 // sent, in frames
}

// OutputChannel is the sending end of a channel. Its exported fields are set before it is used.
type OutputChannel struct {
	ID     ChannelID
	Node   checkpoint.NodeRef // of the receiving subtask
	Name   string             // for errors
	writer FrameWriter        // nil until connected
	frame  []byte             // the batch under way
	count  int                // records in frame
	stamp  int64              // event time of the last record in frame; times are sent as differences
	queue  outputQueue        // what goes out before the batch under way
}

// Batch returns the batch under way, for a record to be appended to. Output.Added takes it back.
func (c *OutputChannel) Batch() []byte { return c.frame }

// Stamp appends the event time of the record that comes next, in Unix milliseconds, to the batch under way. It is called for
// each record of a timed output.
func (c *OutputChannel) Stamp(at int64) {
	c.frame = binary.AppendVarint(c.frame, at-c.stamp)
	c.stamp = at
}

// Next returns the channel whose turn it is: with one channel always that, with more each for a batch.
func (o *Output) Next() *OutputChannel { return o.Channels[o.turn] }

// Unsent reports whether some batch has records and waits for more.
func (o *Output) Unsent() bool { return o.unsent }

// Sent returns how many records and bytes have been handed to the channels, or to their queues.
func (o *Output) Sent() (records, bytes int64) { return o.records, o.bytes }

// begin begins a batch.
func (o *Output) begin(c *OutputChannel) {
	kind := FrameRecords
	if o.Timed {
		kind = FrameTimedRecords
	}
	c.frame, c.count, c.stamp = ResetRecords(c.frame, kind), 0, 0
}

// Added takes the channel's batch back with one more record, and reports whether it is full, so that SendFull is due.
func (o *Output) Added(c *OutputChannel, batch []byte) (full bool) {
	c.frame = batch
	c.count++
	o.unsent = true
	return len(batch) >= o.Backlog.flow.Batch
}

// SendFull sends a channel's batch, and waits while more is queued than a task may emit amid a record.
func (o *Output) SendFull(ctx context.Context, c *OutputChannel) error {
	if err := o.send(c); err != nil {
		return err
	}
	return o.Backlog.settleOverdraft(ctx)
}

// send sends the batch under way, if there is one, or queues it.
func (o *Output) send(c *OutputChannel) error {
	if c.count == 0 {
		return nil
	}
	if len(c.frame) > MaxFrameSize {
		return fmt.Errorf("%s: a record of about %d bytes is over the limit of %d", c.Name, len(c.frame), MaxFrameSize)
	}
	SealRecords(c.frame, c.count)
	o.records += int64(c.count)
	o.bytes += int64(len(c.frame))
	sent, err := o.Backlog.trySend(c, c.frame)
	if !sent && err == nil {
		o.Backlog.push(c, queuedOutput{Buffer: c.takeFrame()})
	}
	o.begin(c)
	if c == o.Channels[o.turn] {
		o.turn = (o.turn + 1) % len(o.Channels)
	}
	return err
}

// takeFrame returns the batch under way in a buffer. What is left in its place is memory for the next one.
func (c *OutputChannel) takeFrame() *Buffer {
	if len(c.frame) <= smallBuffer {
		return CopyFrame(c.frame)
	}
	b := takeBuffer(len(c.frame))
	b.data, c.frame = c.frame, b.data
	return b
}

// Flush sends the batches under way that have waited for long enough. One behind a queue has to wait in any case, and
// goes on growing meanwhile.
func (o *Output) Flush() error {
	if !o.unsent {
		return nil
	}
	o.unsent = false
	for _, c := range o.Channels {
		if c.queue.len() > 0 {
			o.unsent = o.unsent || c.count > 0
		} else if err := o.send(c); err != nil {
			return err
		}
	}
	return nil
}

// Broadcast sends an event down every channel, behind the records emitted so far. It does not block.
func (o *Output) Broadcast(frame []byte) error {
	o.unsent = false
	for _, c := range o.Channels {
		if err := o.send(c); err != nil {
			return err
		}
		o.bytes += int64(len(frame))
		sent, err := o.Backlog.trySend(c, frame)
		if err != nil {
			return err
		}
		if !sent {
			o.Backlog.push(c, queuedOutput{Buffer: CopyFrame(frame)})
		}
	}
	return nil
}

// Connect opens one of the channels. It may be called for several at once.
func (o *Output) Connect(ctx context.Context, connector Connector, c *OutputChannel) error {
	w, err := connector.Connect(ctx, c.Node, c.ID, func() { signal(o.Backlog.room) })
	if err != nil {
		return &ChannelError{fmt.Errorf("connecting %s: %w", c.Name, err)}
	}
	c.writer = w
	o.begin(c)
	return nil
}

// Close closes the channels that have been opened, and drops what is queued.
func (o *Output) Close() error {
	var errs []error
	for _, c := range o.Channels {
		if c.writer != nil {
			errs = append(errs, c.writer.Close())
			c.writer = nil
		}
		c.queue.release()
	}
	return errors.Join(errs...)
}
