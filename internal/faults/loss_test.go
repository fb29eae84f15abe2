package faults

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// loss is a way to lose a node: when, and which. It brings the moment about, and returns the node when it has come.
type loss struct {
	name  string
	await func(*storeRun) checkpoint.NodeID
}

var losses = []loss{
	{"while chunks are stored", func(r *storeRun) checkpoint.NodeID { return r.any(r.event(Storing)) }},
	{"between acknowledgement and completion", func(r *storeRun) checkpoint.NodeID { return r.any(r.event(Acknowledged)) }},
	{"behind the mark of a sweep", func(r *storeRun) checkpoint.NodeID { return r.any(r.event(Marked)) }},
	{"while a sweep deletes", func(r *storeRun) checkpoint.NodeID { return r.any(r.event(Deleting)) }},
	{"while copies are trimmed", (*storeRun).whileTrimmed},
	{"while copies are made", (*storeRun).whileRepaired},
	{"while tasks are restored", func(r *storeRun) checkpoint.NodeID {
		r.saboteur.arm("noise", r.random.IntN(20))
		return r.any(r.event(Restoring))
	}},
	{"when a leader has just been elected", func(r *storeRun) checkpoint.NodeID {
		if !r.strike.killLeader() {
			r.t.Fatal("nobody leads")
		}
		return r.any(r.event(Led))
	}},
}

// lossPatience is how long a moment may take to come, and what is lost to be made good, in virtual time.
const lossPatience = 30 * time.Second

// TestLosingAnyNodeAtAnyMomentLosesNoCheckpoint: of three nodes one is lost for good with its disk, again and again, at
// moments when much is under way. With two copies of everything, whatever is retained can be read from the other two at
// any time; it has two copies again soon; and the job comes to what it would have come to.
func TestLosingAnyNodeAtAnyMomentLosesNoCheckpoint(t *testing.T) {
	for i, backend := range backends {
		if i%everyNth != 0 && !thorough() {
			continue
		}
		for seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/seed %d", backend, seed), func(t *testing.T) {
				t.Parallel()
				random := randomOf(t, seed)
				l := ledger{records: 7500, rate: 150, keys: 24, payload: 600, parallelism: 2, turn: 200 * time.Millisecond}
				hit := make(map[string]bool)
				output := inStore(t, random.Uint64(), l, map[string]string{"state.backend": backend, "checkpointing.interval": "200ms"}, nil, func(r *storeRun) {
					r.until("all has its copies", lossPatience, r.whole)
					r.savepoint()
					order := r.random.Perm(len(losses))
					for _, i := range order {
						r.until("all has its copies", lossPatience, r.whole)
						r.lose(losses[i])
						hit[losses[i].name] = true
					}
					r.until("all has its copies", lossPatience, r.whole)
					if status, err := r.cluster.storeStatus(r.t.Context()); err != nil || status.Lost.Chunks > 0 {
						r.t.Errorf("the leader says of the store: %+v, %v", status, err)
					}
					r.timeline.note("no more losses")
					r.finish()
				})
				for _, one := range losses {
					if !hit[one.name] {
						t.Errorf("no node was lost %s", one.name)
					}
				}
				l.wantOutput(t, output)
			})
		}
	}
}

// whole says what of all that is promised has too few copies, by the disks and by the leader; nil when all nodes are there
// and nothing has.
func (r *storeRun) whole() error {
	if alive := r.cluster.aliveNodes(); len(alive) < 3 {
		return fmt.Errorf("only %v live", alive)
	}
	status, err := r.cluster.storeStatus(r.t.Context())
	if err != nil {
		return err
	}
	if !status.Complete || status.UnderReplicated.Chunks > 0 {
		return fmt.Errorf("the leader says: complete %t, under-replicated %+v", status.Complete, status.UnderReplicated)
	}
	if ended, err := r.ended(r.t.Context()); err != nil || ended {
		return fmt.Errorf("the job is %s: %w", r.result.Job.State, err)
	}
	return r.cluster.fewCopies(r.t.Context())
}

// lose loses a node with its disk, when the moment has come, and looks at what the others have. Some time later there is
// another one in its place: of the same name, or of another.
func (r *storeRun) lose(l loss) {
	r.t.Helper()
	victim := l.await(r)
	r.loseNode(victim)
	r.timeline.note("%s is lost %s", victim, l.name)
	r.wantAll(l.name)
	next := victim
	if r.random.IntN(2) == 0 {
		next = r.newNode()
	}
	// The repair may begin before it is there, or not.
	time.Sleep(r.strike.between(0, 2*r.scenario.Keeping.Repair.Delay)) // virtual time
	r.startNode(next)
	r.wantAll(l.name)
}

// wantAll demands that all that is promised can be read from the nodes that are there.
func (r *storeRun) wantAll(when string) {
	r.t.Helper()
	if _, err := r.cluster.named(r.t.Context()); err != nil {
		r.t.Fatalf("a node was lost %s: %v", when, err)
	}
}

func (r *storeRun) loseNode(victim checkpoint.NodeID) {
	r.t.Helper()
	if !r.cluster.killNode(victim) {
		r.t.Fatalf("node %s is not there", victim)
	}
	if err := os.RemoveAll(r.cluster.diskOf(victim).dir); err != nil {
		r.t.Fatal(err)
	}
}

func (r *storeRun) startNode(id checkpoint.NodeID) {
	r.t.Helper()
	if err := r.cluster.startNode(id); err != nil {
		r.t.Fatal(err)
	}
	r.timeline.note("%s is there, with what it has", id)
}

// newNode returns a name that no node has had.
func (r *storeRun) newNode() checkpoint.NodeID {
	r.cluster.mu.Lock()
	defer r.cluster.mu.Unlock()
	return checkpoint.NodeID(fmt.Sprintf("n%d", len(r.cluster.mu.disks)+1))
}

// event waits for a moment, at any node, and a little longer.
func (r *storeRun) event(m Moment) Event {
	r.t.Helper()
	return r.eventOf(r.cluster.moments.next(func(e Event) bool { return e.Moment == m }))
}

func (r *storeRun) eventOf(next <-chan Event) Event {
	r.t.Helper()
	select {
	case e := <-next:
		time.Sleep(r.strike.between(0, 3*maxDelay/2)) // virtual time
		return e
	case <-time.After(lossPatience):
		r.t.Fatal("the moment does not come")
		return Event{}
	}
}

// any returns the node at which something has happened, or another one.
func (r *storeRun) any(Event) checkpoint.NodeID {
	victim, _ := pick(r.random, r.cluster.aliveNodes())
	return victim
}

// whileTrimmed has a node come back when its copies have been made elsewhere. Of the three copies one goes: then one of the
// nodes that have the others.
func (r *storeRun) whileTrimmed() checkpoint.NodeID {
	r.t.Helper()
	away := r.any(Event{})
	had := make(map[checkpoint.ChunkID]bool)
	for ref, err := range r.cluster.nodeOf(away).store.List(r.t.Context()) {
		if err != nil {
			r.t.Fatal(err)
		}
		had[ref.ID] = true
	}
	r.cluster.killNode(away)
	r.timeline.note("%s is away", away)
	r.until("the copies are made elsewhere", lossPatience, func() error { return r.cluster.fewCopies(r.t.Context()) })
	promised, err := r.cluster.named(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	surplus := make(map[checkpoint.ChunkID]bool)
	for ref := range promised {
		surplus[ref.ID] = had[ref.ID]
	}
	next := r.cluster.moments.next(func(e Event) bool {
		order, deletes := e.Order.(checkpoint.DeleteChunks)
		return deletes && slices.ContainsFunc(order.Chunks, func(id checkpoint.ChunkID) bool { return surplus[id] })
	})
	r.startNode(away)
	e := r.eventOf(next)
	others := slices.DeleteFunc(r.cluster.aliveNodes(), func(id checkpoint.NodeID) bool { return id == e.Node })
	victim, _ := pick(r.random, others)
	return victim
}

// whileRepaired loses a node, and then the one that has taken its place, while that makes the copies. The other two have
// one of everything.
func (r *storeRun) whileRepaired() checkpoint.NodeID {
	r.t.Helper()
	victim := r.any(Event{})
	r.loseNode(victim)
	next := r.cluster.moments.next(func(e Event) bool { return e.Moment == Copying && e.Node == victim })
	r.startNode(victim)
	r.eventOf(next)
	return victim
}
