package main

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"cairn/connector/blackhole"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// rowsJob is a job whose state is as large as wanted: for each key the bytes that came last.
type rowsJob struct {
	feed      *feed[uint64]
	rows      int64 // number of keys
	valueSize int   // bytes
	value     func(seed uint64, size int) []byte

	processed atomic.Int64 // records of this run
	first     atomic.Int64 // when the first one of this run was taken in, in nanoseconds since the Unix epoch
}

// rowOverhead is what a row takes in a snapshot beside its value: the key and a length, give or take.
const rowOverhead = 10

// newRowsJob returns a job with a state of about so many bytes, which nothing compresses.
func newRowsJob(bytes int64, valueSize int) *rowsJob {
	identity := func(index int64) uint64 { return uint64(index) }
	return &rowsJob{feed: newFeed(identity), rows: bytes / int64(valueSize+rowOverhead), valueSize: valueSize, value: noise}
}

// key spreads the indices over the keys: each run of so many has every key once, in no order that a store has them in.
func (j *rowsJob) key(index uint64) uint64 { return index * 7_368_787 % uint64(j.rows) }

func (j *rowsJob) build(g *dataflow.Graph) {
	indices := dataflow.From(g, "read", j.feed, codecOfKeys)
	done := dataflow.Process(dataflow.KeyBy(indices, codecOfKeys, j.key), "keep", codec.Uint64,
		func() dataflow.KeyedProcessor[uint64, uint64, uint64] { return &keeper{job: j} })
	dataflow.To(done, "sink", blackhole.New[uint64]())
}

// start starts the job, fresh or from a checkpoint. The caller ends it.
func (j *rowsJob) start(o taskOptions) (*taskRun, error) {
	j.processed.Store(0)
	j.first.Store(0)
	o.build = j.build
	return startTasks(o)
}

// fill starts the job and lets it write every row once.
func (j *rowsJob) fill(ctx context.Context, o taskOptions) (*taskRun, error) {
	r, err := j.start(o)
	if err != nil {
		return nil, err
	}
	j.feed.until(j.rows)
	return r, j.await(ctx, r, j.rows)
}

// await waits until so many records of this run have been processed.
func (j *rowsJob) await(ctx context.Context, r *taskRun, records int64) error {
	return await(ctx, func() (bool, error) { return j.processed.Load() >= records, r.check() })
}

// awaitFirst waits for the first record of this run and returns when it was taken in.
func (j *rowsJob) awaitFirst(ctx context.Context, r *taskRun) (time.Time, error) {
	err := j.await(ctx, r, 1)
	return time.Unix(0, j.first.Load()), err
}

// keeper keeps the bytes that came last.
type keeper struct {
	job   *rowsJob
	bytes *dataflow.ValueState[uint64, []byte]
	began bool
}

func (k *keeper) Open(ctx *dataflow.ProcessContext[uint64]) error {
	k.bytes = dataflow.NewValueState(ctx, "bytes", codec.Bytes)
	return nil
}

func (k *keeper) Process(_ uint64, index uint64, emit func(uint64)) error {
	if !k.began {
		k.job.first.Store(time.Now().UnixNano())
		k.began = true
	}
	k.bytes.Put(k.job.value(index, k.job.valueSize))
	emit(index)
	k.job.processed.Add(1)
	return nil
}

func (k *keeper) Finish(func(uint64)) error { return errEndless }

// noise returns bytes that depend on nothing but the seed (splitmix64).
func noise(seed uint64, size int) []byte {
	b := make([]byte, 0, size+8)
	for state := seed * 0xd1342543de82ef95; len(b) < size; {
		state += 0x9e3779b97f4a7c15
		z := (state ^ state>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		b = binary.LittleEndian.AppendUint64(b, z^z>>31)
	}
	return b[:size]
}
