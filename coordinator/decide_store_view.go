package coordinator

import (
	"cmp"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// storePolicy is what the storekeeper is to see to.
type storePolicy struct {
	replicas int // copies that each chunk should have
	repair   Repair
	// adoption is how long a new leader waits for nodes that it has not met.
	adoption time.Duration
}

// storeView is what the leader of one term knows of where the chunks are, which of them are needed, and the copies that
// it has ordered. It is soft state. It belongs to the goroutine of the storekeeper.
type storeView struct {
	policy storePolicy
	began  time.Time // this leadership
	index  *placement.Index
	nodes  map[checkpoint.NodeID]*storeNode
	order  []*storeNode // nodes, by ID
	names  names
	// wasTold says that what can be known of copies was known at some moment: nobody was waited for, and every manifest had
	// been read, or tried several times.
	wasTold bool

	bucket    bucket
	lastOrder uint64 // numbers the orders; the term is in the upper half
	orders    map[uint64]*copyOrder
	copying   map[checkpoint.ChunkID]uint64 // the order in which a chunk is copied
	retries   map[checkpoint.ChunkID]copyRetry
	// urgent are chunks of which a copy was found damaged. They do not wait for anything.
	urgent    map[checkpoint.ChunkID]bool
	queue     []endangered // what is to be copied next, as of surveyed
	surveyed  time.Time
	forgotten time.Time // when what is of no use any more was last forgotten
	// failures are the orders that came to nothing since the storekeeper last logged them.
	failures []copyFailure
}

// storeNode is a node's part of the store.
type storeNode struct {
	ref     checkpoint.NodeRef
	zone    string
	shared  string // its store, when that is not a disk of its own
	open    bool   // a session is
	state   nodeState
	drained bool
	gone    time.Time // since when it is lost or has left; zero while it lives
	// complete says that it has told all that it holds in this session; listing that it is about to. awaited is since when
	// it is to tell, while it is not complete.
	complete, listing bool
	awaited           time.Time
	// removed are chunks that it has lost while listing: a later piece of the list may be older.
	removed map[checkpoint.ChunkID]bool
	report  checkpoint.StoreReport
	orders  int       // of copies, unanswered
	bytes   int64     // of those
	paused  time.Time // until when it is given no orders
}

func newStoreView(policy storePolicy, firstOrder uint64, now time.Time) *storeView {
	return &storeView{
		policy: policy, began: now, index: placement.NewIndex(), nodes: make(map[checkpoint.NodeID]*storeNode),
		names: newNames(), bucket: newBucket(policy.repair.Rate, now), lastOrder: firstOrder, forgotten: now,
		orders: make(map[uint64]*copyOrder), copying: make(map[checkpoint.ChunkID]uint64),
		retries: make(map[checkpoint.ChunkID]copyRetry), urgent: make(map[checkpoint.ChunkID]bool),
	}
}

// lives reports whether a node's copies count.
func (n *storeNode) lives() bool { return n.state == nodeAlive || n.state == nodeSuspect }

// obeys reports whether a node can be told to do something with its chunks, and asked for them.
func (n *storeNode) obeys() bool {
	return n.open && n.state == nodeAlive && n.shared == "" && n.complete
}

// OnSession records that a node has opened a session. What it holds it tells anew; until then what is known of it
// counts.
func (v *storeView) OnSession(hello checkpoint.Hello, now time.Time) {
	n := v.nodes[hello.Node.ID]
	if n == nil {
		n = new(storeNode)
		v.nodes[hello.Node.ID] = n
		v.order = append(v.order, n)
	}
	v.dropOrders(n, "it has opened a new session", now)
	awaited := now
	if n.lives() && !n.complete {
		awaited = n.awaited // a session that breaks before the list is over does not make it due any later
	}
	*n = storeNode{
		ref: hello.Node, zone: hello.Zone, shared: hello.SharedStore, drained: n.drained, open: true, state: nodeAlive, report: n.report,
		awaited: awaited,
	}
	slices.SortFunc(v.order, func(a, b *storeNode) int { return cmp.Compare(a.ref.ID, b.ref.ID) })
}

// OnSessionClosed records that the session of one process has ended.
func (v *storeView) OnSessionClosed(ref checkpoint.NodeRef, now time.Time) {
	if n := v.node(ref); n != nil {
		n.open, n.listing, n.removed = false, false, nil
		v.dropOrders(n, "its session has ended", now)
	}
}

// nodeFact is how the leader loop judges a node.
type nodeFact struct {
	id      checkpoint.NodeID
	state   nodeState
	drained bool
}

// OnNodes takes in how the leader loop judges the nodes.
func (v *storeView) OnNodes(facts []nodeFact, now time.Time) {
	for _, f := range facts {
		n := v.nodes[f.id]
		if n == nil {
			continue
		}
		n.state, n.drained = f.state, f.drained
		switch {
		case n.lives():
			n.gone = time.Time{}
		case n.gone.IsZero():
			n.gone = now
		}
	}
}

// node returns the process that a message is from, nil when another one has taken its place.
func (v *storeView) node(ref checkpoint.NodeRef) *storeNode {
	if n := v.nodes[ref.ID]; n != nil && n.ref.Incarnation == ref.Incarnation {
		return n
	}
	return nil
}

// allTold reports whether every living node with a disk of its own has told all that it holds.
func (v *storeView) allTold() bool {
	return !slices.ContainsFunc(v.order, func(n *storeNode) bool { return n.lives() && n.shared == "" && !n.complete })
}

// inventoryPatience is how long a living node is waited for to tell all that it holds. One that cannot (its disk may not
// let it list what is there) must not keep all others' chunks from being repaired, and orphans from being found.
const inventoryPatience = 10 * time.Minute

// isLate reports whether a living node has not told all that it holds for longer than anybody waits for that.
func (n *storeNode) isLate(now time.Time) bool {
	return n.lives() && n.shared == "" && !n.complete && now.Sub(n.awaited) >= inventoryPatience
}

// toldEnough reports whether no living node has still to be waited for. Of one that is late counts what is known; what it
// holds beside that is copied once more, which costs room on a disk and nothing else.
func (v *storeView) toldEnough(now time.Time) bool {
	return !slices.ContainsFunc(v.order, func(n *storeNode) bool {
		return n.lives() && n.shared == "" && !n.complete && !n.isLate(now)
	})
}

// sharedStore returns the name of the store that the nodes share, empty when they do not.
func (v *storeView) sharedStore() string {
	for _, n := range v.order {
		if n.lives() && n.shared != "" {
			return n.shared
		}
	}
	return ""
}

// met reports whether the nodes that are alive had the time to open a session to this leader.
func (v *storeView) met(now time.Time) bool { return now.Sub(v.began) >= v.policy.adoption }

// second is the time as the index counts it.
func (v *storeView) second(t time.Time) uint32 { return uint32(max(0, t.Sub(v.began)/time.Second)) }
