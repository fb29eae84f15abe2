package dataflow

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// output is an edge that the chain sends records to, and how far event time has come in it.
type output struct {
	exchange.Output
	chain  *chain
	groups int // key groups of the receiving vertex
	at     int // position of the operator whose records these are
	// The last that has been said about event time.
	watermark EventTime
	idle      bool
}

// port is the typed part of a link: how records get into an edge and out of it. Boxing happens once per task.
type port struct {
	// emitter returns a func(T) that writes records to the edge.
	emitter func(*output) any
	// reader returns a function that passes the records of a frame to in, a func(T).
	reader func(c *chain, in any) frameReader
}

// frameReader passes on the records of a frame: all, or so many as a stint allows. Then it returns the rest as a frame of
// its own, for the caller to release.
type frameReader func(frame []byte) (count int, rest *exchange.Buffer, err error)

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
				add(o, o.Channels[checkpoint.OwnerOf(group, o.groups, len(o.Channels))], records, v)
			}
		}
	}
}

// turnEmitter fills one channel's batch after the other. With one channel that is Forward, with more it is
// Rebalance.
func turnEmitter[T any](records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		return func(v T) { add(o, o.Next(), records, v) }
	}
}

// broadcastEmitter sends each record down every channel.
func broadcastEmitter[T any](records codec.Codec[T]) func(*output) any {
	return func(o *output) any {
		return func(v T) {
			for _, c := range o.Channels {
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
				i := choose(v, len(o.Channels))
				if i < 0 || i >= len(o.Channels) {
					o.chain.fail(fmt.Errorf("the partitioner chose subtask %d of %d", i, len(o.Channels)))
					return
				}
				add(o, o.Channels[i], records, v)
			}
		}
	}
}

// add appends a record to a channel's batch, and sends the batch when it is full. A failure stops the chain.
func add[T any](o *output, c *exchange.OutputChannel, records codec.Codec[T], v T) {
	if o.Timed {
		c.Stamp(int64(o.chain.timestamp))
	}
	if o.Added(c, records.Append(c.Batch(), v)) {
		o.chain.fail(o.SendFull(o.chain.ctx, c))
	}
}

// frameReaderOf decodes the records of a stream.
func frameReaderOf[T any](records codec.Codec[T]) func(*chain, any) frameReader {
	return func(c *chain, boxed any) frameReader {
		in := boxed.(func(T))
		return func(frame []byte) (int, *exchange.Buffer, error) {
			rest, count, err := exchange.OpenRecords(frame)
			if err != nil {
				return 0, nil, err
			}
			c.under.frame, c.under.count = frame, count
			timed, stamp := frame[0] == exchange.FrameTimedRecords, EventTime(0)
			c.timestamp = NoTimestamp
			for i := range count {
				c.under.reads(i, len(frame)-len(rest))
				if timed {
					delta, n := binary.Varint(rest)
					if n <= 0 {
						return i, nil, fmt.Errorf("%w: its event time", exchange.ErrFrame)
					}
					stamp += EventTime(delta)
					c.timestamp, rest = stamp, rest[n:]
					c.under.from += n
				}
				v, n, err := records.Decode(rest)
				if err != nil {
					return i, nil, fmt.Errorf("%w: %w", exchange.ErrFrame, err)
				}
				rest = rest[n:]
				c.under.to = len(frame) - len(rest)
				in(v)
				if c.err != nil {
					return i, nil, c.err
				}
				if done := i + 1; done < count && looksAtClock(done) && c.stintOver(done) {
					c.under = underWay{}
					return done, exchange.RestOfRecords(frame[0], rest, count-done, int64(stamp)), nil
				}
			}
			c.under = underWay{}
			if len(rest) != 0 {
				return count, nil, fmt.Errorf("%w: %d bytes behind %d records", exchange.ErrFrame, len(rest), count)
			}
			return count, nil, nil
		}
	}
}
