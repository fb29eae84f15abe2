package dataflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
)

// Graph is a job's graph of operators. It is built with From, Map, KeyBy and so on by one goroutine, sealed,
// and read-only from then on. The same calls in the same order give the same graph.
//
// Mistakes are remembered and returned by Seal, so that building reads without error checks.
type Graph struct {
	defaultParallelism int
	watermarkInterval  time.Duration
	overrides          checkpoint.Overrides
	operators          []*node // in the order of creation, which is topological
	errs               []error
	sealed             bool
	params             map[string]string         // that it was built with
	tap                Tap                       // nil for none
	texts              []checkpoint.OperatorText // set by Seal

	vertices []*vertex // set by Seal
	edges    []*edge
}

// node is one operator.
type node struct {
	id             checkpoint.OperatorID
	parallelism    int // 0 until Seal when not given: the input's, or the graph's for a source
	own            int // the parallelism without overrides; set by Seal
	maxParallelism int // 0 until Seal when not given
	inputs         []*link
	outputs        []*link
	sharing        string // slot sharing group; until Seal empty when not given
	sharingGiven   bool
	kind, out      string // what it is and emits, for its description
	timed          bool   // its records have event times; until Seal: it gives them out itself
	needsTime      bool   // its inputs must have event times
	vertex         int    // position in Graph.vertices, set by Seal
	build          buildFunc
	join           joinFunc        // nil for a sink
	sides          map[string]side // the side outputs that somebody reads, by tag
}

// link leads a stream from one operator to the next.
type link struct {
	from, to     *node
	tag          string                  // of the side output that it begins at; empty for the main one
	input        int                     // of the receiving operator: 0, or 1 for the second stream of a two-input operator
	partitioning checkpoint.Partitioning // Forward becomes Rebalance when the parallelism differs
	strict       bool                    // Forward was asked for: a different parallelism is a mistake
	hasCodec     bool
	keys         string // their type, when the records are grouped by key, for descriptions
	port         port
	edge         int // position in Graph.edges, or -1 when the two operators are chained; set by Seal
}

// vertex is a chain of operators. A chain may branch: it is a tree. Only its head may have several inputs.
type vertex struct {
	operators []*node
	inputs    []*edge // none for a source
	outputs   []*edge
}

// edge is a link between two vertices.
type edge struct {
	index int
	link  *link
}

// NewGraph returns an empty graph. Registry.Build makes one for its program.
func NewGraph() *Graph {
	return &Graph{defaultParallelism: 1, watermarkInterval: defaultWatermarkInterval}
}

// SetParallelism sets the parallelism of the sources that name none; it is 1 otherwise. Operators that name
// none have their input's.
func (g *Graph) SetParallelism(n int) { g.defaultParallelism = n }

// SetAutoWatermarkInterval sets how often watermarks are sent, 200 ms otherwise: shorter makes windows fire sooner, and
// batches smaller.
func (g *Graph) SetAutoWatermarkInterval(d time.Duration) {
	if d <= 0 {
		g.fail(fmt.Errorf("watermark interval %s: must be more than 0", d))
		return
	}
	g.watermarkInterval = d
}

// fail remembers a mistake for Seal.
func (g *Graph) fail(err error) { g.errs = append(g.errs, err) }

// Option changes one operator.
type Option func(*node)

// Parallelism sets the number of subtasks that the operator runs as.
func Parallelism(n int) Option { return func(o *node) { o.parallelism = n } }

// MaxParallelism sets the number of key groups of the operator, which bounds its parallelism for as long as
// its state lives. Without it the number follows from the parallelism.
func MaxParallelism(n int) Option { return func(o *node) { o.maxParallelism = n } }

// add puts an operator into the graph, behind its inputs unless it is a source.
func (g *Graph) add(id checkpoint.OperatorID, inputs []*link, build buildFunc, join joinFunc, opts []Option) *node {
	o := &node{id: id, inputs: inputs, build: build, join: join}
	if g.sealed {
		panic(fmt.Sprintf("dataflow: operator %s is added to a graph that has been built", id))
	}
	for _, opt := range opts {
		opt(o)
		if o.parallelism < 0 || o.maxParallelism < 0 {
			g.errs = append(g.errs, fmt.Errorf("operator %s: parallelism %d, max parallelism %d: must be at least 1",
				id, o.parallelism, o.maxParallelism))
		}
	}
	for _, l := range inputs {
		l.to = o
		l.from.outputs = append(l.from.outputs, l)
	}
	g.operators = append(g.operators, o)
	return o
}

// Seal ends building: it checks the graph and chains its operators into vertices. Calling it again changes
// nothing.
func (g *Graph) Seal() error {
	if g.sealed {
		return nil
	}
	g.describe()
	if err := g.checkOverrides(); err != nil {
		g.fail(err)
	}
	for _, o := range g.operators {
		g.resolve(o)
		g.resolveSharing(o)
	}
	if len(g.errs) > 0 {
		return errors.Join(g.errs...)
	}
	for _, o := range g.operators {
		g.place(o)
	}
	if err := g.check(); err != nil {
		g.errs = append(g.errs, err) // for the next call
		return err
	}
	g.sealed = true
	return nil
}

// resolve settles what an operator inherits: its parallelism, and whether records have event
// times. Its inputs have been resolved: operators come in topological order.
func (g *Graph) resolve(o *node) {
	g.resolveParallelism(o)
	for _, l := range o.inputs {
		o.timed = o.timed || l.from.timed
		if o.needsTime && !l.from.timed {
			g.errs = append(g.errs, fmt.Errorf("operator %s: its input from %s has no event time: AssignTimestampsAndWatermarks has to come before",
				o.id, l.from.id))
		}
		if l.partitioning != checkpoint.Forward || l.from.parallelism == o.parallelism {
			continue
		}
		if l.strict {
			g.errs = append(g.errs, fmt.Errorf("operator %s: it is to be forwarded to from %s, but their parallelism is %d and %d",
				o.id, l.from.id, o.parallelism, l.from.parallelism))
		}
		l.partitioning = checkpoint.Rebalance
	}
}

// place puts an operator into the vertex of its input when the two can be chained, otherwise into one of its
// own, with an edge for each input.
func (g *Graph) place(o *node) {
	if len(o.inputs) == 1 && o.inputs[0].chainable() {
		l := o.inputs[0]
		o.vertex, l.edge = l.from.vertex, -1
		v := g.vertices[o.vertex]
		v.operators = append(v.operators, o)
		return
	}
	o.vertex = len(g.vertices)
	v := &vertex{operators: []*node{o}}
	g.vertices = append(g.vertices, v)
	for _, l := range o.inputs {
		l.edge = len(g.edges)
		e := &edge{index: l.edge, link: l}
		g.edges = append(g.edges, e)
		v.inputs = append(v.inputs, e)
		from := g.vertices[l.from.vertex]
		from.outputs = append(from.outputs, e)
	}
}

func (l *link) chainable() bool {
	return l.partitioning == checkpoint.Forward && l.from.maxParallelism == l.to.maxParallelism &&
		l.from.sharing == l.to.sharing
}

func (g *Graph) check() error {
	for _, e := range g.edges {
		if !e.link.hasCodec {
			return fmt.Errorf("operator %s: its output goes to %s on other subtasks and needs a codec",
				e.link.from.id, e.link.to.id)
		}
	}
	return g.Topology().Validate()
}

// Topology returns the shape of a sealed graph: all that the coordinator knows of it.
func (g *Graph) Topology() checkpoint.Topology {
	var t checkpoint.Topology
	for _, v := range g.vertices {
		head := v.operators[0]
		var ids []checkpoint.OperatorID
		var names []string
		for _, o := range v.operators {
			ids, names = append(ids, o.id), append(names, string(o.id))
		}
		t.Vertices = append(t.Vertices, checkpoint.Vertex{
			ID: checkpoint.VertexID(head.id), Name: strings.Join(names, " -> "), Operators: ids,
			Parallelism: head.parallelism, MaxParallelism: head.maxParallelism, SharingGroup: head.persistedSharing(),
		})
	}
	for _, e := range g.edges {
		t.Edges = append(t.Edges, checkpoint.Edge{
			From: e.link.from.vertex, To: e.link.to.vertex, Partitioning: e.link.partitioning,
		})
	}
	return t
}

// vertexOf returns the vertex that a subtask is an instance of.
func (g *Graph) vertexOf(s checkpoint.SubtaskID) (*vertex, error) {
	i := slices.IndexFunc(g.vertices, func(v *vertex) bool { return checkpoint.VertexID(v.operators[0].id) == s.Vertex })
	if i < 0 {
		return nil, fmt.Errorf("the job has no vertex %s", s.Vertex)
	}
	if p := g.vertices[i].operators[0].parallelism; s.Index < 0 || s.Index >= p {
		return nil, fmt.Errorf("subtask %s: the parallelism is %d", s, p)
	}
	return g.vertices[i], nil
}
