package dataflow

import (
	"fmt"
	"reflect"

	"cairn/dataflow/codec"
)

// OutputTag names a side output of an operator: records that leave it beside its main output, of a type of their own.
// Late records are the usual case.
type OutputTag[T any] struct {
	name  string
	codec codec.Codec[T]
}

// NewOutputTag returns a tag. The name is unique within the operators that emit to it; the codec is that of the
// records.
func NewOutputTag[T any](name string, records codec.Codec[T]) OutputTag[T] {
	return OutputTag[T]{name: name, codec: records}
}

// Name returns the tag's name.
func (t OutputTag[T]) Name() string { return t.name }

// SideOutput returns the records that the operator behind s emits with the tag. What nobody reads is dropped.
func SideOutput[T, Main any](s Stream[Main], tag OutputTag[T]) Stream[T] {
	side := Stream[T]{graph: s.graph}
	if tag.name == "" {
		s.graph.fail(fmt.Errorf("operator %s: a side output needs a name", s.outlets[0].node.id))
	}
	for _, o := range s.outlets {
		o.node.addSide(s.graph, tag.name, joinOutputs[T], reflect.TypeFor[T]())
		side.outlets = append(side.outlets, outlet[T]{node: o.node, tag: tag.name, codec: tag.codec})
	}
	return side
}

// side is a side output that somebody reads.
type side struct {
	join joinFunc
	of   reflect.Type
}

func (o *node) addSide(g *Graph, tag string, join joinFunc, of reflect.Type) {
	if known, found := o.sides[tag]; found && known.of != of {
		g.fail(fmt.Errorf("operator %s: side output %q is read as %s and as %s", o.id, tag, known.of, of))
		return
	}
	if o.sides == nil {
		o.sides = make(map[string]side)
	}
	o.sides[tag] = side{join: join, of: of}
}

// sideOutput returns the function that takes the records of a side output.
func sideOutput[T any](outs outlets, tag OutputTag[T]) (func(T), error) {
	boxed, read := outs.sides[tag.name]
	if !read {
		return func(T) {}, nil
	}
	emit, fits := boxed.(func(T))
	if !fits {
		return nil, fmt.Errorf("side output %q is emitted as %s, but read as another type", tag.name, reflect.TypeFor[T]())
	}
	return emit, nil
}

// SideEmitter returns the function that emits records with a tag. It is called in a processor's Open; the function is
// used where the processor may emit.
func SideEmitter[T any](ctx StateContext, tag OutputTag[T]) func(T) {
	c := ctx.context()
	emit, err := sideOutput(c.outs, tag)
	c.note(err)
	return emit
}
