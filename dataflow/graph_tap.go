package dataflow

import (
	"reflect"

	"cairn/checkpoint"
)

// A Tap is called by an operator's subtask before each record that the operator takes in, from the subtask's goroutine.
type Tap func(checkpoint.SubtaskID, checkpoint.OperatorID)

// SetTap gives every operator but the sources a tap. What it does, the operator seems to do: a test of a job lets it
// panic, or take its time. It slows the job down many times over, and is for nothing else. It is no part of the graph's
// shape: nodes with and without it run the same job.
func (g *Graph) SetTap(t Tap) { g.tap = t }

// tapped puts the graph's tap before the functions that an operator takes records by, boxed as they are.
func (r *runner) tapped(at int, ins []any) []any {
	tap := r.task.spec.Graph.tap
	if tap == nil {
		return ins
	}
	all := make([]any, 0, len(ins))
	for _, boxed := range ins {
		in := reflect.ValueOf(boxed)
		all = append(all, reflect.MakeFunc(in.Type(), func(record []reflect.Value) []reflect.Value {
			if r.chain.err == nil {
				previous := r.chain.enter(at)
				tap(r.chain.subtask, r.chain.ids[at])
				r.chain.leave(previous)
			}
			return in.Call(record)
		}).Interface())
	}
	return all
}
