package dataflow

import (
	"fmt"

	"cairn/checkpoint"
)

// SlotSharingGroup names the group of operators that share slots: a slot holds at most one subtask of each vertex of one
// group, so a job needs as many slots as its groups' widest vertices together. Operators of different groups are not
// chained. Without the option an operator is in the group of its inputs when they agree, otherwise, and at a source, in
// "default".
func SlotSharingGroup(name string) Option {
	return func(o *node) { o.sharing, o.sharingGiven = name, true }
}

// resolveSharing settles the slot sharing group of an operator whose inputs have theirs.
func (g *Graph) resolveSharing(o *node) {
	switch {
	case o.sharingGiven && o.sharing == "":
		g.fail(fmt.Errorf("operator %s: its slot sharing group has no name", o.id))
	case !o.sharingGiven:
		o.sharing = inheritedSharing(o.inputs)
	}
}

func inheritedSharing(inputs []*link) string {
	if len(inputs) == 0 {
		return checkpoint.DefaultSharingGroup
	}
	group := inputs[0].from.sharing
	for _, l := range inputs[1:] {
		if l.from.sharing != group {
			return checkpoint.DefaultSharingGroup
		}
	}
	return group
}

// persistedSharing returns the group as topologies hold it.
func (o *node) persistedSharing() string {
	if o.sharing == checkpoint.DefaultSharingGroup {
		return ""
	}
	return o.sharing
}
