package wordcount

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// counter counts the words of one subtask.
type counter struct {
	counts *dataflow.ValueState[string, uint64]
}

func newCounter() dataflow.KeyedProcessor[string, string, count] { return &counter{} }

// Open declares the state: how often each word has occurred.
func (c *counter) Open(ctx *dataflow.ProcessContext[string]) error {
	c.counts = dataflow.NewValueState(ctx, "count", codec.Uint64)
	return nil
}

// Process counts one occurrence.
func (c *counter) Process(word, _ string, emit func(count)) error {
	n, _ := c.counts.Get()
	n++
	if isPowerOfTwo(n) {
		emit(count{word: word, n: n})
	}
	c.counts.Put(n)
	return nil
}

// Finish emits the totals that have not been emitted.
func (c *counter) Finish(emit func(count)) error {
	for word, n := range c.counts.All() {
		if !isPowerOfTwo(n) {
			emit(count{word: word, n: n})
		}
	}
	return nil
}

func isPowerOfTwo(n uint64) bool { return n != 0 && n&(n-1) == 0 }
