package dataflow

import "errors"

// Union returns the records of all the streams, in no particular order. It is no operator: the one that is added
// behind it has several inputs.
func Union[T any](first Stream[T], others ...Stream[T]) Stream[T] {
	all := Stream[T]{graph: first.graph}
	for _, s := range append([]Stream[T]{first}, others...) {
		if s.graph != all.graph {
			all.graph.fail(errors.New("union: its streams belong to different graphs"))
		}
		if s.emitter != nil {
			all.graph.fail(errors.New("union: partition the union, not the streams that it is made of"))
		}
		all.outlets = append(all.outlets, s.outlets...)
	}
	return all
}
