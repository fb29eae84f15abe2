package dataflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// output is one edge as its sending subtask sees it: a channel to each subtask that it may send to, with a
// batch under way. It belongs to the task's goroutine.
type output struct {
	chain    *chain
	backlog  *backlog // of all outputs of the task
	channels []*outputChannel
	groups   int  // key groups of the receiving vertex
	at       int  // position of the operator whose records these are
	timed    bool // records carry their event times
	// The last that has been said about event time.
	watermark EventTime
	idle      bool
	turn      int // the channel that Rebalance fills now
	// unsent says that some batch is not empty. The task's loop arms its timer by it.
	unsent  bool
	records int64 // sent
	bytes   int64 // sent, in frames
}

type outputChannel struct {
	id     ChannelID
	node   checkpoint.NodeRef // of the receiving subtask
	name   string             // for errors
	writer FrameWriter        // nil until connected
	frame  []byte             // the batch under way
	count  int                // records in frame
	stamp  EventTime          // of the last record in frame; times are sent as differences
	queue  outputQueue        // what goes out before the batch under way
}

// port is the typed part of a link: how records get into an edge and out of it. Boxing happens once per task.
type port struct {
	// emitter returns a func(T) that writes records to the edge.
	emitter func(*output) any
	// reader returns a function that passes the records of a frame to in, a func(T).
	reader func(c *chain, in any) frameReader
}

// frameReader passes on the records of a frame.
type frameReader func(frame []byte) (count int, err error)

// emitterOf makes the emitter of a link from the codec of its records.
type emitterOf[T any] func(records codec.Codec[T]) func(*output) any

// hashEmitter sends each record to the owner of its key's group.
func hashEmitter[K comparable, T any](keys codec.Codec[K], key func(T) K) emitterOf[T] {
	return func(records codec.Codec[T]) func(*output) any {
		return func(o *output) any {
			var scratch []byte
			return func(v T) {
				scratch = keys.Append(scratch[:0], key(v))
				group := checkpoint.KeyGroupOf(xxhash.Sum64(scratch), o.groups)
				add(o, o.channels[checkpoint.OwnerOf(group, o.groups, len(o.channels))], records, v)
			}
		}
	}
}

// turnEmitter fills one channel's batch after the other. With one channel that is Forward, with more it is
// Rebalance.
func turnEmitter[T any](records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		return func(v T) { add(o, o.channels[o.turn], records, v) }
	}
}

// broadcastEmitter sends each record down every channel.
func broadcastEmitter[T any](records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		return func(v T) {
			for _, c := range o.channels {
				add(o, c, records, v)
			}
		}
	}
}

// customEmitter sends each record down the channel that the function chooses.
func customEmitter[T any](choose func(v T, parallelism int) int) emitterOf[T] {
	return func(records codec.Codec[T]) func(*output) any {
		return func(o *output) any {
			return func(v T) {
				i := choose(v, len(o.channels))
				if i < 0 || i >= len(o.channels) {
					o.chain.fail(fmt.Errorf("the partitioner chose subtask %d of %d", i, len(o.channels)))
					return
				}
				add(o, o.channels[i], records, v)
			}
		}
	}
}

// add appends a record to a channel's batch.
func add[T any](o *output, c *outputChannel, records codec.Codec[T], v T) {
	if o.timed {
		c.frame = binary.AppendVarint(c.frame, int64(o.chain.timestamp-c.stamp))
		c.stamp = o.chain.timestamp
	}
	c.frame = records.Append(c.frame, v)
	o.added(c)
}

// begin begins a batch.
func (o *output) begin(c *outputChannel) {
	kind := frameRecords
	if o.timed {
		kind = frameTimedRecords
	}
	c.frame, c.count, c.stamp = resetRecords(c.frame, kind), 0, 0
}

// frameReaderOf decodes the records of a stream.
func frameReaderOf[T any](records codec.Codec[T]) func(*chain, any) frameReader {
	return func(c *chain, boxed any) frameReader {
		in := boxed.(func(T))
		return func(frame []byte) (int, error) {
			rest, count, err := openRecords(frame)
			if err != nil {
				return 0, err
			}
			c.under.frame, c.under.count = frame, count
			timed, stamp := frame[0] == frameTimedRecords, EventTime(0)
			c.timestamp = NoTimestamp
			for i := range count {
				c.under.reads(i, len(frame)-len(rest))
				if timed {
					delta, n := binary.Varint(rest)
					if n <= 0 {
						return i, fmt.Errorf("%w: its event time", errFrame)
					}
					stamp += EventTime(delta)
					c.timestamp, rest = stamp, rest[n:]
					c.under.from += n
				}
				v, n, err := records.Decode(rest)
				if err != nil {
					return i, fmt.Errorf("%w: %w", errFrame, err)
				}
				rest = rest[n:]
				c.under.to = len(frame) - len(rest)
				in(v)
				if c.err != nil {
					return i, c.err
				}
			}
			c.under = underWay{}
			if len(rest) != 0 {
				return count, fmt.Errorf("%w: %d bytes behind %d records", errFrame, len(rest), count)
			}
			return count, nil
		}
	}
}

// added accounts for a record that has just been appended to a channel's batch, and sends the batch when it
// is full. A failure stops the chain.
func (o *output) added(c *outputChannel) {
	c.count++
	o.unsent = true
	if len(c.frame) >= o.backlog.flow.batch {
		err := o.send(c)
		if err == nil {
			err = o.backlog.settleOverdraft(o.chain.ctx)
		}
		o.chain.fail(err)
	}
}

// send sends the batch under way, if there is one, or queues it.
func (o *output) send(c *outputChannel) error {
	if c.count == 0 {
		return nil
	}
	if len(c.frame) > MaxFrameSize {
		return fmt.Errorf("%s: a record of about %d bytes is over the limit of %d", c.name, len(c.frame), MaxFrameSize)
	}
	sealRecords(c.frame, c.count)
	o.records += int64(c.count)
	o.bytes += int64(len(c.frame))
	sent, err := o.backlog.trySend(c, c.frame)
	if !sent && err == nil {
		o.backlog.push(c, queuedOutput{buffer: c.takeFrame()})
	}
	o.begin(c)
	if c == o.channels[o.turn] {
		o.turn = (o.turn + 1) % len(o.channels)
	}
	return err
}

// takeFrame returns the batch under way in a buffer. What is left in its place is memory for the next one.
func (c *outputChannel) takeFrame() *buffer {
	if len(c.frame) <= smallBuffer {
		return copyFrame(c.frame)
	}
	b := takeBuffer(len(c.frame))
	b.data, c.frame = c.frame, b.data
	return b
}

// flush sends the batches under way that have waited for long enough. One behind a queue has to wait in any case, and
// goes on growing meanwhile.
func (o *output) flush() error {
	if !o.unsent {
		return nil
	}
	o.unsent = false
	for _, c := range o.channels {
		if c.queue.len() > 0 {
			o.unsent = o.unsent || c.count > 0
		} else if err := o.send(c); err != nil {
			return err
		}
	}
	return nil
}

// broadcast sends an event down every channel, behind the records emitted so far. It does not block.
func (o *output) broadcast(frame []byte) error {
	o.unsent = false
	for _, c := range o.channels {
		if err := o.send(c); err != nil {
			return err
		}
		o.bytes += int64(len(frame))
		sent, err := o.backlog.trySend(c, frame)
		if err != nil {
			return err
		}
		if !sent {
			o.backlog.push(c, queuedOutput{buffer: copyFrame(frame)})
		}
	}
	return nil
}

func (o *output) connect(ctx context.Context, connector Connector, c *outputChannel) error {
	w, err := connector.Connect(ctx, c.node, c.id, func() { signal(o.backlog.room) })
	if err != nil {
		return secondary(fmt.Errorf("connecting %s: %w", c.name, err))
	}
	c.writer = w
	o.begin(c)
	return nil
}

func (o *output) close() error {
	var errs []error
	for _, c := range o.channels {
		if c.writer != nil {
			errs = append(errs, c.writer.Close())
			c.writer = nil
		}
		c.queue.release()
	}
	return errors.Join(errs...)
}
