package statestore

import (
	"errors"
	"fmt"
	"strings"

	"cairn/checkpoint"
)

// NodeError is the failure of one node.
type NodeError struct {
	Node checkpoint.NodeID
	Err  error
}

// Error names the node and what went wrong there.
func (e NodeError) Error() string { return fmt.Sprintf("node %s: %v", e.Node, e.Err) }

// Unwrap returns the node's error.
func (e NodeError) Unwrap() error { return e.Err }

// NodeErrors are the failures of several nodes, in the order in which they were tried.
type NodeErrors []NodeError

// Error joins the failures in one line.
func (e NodeErrors) Error() string {
	if len(e) == 0 {
		return "no node was tried"
	}
	texts := make([]string, len(e))
	for i, one := range e {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "; ")
}

// byCause is Error with the nodes together that do not have what they were asked for: often they all say that at length.
func (e NodeErrors) byCause() string {
	var without []string
	var others NodeErrors
	for _, one := range e {
		if errors.Is(one.Err, ErrNotFound) {
			without = append(without, string(one.Node))
		} else {
			others = append(others, one)
		}
	}
	text := "it is not on " + strings.Join(without, ", ")
	switch {
	case len(without) == 0:
		return others.Error()
	case len(others) == 0:
		return text
	}
	return text + "; " + others.Error()
}

// UnavailableError says that no node had a good copy of a chunk, and what each of them said. It is
// ErrUnavailable. It is ErrNotFound only if every node said so: a node that did not answer may well have
// the chunk. It is any other error that one of the nodes gave.
type UnavailableError struct {
	Ref   checkpoint.ChunkRef
	Tried NodeErrors
}

// Error names the chunk and every node that was asked.
func (e *UnavailableError) Error() string {
	return fmt.Sprintf("chunk %s (%d bytes): %v: %s", e.Ref.ID, e.Ref.Size, ErrUnavailable, e.Tried.byCause())
}

// Is implements the rule that the type's comment states.
func (e *UnavailableError) Is(target error) bool {
	switch target {
	case ErrUnavailable:
		return true
	case ErrNotFound:
		for _, one := range e.Tried {
			if !errors.Is(one.Err, ErrNotFound) {
				return false
			}
		}
		return len(e.Tried) > 0
	}
	for _, one := range e.Tried {
		if errors.Is(one.Err, target) {
			return true
		}
	}
	return false
}

// Unavailable returns the chunk, for those who do not know this package.
func (e *UnavailableError) Unavailable() checkpoint.ChunkRef { return e.Ref }

// PlacementError says that no live node took a chunk.
type PlacementError struct {
	Ref    checkpoint.ChunkRef
	Failed NodeErrors
}

// Error names the chunk and every node that failed.
func (e *PlacementError) Error() string {
	return fmt.Sprintf("chunk %s (%d bytes): no node took it: %v", e.Ref.ID, e.Ref.Size, e.Failed)
}

// Unwrap returns the failures of the nodes.
func (e *PlacementError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, one := range e.Failed {
		errs[i] = one
	}
	return errs
}
