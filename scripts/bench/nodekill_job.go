package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cairn/connector/blackhole"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/node"
)

// nodeKillParallelism is that of all operators of the job whose nodes are killed.
const nodeKillParallelism = 4

// nodeKillProgram is a job for real task nodes: as many rows as wanted, overwritten again and again at a given rate. Each
// subtask that has state writes down when its first record came, in a file named by itself and the time.
func nodeKillProgram() dataflow.Program {
	return node.Job("rows", "overwrites rows and notes when its first records come (rows, rate, value_size, notes)",
		func(g *dataflow.Graph, p *dataflow.Params) error {
			rows, err := p.Int("rows", 1000, 1, 1e9)
			if err != nil {
				return err
			}
			size, err := p.Int("value_size", 118, 1, 1e6)
			if err != nil {
				return err
			}
			rate, err := p.Float("rate", 0, 0)
			if err != nil {
				return err
			}
			notes, err := p.Required("notes")
			if err != nil {
				return err
			}
			identity := func(index int64) uint64 { return uint64(index) }
			indices := dataflow.From(g, "read", generate.New(1<<60, identity, generate.Rate(rate)), codec.Uint64, dataflow.Parallelism(nodeKillParallelism))
			byRow := dataflow.KeyBy(indices, codec.Uint64, func(index uint64) uint64 { return index % uint64(rows) })
			kept := dataflow.Process(byRow, "keep", codec.Uint64, func() dataflow.KeyedProcessor[uint64, uint64, uint64] {
				return &noter{notes: notes, size: size}
			}, dataflow.Parallelism(nodeKillParallelism))
			dataflow.To(kept, "sink", blackhole.New[uint64](), dataflow.Parallelism(nodeKillParallelism))
			return nil
		})
}

// noter keeps the bytes that came last, and notes when the first record came.
type noter struct {
	notes string
	size  int
	index int
	bytes *dataflow.ValueState[uint64, []byte]
	began bool
}

func (n *noter) Open(ctx *dataflow.ProcessContext[uint64]) error {
	n.index = ctx.Subtask.Index
	n.bytes = dataflow.NewValueState(ctx, "bytes", codec.Bytes)
	return nil
}

func (n *noter) Process(_ uint64, index uint64, emit func(uint64)) error {
	if !n.began {
		n.began = true
		name := fmt.Sprintf("%d-%d", n.index, time.Now().UnixNano())
		if err := os.WriteFile(filepath.Join(n.notes, name), nil, 0o644); err != nil {
			return err
		}
	}
	n.bytes.Put(noise(index, n.size))
	emit(index)
	return nil
}

func (n *noter) Finish(func(uint64)) error { return errEndless }

// flowsAgain returns when the last of the subtasks took in its first record behind the given time, and whether all have.
func flowsAgain(notes string, behind time.Time) (last time.Time, all bool, err error) {
	entries, err := os.ReadDir(notes)
	if err != nil {
		return last, false, err
	}
	first := make(map[string]time.Time)
	for _, e := range entries {
		index, text, _ := strings.Cut(e.Name(), "-")
		nanos, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return last, false, err
		}
		at := time.Unix(0, nanos)
		if known, found := first[index]; at.After(behind) && (!found || at.Before(known)) {
			first[index] = at
		}
	}
	for _, at := range first {
		if at.After(last) {
			last = at
		}
	}
	return last, len(first) == nodeKillParallelism, nil
}
