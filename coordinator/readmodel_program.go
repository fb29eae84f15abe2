package coordinator

import (
	"cmp"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
)

// programs lists what the nodes that are alive can run, by name. Without the leader none is known.
func (r reading) programs() ([]api.Program, error) {
	list := []api.Program{}
	if r.view == nil {
		return list, nil
	}
	at := make(map[string]int) // in list
	for _, n := range r.view.sortedNodes() {
		if r.view.stateOf(n, r.now) != nodeAlive {
			continue
		}
		for _, name := range n.programs {
			i, listed := at[name]
			if !listed {
				i = len(list)
				at[name] = i
				list = append(list, api.Program{Name: name, Params: []api.Param{}, Nodes: []string{}})
			}
			p := &list[i]
			p.Nodes = append(p.Nodes, string(n.ref.ID))
			if p.Doc == "" {
				describeProgram(p, n.docs)
			}
		}
	}
	slices.SortFunc(list, func(a, b api.Program) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}

// describeProgram fills in what a node says of a program, if it does.
func describeProgram(p *api.Program, docs []checkpoint.ProgramDoc) {
	i := slices.IndexFunc(docs, func(d checkpoint.ProgramDoc) bool { return d.Name == p.Name })
	if i < 0 {
		return
	}
	p.Doc = docs[i].Doc
	for _, d := range docs[i].Params {
		p.Params = append(p.Params, api.Param{Name: d.Name, Doc: d.Doc})
	}
}
