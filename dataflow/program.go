package dataflow

import (
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
)

// Program is a job that a task node can run: a name and a function that builds the graph. Build is called on
// every node and gives the same graph for the same parameters everywhere: it reads no clock, no environment
// and no files.
type Program struct {
	Name string
	Doc  string // one line for listings
	// Params say what the parameters mean that Build asks for, in the order of a listing.
	Params []Param
	Build  func(g *Graph, p *Params) error
}

// Param says in one line what a parameter of a program means, whether it is required, and what its default is.
type Param = checkpoint.ParamDoc

// Registry holds the programs of one binary. It is filled before use and read-only afterwards.
type Registry struct {
	programs map[string]Program
}

// NewRegistry returns a registry of the given programs. It panics when two have the same name or one has no
// name or no Build: that is a mistake in the program text.
func NewRegistry(programs ...Program) *Registry {
	r := &Registry{programs: make(map[string]Program, len(programs))}
	for _, p := range programs {
		if _, twice := r.programs[p.Name]; twice || p.Name == "" || p.Build == nil {
			panic(fmt.Sprintf("dataflow: program %q is registered twice, has no name or cannot be built", p.Name))
		}
		r.programs[p.Name] = p
	}
	return r
}

// Names returns the programs' names, sorted.
func (r *Registry) Names() []string { return slices.Sorted(maps.Keys(r.programs)) }

// Docs say what the programs do, sorted by name.
func (r *Registry) Docs() []checkpoint.ProgramDoc {
	docs := make([]checkpoint.ProgramDoc, 0, len(r.programs))
	for _, name := range r.Names() {
		p := r.programs[name]
		docs = append(docs, checkpoint.ProgramDoc{Name: name, Doc: p.Doc, Params: p.Params})
	}
	return docs
}

// Lookup returns the program with the given name, or an error that lists the known ones.
func (r *Registry) Lookup(name string) (Program, error) {
	p, known := r.programs[name]
	if !known {
		return Program{}, fmt.Errorf("unknown job %q: known are %s", name, listed(r.programs))
	}
	return p, nil
}

// Build builds the graph of the named program with the given parameters. Parameters that the program does
// not ask for are an error. The overrides go before the parallelism that the program gives its operators.
func (r *Registry) Build(name string, params map[string]string, overrides checkpoint.Overrides) (*Graph, error) {
	program, err := r.Lookup(name)
	if err != nil {
		return nil, err
	}
	graph, p := NewGraph(), NewParams(params)
	graph.overrides = overrides
	if err := program.Build(graph, p); err != nil {
		return nil, fmt.Errorf("job %s: %w%s", name, err, program.misspelt(p))
	}
	if err := p.Unknown(); err != nil {
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	graph.params = maps.Clone(params)
	if err := graph.Seal(); err != nil {
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	return graph, nil
}

// misspelt names, as a clause, a parameter that was given and that the program neither has asked for so far nor documents:
// it may be why another one is missing.
func (p Program) misspelt(given *Params) string {
	documented := make(map[string]bool, len(p.Params))
	for _, param := range p.Params {
		documented[param.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(given.values)) {
		if len(documented) > 0 && !documented[name] && !given.known[name] {
			return fmt.Sprintf("; and parameter %q is unknown: known are %s", name, listed(documented))
		}
	}
	return ""
}
