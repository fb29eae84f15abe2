package main

import (
	"encoding/binary"
	"errors"

	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// countedKeys is the number of keys of the counting job.
const countedKeys = 1_000_000

// keyOf spreads the indices over the keys so that each run of countedKeys indices has every key once, in an order that
// no cache foresees: the factor has no divisor in common with their number.
func keyOf(index int64) uint64 { return uint64(index) * 7_368_787 % countedKeys }

// eightBytes is the codec of the keys: always eight bytes, as a key of an application's own would be.
type eightBytes struct{}

func (eightBytes) Append(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

func (eightBytes) Decode(src []byte) (uint64, int, error) {
	if len(src) < 8 {
		return 0, 0, codec.ErrShort
	}
	return binary.BigEndian.Uint64(src), 8, nil
}

func (eightBytes) Describe() string { return "eight bytes" }

var codecOfKeys codec.Codec[uint64] = eightBytes{}

// countOf is the keyed count: records that are keys, a count per key, and each new count as output.
func countOf(g *dataflow.Graph, parallelism int, source dataflow.Source[uint64]) dataflow.Stream[int64] {
	keys := dataflow.From(g, "read", source, codecOfKeys, dataflow.Parallelism(parallelism))
	return dataflow.Process(dataflow.KeyBy(keys, codecOfKeys, func(k uint64) uint64 { return k }), "count",
		codec.Int64, func() dataflow.KeyedProcessor[uint64, uint64, int64] { return &counter{} })
}

// counter counts the records of each key.
type counter struct {
	count *dataflow.ValueState[uint64, int64]
}

func (c *counter) Open(ctx *dataflow.ProcessContext[uint64]) error {
	c.count = dataflow.NewValueState(ctx, "count", codec.Int64)
	return nil
}

func (c *counter) Process(_ uint64, _ uint64, emit func(int64)) error {
	n, _ := c.count.Get()
	c.count.Put(n + 1)
	emit(n + 1)
	return nil
}

func (c *counter) Finish(func(int64)) error { return errEndless }

// errEndless says that a source without an end has ended.
var errEndless = errors.New("the input has ended")
