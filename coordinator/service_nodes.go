package coordinator

import (
	"context"
	"strings"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) ListPrograms(ctx context.Context) ([]api.Program, error) {
	return read(ctx, s.c, reading.programs, func(ctx context.Context, r api.Service) ([]api.Program, error) { return r.ListPrograms(ctx) })
}

func (s service) ListNodes(ctx context.Context) ([]api.Node, error) {
	return read(ctx, s.c, reading.nodes, func(ctx context.Context, r api.Service) ([]api.Node, error) { return r.ListNodes(ctx) })
}

func (s service) DrainNode(ctx context.Context, id string) (api.Node, error) {
	return call[api.Node]{
		local: func(ctx context.Context, l *leader) (api.Node, error) {
			return l.setDrained(ctx, id, fsm.DrainNode{Node: checkpoint.NodeID(id), At: now()})
		},
		remote:     func(ctx context.Context, r api.Service) (api.Node, error) { return r.DrainNode(ctx, id) },
		repeatable: true,
	}.run(ctx, s.c)
}

func (s service) UndrainNode(ctx context.Context, id string) (api.Node, error) {
	return call[api.Node]{
		local: func(ctx context.Context, l *leader) (api.Node, error) {
			return l.setDrained(ctx, id, fsm.UndrainNode{Node: checkpoint.NodeID(id)})
		},
		remote:     func(ctx context.Context, r api.Service) (api.Node, error) { return r.UndrainNode(ctx, id) },
		repeatable: true,
	}.run(ctx, s.c)
}

// setDrained commits the command that drains a node or ends that, and returns the node as it is then. A node that is not
// known would be a misspelled one.
func (l *leader) setDrained(ctx context.Context, id string, c fsm.Command) (api.Node, error) {
	return ask(ctx, l, func() (api.Node, error) {
		if _, err := l.reading().node(id); err != nil {
			return api.Node{}, err
		}
		if err := l.proposeOne(c); err != nil {
			return api.Node{}, err
		}
		return l.reading().node(id)
	})
}

// node returns the node of that name.
func (r reading) node(id string) (api.Node, error) {
	nodes, _ := r.nodes()
	var known []string
	for _, n := range nodes {
		if n.ID == id {
			return n, nil
		}
		known = append(known, n.ID)
	}
	if len(known) == 0 {
		return api.Node{}, api.Errorf(api.NotFound, "no node is named %q: none is known", id)
	}
	return api.Node{}, api.Errorf(api.NotFound, "no node is named %q: known are %s", id, strings.Join(known, ", "))
}
