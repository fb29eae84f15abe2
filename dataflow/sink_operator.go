package dataflow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"cairn/checkpoint"
)

// sinkState names the list state that holds a sink's transactions.
const sinkState = "transactions"

// transaction is a pre-committed transaction that is not known to be committed.
type transaction struct {
	checkpoint checkpoint.ID // whose barrier ended it
	handle     []byte
}

// sinkOperator runs a SinkWriter.
type sinkOperator[T any] struct {
	chain   *chain
	at      int
	sink    Sink[T]
	writer  SinkWriter[T] // nil before open and after a failed one
	pending []transaction // by checkpoint, ascending
	settled bool          // Settle has been called
}

func buildSink[T any](sink Sink[T]) buildFunc {
	return func(c *chain, at int, _ outlets) (operator, []any) {
		o := &sinkOperator[T]{chain: c, at: at, sink: sink}
		return o, oneInput(o.write)
	}
}

func (o *sinkOperator[T]) open(start start) error {
	entries, _ := start.state.takeList(sinkState)
	handles := make([][]byte, 0, len(entries))
	for _, e := range entries {
		t, err := decodeTransaction(e)
		if err != nil {
			return err
		}
		handles = append(handles, t.handle)
	}
	c := o.chain
	writer, err := o.sink.Open(SinkContext{
		Subtask: c.subtask, Parallelism: c.parallelism, Job: start.job, Attempt: start.attempt,
		Restored: start.state.restored, Logger: c.logger(o.at),
	})
	if err != nil {
		return err
	}
	if writer == nil {
		return errors.New("the sink opened no writer")
	}
	o.writer = writer
	if err := writer.Recover(c.ctx, handles); err != nil {
		return fmt.Errorf("recovering the sink: %w", err)
	}
	return nil
}

func (o *sinkOperator[T]) write(v T) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	if err := o.writer.Write(v); err != nil {
		c.fail(err)
	}
	c.leave(previous)
}

func (o *sinkOperator[T]) onWatermark(EventTime) {}

func (o *sinkOperator[T]) finish() error { return nil }

// capture pre-commits. The state holds every transaction whose commit has not been ordered yet, also those of
// checkpoints that failed: their records belong to the next one that completes.
func (o *sinkOperator[T]) capture(s *snapshot) error {
	handle, err := o.writer.PreCommit(o.chain.ctx, s.barrier.ID)
	if err != nil {
		return fmt.Errorf("pre-committing for checkpoint %d: %w", s.barrier.ID, err)
	}
	if handle != nil {
		o.pending = append(o.pending, transaction{checkpoint: s.barrier.ID, handle: handle})
	}
	if len(o.pending) == 0 {
		return nil
	}
	entries := make([][]byte, 0, len(o.pending))
	for _, t := range o.pending {
		entries = append(entries, t.encode())
	}
	s.addList(o.chain.ids[o.at], sinkState, checkpoint.ListState, entries)
	return nil
}

// notifyComplete commits the transactions that the completed checkpoint covers.
func (o *sinkOperator[T]) notifyComplete(id checkpoint.ID) error {
	for len(o.pending) > 0 && o.pending[0].checkpoint <= id {
		t := o.pending[0]
		if err := o.writer.Commit(o.chain.ctx, t.handle); err != nil {
			return fmt.Errorf("committing the transaction of checkpoint %d: %w", t.checkpoint, err)
		}
		o.pending = o.pending[1:]
	}
	return o.settle()
}

// settle tells the writer, once, that every subtask has recovered.
func (o *sinkOperator[T]) settle() error {
	w, settles := o.writer.(SettlingWriter)
	if o.settled || !settles {
		return nil
	}
	o.settled = true
	if err := w.Settle(o.chain.ctx); err != nil {
		return fmt.Errorf("giving up what earlier attempts have left: %w", err)
	}
	return nil
}

// leaveUnpublished is called when the task ends without a final checkpoint. Committing without one could publish
// records twice: a restart goes back behind them.
func (o *sinkOperator[T]) leaveUnpublished() {
	o.chain.logger(o.at).Warn("the job does not wait for a checkpoint after its tasks finish: " +
		"what the sink took since its last completed checkpoint is not published")
}

func (o *sinkOperator[T]) close() error {
	if o.writer == nil {
		return nil
	}
	return o.writer.Close()
}

func (t transaction) encode() []byte {
	return append(binary.AppendUvarint(nil, uint64(t.checkpoint)), t.handle...)
}

func decodeTransaction(entry []byte) (transaction, error) {
	id, n := binary.Uvarint(entry)
	if n <= 0 {
		return transaction{}, fmt.Errorf("transaction of %d bytes: its checkpoint cannot be read", len(entry))
	}
	return transaction{checkpoint: checkpoint.ID(id), handle: entry[n:]}, nil
}
