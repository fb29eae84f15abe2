package dataflow

import (
	"context"
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
	channels []*outputChannel
	groups   int // key groups of the receiving vertex
	turn     int // the channel that Rebalance fills now
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

// hashEmitter sends each record to the owner of its key's group.
func hashEmitter[K comparable, T any](keys codec.Codec[K], key func(T) K, records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		var scratch []byte
		return func(v T) {
			scratch = keys.Append(scratch[:0], key(v))
			group := checkpoint.KeyGroupOf(xxhash.Sum64(scratch), o.groups)
			c := o.channels[checkpoint.OwnerOf(group, o.groups, len(o.channels))]
			c.frame = records.Append(c.frame, v)
			o.added(c)
		}
	}
}

// turnEmitter fills one channel's batch after the other. With one channel that is Forward, with more it is
// Rebalance.
func turnEmitter[T any](records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		return func(v T) {
			c := o.channels[o.turn]
			c.frame = records.Append(c.frame, v)
			o.added(c)
		}
	}
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
			for i := range count {
				v, n, err := records.Decode(rest)
				if err != nil {
					return i, fmt.Errorf("%w: record %d of %d: %w", errFrame, i, count, err)
				}
				rest = rest[n:]
				in(v)
				if c.err != nil {
					return i, c.err
				}
			}
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
	if len(c.frame) >= batchSize {
		o.chain.fail(o.send(c))
	}
}

// send sends the batch under way, if there is one. It blocks while the receiver's window is full.
func (o *output) send(c *outputChannel) error {
	if c.count == 0 {
		return nil
	}
	if len(c.frame) > MaxFrameSize {
		return fmt.Errorf("%s: a record of about %d bytes is over the limit of %d", c.name, len(c.frame), MaxFrameSize)
	}
	sealRecords(c.frame, c.count)
	err := o.write(c, c.frame)
	o.records += int64(c.count)
	c.frame, c.count = resetRecords(c.frame), 0
	if c == o.channels[o.turn] {
		o.turn = (o.turn + 1) % len(o.channels)
	}
	return err
}

func (o *output) write(c *outputChannel, frame []byte) error {
	if err := c.writer.Write(o.chain.ctx, frame); err != nil {
		return secondary(fmt.Errorf("%s broke: %w", c.name, err))
	}
	o.bytes += int64(len(frame))
	return nil
}

// flush sends every batch under way.
func (o *output) flush() error {
	if !o.unsent {
		return nil
	}
	o.unsent = false
	for _, c := range o.channels {
		if err := o.send(c); err != nil {
			return err
		}
	}
	return nil
}

// broadcast sends an event down every channel, behind the records emitted so far.
func (o *output) broadcast(frame []byte) error {
	if err := o.flush(); err != nil {
		return err
	}
	for _, c := range o.channels {
		if err := o.write(c, frame); err != nil {
			return err
		}
	}
	return nil
}

func (o *output) connect(ctx context.Context, connector Connector, c *outputChannel) error {
	w, err := connector.Connect(ctx, c.node, c.id)
	if err != nil {
		return secondary(fmt.Errorf("connecting %s: %w", c.name, err))
	}
	c.writer, c.frame = w, resetRecords(c.frame)
	return nil
}

func (o *output) close() error {
	var errs []error
	for _, c := range o.channels {
		if c.writer != nil {
			errs = append(errs, c.writer.Close())
			c.writer = nil
		}
	}
	return errors.Join(errs...)
}
