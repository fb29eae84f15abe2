package coordinator

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"cairn/checkpoint"
)

// nodeView is what the leader knows of one task node.
type nodeView struct {
	ref      checkpoint.NodeRef
	slots    int
	programs []string
	docs     []checkpoint.ProgramDoc
	// sharedStore names the store that it uses together with others, empty when it keeps chunks on a disk of its own.
	sharedStore string
	connected   bool // a session is open
	reported    bool // the session has answered Leading of this term
	failed      bool // gossip says so, of this incarnation
	left        bool // has said goodbye
	heardAt     time.Time
	greetedAt   time.Time // when a report was last asked for
	closedAt    time.Time // when the last session closed
	// greet asks for Leading to be sent: the session is new, or the node was lost and speaks again.
	greet bool
	// holds are the attempts the node has in memory, by its report or by a Deploy sent since.
	holds map[attemptKey]bool
	// notified is the newest completed checkpoint of each job that was sent to this session.
	notified map[checkpoint.JobID]checkpoint.ID
	// graphs are what this process has said about its graphs of jobs, or has been asked.
	graphs map[checkpoint.JobID]*builtGraph
}

type attemptKey struct {
	job     checkpoint.JobID
	attempt checkpoint.Attempt
}

func (k attemptKey) compare(other attemptKey) int {
	return cmp.Or(bytes.Compare(k.job[:], other.job[:]), cmp.Compare(k.attempt, other.attempt))
}

// nodeState is how far the leader trusts a node to run tasks.
type nodeState uint8

const (
	nodeUnknown nodeState = iota // not met in this term yet; it may still report
	nodeAlive
	nodeSuspect // its session broke a moment ago
	nodeLost
	nodeLeft
)

func (s nodeState) String() string {
	return [...]string{"unknown", "alive", "suspect", "lost", "left"}[s]
}

// stateOf judges a node at time now.
func (v *View) stateOf(n *nodeView, now time.Time) nodeState {
	silence := now.Sub(n.heardAt)
	switch {
	case n.left && !n.connected:
		return nodeLeft
	case !n.connected && now.Sub(n.closedAt) > v.Timing.SessionGrace:
		return nodeLost
	case n.connected && !n.reported && now.Sub(n.greetedAt) > v.Timing.HeartbeatTimeout:
		return nodeLost // it does not answer Leading: it obeys somebody else, or nobody
	case silence > v.Timing.HeartbeatTimeout, n.failed && silence > v.Timing.GossipConfirm:
		return nodeLost
	case !n.connected:
		return nodeSuspect
	}
	return nodeAlive
}

// assigneeState judges the process that an assignment names: one that was replaced by a newer incarnation
// is lost, one that has not been met may still report within the grace.
func (v *View) assigneeState(ref checkpoint.NodeRef, now time.Time) nodeState {
	n := v.nodes[ref.ID]
	if n == nil {
		if now.Sub(v.Since) > v.Timing.AdoptionGrace {
			return nodeLost
		}
		return nodeUnknown
	}
	if n.ref.Incarnation != ref.Incarnation {
		return nodeLost
	}
	state := v.stateOf(n, now)
	if state == nodeAlive && !n.reported {
		return nodeUnknown
	}
	return state
}

// meet adds a node, or the new incarnation of one.
func (v *View) meet(n *nodeView) {
	id := n.ref.ID
	at, known := slices.BinarySearchFunc(v.order, id, func(n *nodeView, id checkpoint.NodeID) int { return cmp.Compare(n.ref.ID, id) })
	if known {
		v.order[at] = n
	} else {
		v.order = slices.Insert(v.order, at, n)
	}
	v.nodes[id] = n
}

// sortedNodes returns the nodes ordered by ID, for the caller to keep.
func (v *View) sortedNodes() []*nodeView { return slices.Clone(v.order) }
