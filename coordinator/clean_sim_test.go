package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
	"cairn/statestore"
)

// cleanSim is a small world around sweeps: the real state machine, the real deciding and the real stores of nodes,
// and in between everything that can go wrong: messages that come late or never, nodes that start again, leaders that
// are deposed and do not know it. Checkpoints store chunks from a small pool, so that nearly every chunk is shared.
// One seed makes one world. Tasks, acks and attempts are left out: a checkpoint is the chunks that are put for it.
type cleanSim struct {
	rng   *rand.Rand
	opts  simOptions
	now   time.Time
	index uint64
	state *fsm.State // the committed one

	leaders     []*simLeader // the last one leads; those before it have been deposed and do not know it
	nodes       []*simNode
	checkpoints map[pendingKey]*simCheckpoint
	manifests   map[checkpoint.ChunkID]checkpoint.Manifest
	deleted     int // copies, over all
	trimmed     int // of them, because there were others
}

// simOptions say which faults there are, and how the protocol is broken on purpose.
type simOptions struct {
	faults bool

	noWait    bool // the sweep does not wait for checkpoints that began before the marks
	noConfirm bool // a deposed leader takes itself for confirmed
	noNotes   bool // nodes do not note what they are asked to keep
	lateMarks bool // the leader goes on with the first mark, and takes the others for granted
	noLive    bool // the plan spares nothing
	noNews    bool // nodes do not say what they have deleted, not even before they take a mark
	noFull    bool // there are no full sweeps
	noTrim    bool // full sweeps trim nothing: then a copy stays where it was acknowledged
}

type simLeader struct {
	term  checkpoint.Term
	view  *View
	state *fsm.State // what it knows of the log since it was deposed; nil while it leads
	links map[checkpoint.NodeID]*simLink
	async []func() // what runs beside the loop
	index map[checkpoint.NodeID]*simInventory
}

// simLink is a session.
type simLink struct {
	toNode   []checkpoint.ToNode
	toLeader []checkpoint.FromNode
}

type simNode struct {
	ref      checkpoint.NodeRef
	term     checkpoint.Term
	own      *statestore.Memory // survives a restart
	swept    *statestore.Swept
	deleting *simDelete
	faulty   bool                         // has been away: without full sweeps it may keep chunks for ever
	news     []checkpoint.InventoryChange // not told yet
	has      map[checkpoint.ChunkID]bool  // what is in own, for the checker
}

// simDelete is a DeleteChunks under way: chunk by chunk, so that anything can happen in between.
type simDelete struct {
	leader *simLeader
	order  checkpoint.DeleteChunks
	next   int
	answer checkpoint.ChunksDeleted
}

// simCheckpoint is what is stored for a checkpoint.
type simCheckpoint struct {
	key    pendingKey
	kind   checkpoint.Kind
	chunks []checkpoint.ChunkRef
	todo   []simPut
	copies map[checkpoint.ChunkID]map[*simNode]bool // acknowledged ones
	// manifest is set when all chunks are stored and the manifest is being put.
	manifest checkpoint.ChunkRef
}

type simPut struct {
	data []byte
	node *simNode
}

const (
	simPool    = 10 // contents of chunks
	simLeaders = 3  // those that have been deposed included
)

func newCleanSim(seed uint64, opts simOptions) *cleanSim {
	s := &cleanSim{
		rng: rand.New(rand.NewPCG(seed, 7)), opts: opts, now: time.UnixMilli(1_000_000), state: fsm.NewState(),
		checkpoints: make(map[pendingKey]*simCheckpoint), manifests: make(map[checkpoint.ChunkID]checkpoint.Manifest),
	}
	var a checkpoint.Assignment
	for n := range 4 {
		node := &simNode{own: statestore.NewMemory(), has: make(map[checkpoint.ChunkID]bool)}
		node.ref = checkpoint.NodeRef{ID: checkpoint.NodeID(fmt.Sprintf("n%d", n+1)), Incarnation: 1, Address: fmt.Sprint(n)}
		node.swept = statestore.NewSwept(node.own)
		s.nodes = append(s.nodes, node)
		a.Nodes = append(a.Nodes, node.ref)
	}
	for n := range testTopology().NumSubtasks() {
		a.NodeOf = append(a.NodeOf, n%len(a.Nodes))
	}
	for n := range byte(2) {
		c := testConfig()
		c.Interval, c.Retain = 0, 1+int(n)
		id := checkpoint.JobID{n + 1}
		s.commit(fsm.SubmitJob{Job: id, Name: id.String(), Program: "test", Topology: testTopology(), Config: c, At: s.at()})
		s.commit(fsm.StartAttempt{Job: id, Attempt: 1, Assignment: a, At: s.at()})
	}
	s.elect()
	return s
}

func (s *cleanSim) at() checkpoint.Timestamp { return checkpoint.Timestamp(s.now.UnixMilli()) }

func (s *cleanSim) commit(c fsm.Command) fsm.Result {
	s.index++
	r, err := s.state.Step(s.index, c)
	if err != nil {
		panic(fmt.Sprintf("%T: %v", c, err))
	}
	return r
}

func (s *cleanSim) leader() *simLeader { return s.leaders[len(s.leaders)-1] }

// elect deposes the leader, which goes on with what it knows, and begins a new term.
func (s *cleanSim) elect() {
	if len(s.leaders) > 0 {
		s.leader().state = s.state.Clone()
	}
	term := checkpoint.Term(1)
	if len(s.leaders) > 0 {
		term = s.leader().term + 1
	}
	l := &simLeader{
		term: term, view: NewView(term, s.now, s.timing()), links: make(map[checkpoint.NodeID]*simLink),
		index: make(map[checkpoint.NodeID]*simInventory),
	}
	l.view.SetJobs(s.state.SortedJobs())
	if s.leaders = append(s.leaders, l); len(s.leaders) > simLeaders {
		s.leaders = s.leaders[1:]
	}
	for _, n := range s.nodes {
		l.index[n.ref.ID] = &simInventory{}
		if !s.opts.faults || s.chance(60) {
			s.connect(l, n)
		}
	}
}

func (s *cleanSim) timing() Timing {
	t := DefaultTiming()
	t.SweepPause = 300 * time.Millisecond
	if t.FullSweepPause, t.FullSweepSoon = time.Second, 100*time.Millisecond; s.opts.noFull {
		t.FullSweepPause, t.FullSweepSoon = time.Hour, time.Hour
	}
	return t
}

func (s *cleanSim) connect(l *simLeader, n *simNode) {
	l.index[n.ref.ID] = &simInventory{}
	l.links[n.ref.ID] = &simLink{toNode: []checkpoint.ToNode{checkpoint.Leading{Term: l.term}}}
	l.view.OnSession(checkpoint.Hello{Node: n.ref, Slots: 1, Programs: []string{"test"}}, s.now)
}

func (s *cleanSim) disconnect(l *simLeader, n *simNode) {
	if l.links[n.ref.ID] != nil {
		n.faulty = true
		delete(l.links, n.ref.ID)
		l.index[n.ref.ID] = &simInventory{}
		l.view.OnSessionClosed(n.ref, s.now)
	}
}

func (s *cleanSim) chance(percent int) bool { return s.rng.IntN(100) < percent }

// someLeader returns the leader more often than those who only think that they are.
func (s *cleanSim) someLeader() *simLeader {
	if s.chance(60) {
		return s.leader()
	}
	return s.leaders[s.rng.IntN(len(s.leaders))]
}

func (s *cleanSim) node() *simNode { return s.nodes[s.rng.IntN(len(s.nodes))] }

// step does one thing.
func (s *cleanSim) step() {
	switch n := s.rng.IntN(100); {
	case n < 20:
		s.act(s.someLeader())
	case n < 50:
		s.deliver(s.someLeader(), s.node())
	case n < 60:
		s.node().deleteOne(s)
	case n < 62:
		s.node().tellNews(s)
	case n < 66:
		s.advance(time.Duration(s.rng.IntN(700)) * time.Millisecond)
	case n < 71:
		s.begin()
	case n < 90:
		s.work()
	case n < 92:
		s.abortOne()
	case n < 93:
		s.dispose()
	default:
		if s.opts.faults {
			s.fault()
		}
	}
}

func (s *cleanSim) fault() {
	l, n := s.someLeader(), s.node()
	switch k := s.rng.IntN(40); {
	case k < 8:
		s.disconnect(l, n)
	case k < 36:
		if l.links[n.ref.ID] == nil {
			s.connect(l, n)
		}
	case k < 39:
		s.restart(n)
	default:
		s.elect()
	}
}

// restart starts a node's process again: its disk is what it was, its notes are gone.
func (s *cleanSim) restart(n *simNode) {
	for _, l := range s.leaders {
		s.disconnect(l, n)
	}
	n.faulty = true
	n.ref.Incarnation++
	n.deleting, n.news = nil, nil
	n.swept = statestore.NewSwept(n.own)
}

func (s *cleanSim) advance(d time.Duration) {
	s.now = s.now.Add(d)
	for _, l := range s.leaders {
		for id := range l.links {
			l.view.OnHeard(id, s.now)
		}
	}
}

// act lets a leader decide about its sweep, as often as there is something to do.
func (s *cleanSim) act(l *simLeader) {
	if len(l.async) > 0 && s.chance(50) {
		next := l.async[0]
		l.async = l.async[1:]
		next()
	}
	for range 4 {
		state := l.state
		if state == nil {
			state = s.state
		}
		l.view.SetJobs(state.SortedJobs())
		d := &decision{view: l.view, now: s.now, at: s.at()}
		d.clean()
		for _, a := range d.actions {
			if !s.execute(l, a) {
				return
			}
		}
	}
}

// execute reports whether the leadership goes on.
func (s *cleanSim) execute(l *simLeader, a Action) bool {
	switch a := a.(type) {
	case Propose:
		if l.state != nil {
			s.stop(l) // I8: the outcome is unknown
			return false
		}
		s.commit(a.Command)
	case Send:
		if link := l.links[a.Node]; link != nil {
			link.toNode = append(link.toNode, a.Message)
			l.view.OnSent(a.Node, a.Message)
		}
	case AdvanceSweep:
		s.advanceSweep(l, a)
	case ListHoldings:
		s.list(l)
	case PlanSweep:
		in := l.view.OnSweepPlanning(s.now)
		if s.opts.noLive {
			in.Live, in.Named = nil, nil
		}
		l.async = append(l.async, func() { l.view.OnSweepPlanned(s.planned(l, in), s.now) })
	case ConfirmLeadership:
		l.view.OnConfirming()
		l.async = append(l.async, func() {
			if l.state != nil && !s.opts.noConfirm {
				s.stop(l)
				return
			}
			l.view.OnConfirmed(a.Sweep, nil, s.now)
		})
	}
	return true
}

func (s *cleanSim) advanceSweep(l *simLeader, a AdvanceSweep) {
	l.view.OnSweepAdvanced(a, s.now)
	if s.opts.noWait {
		l.view.cleaning.waitFor = nil
	}
}

// stop ends the leadership of one that has been deposed.
func (s *cleanSim) stop(l *simLeader) {
	if l == s.leader() {
		return
	}
	for i, other := range s.leaders {
		if other == l {
			s.leaders = append(s.leaders[:i:i], s.leaders[i+1:]...)
			return
		}
	}
}

func (s *cleanSim) load(ref checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) {
	for _, n := range s.nodes {
		if n.has[ref.ID] {
			return NamedChunks(s.manifests[ref.ID]), nil
		}
	}
	return nil, fmt.Errorf("chunk %s: %w", ref.ID, statestore.ErrNotFound)
}

// deliver delivers a message on the session between a leader and a node, in either direction.
func (s *cleanSim) deliver(l *simLeader, n *simNode) {
	link := l.links[n.ref.ID]
	if link == nil {
		return
	}
	if len(link.toNode) > 0 && (len(link.toLeader) == 0 || s.chance(50)) {
		m := link.toNode[0]
		link.toNode = link.toNode[1:]
		if m.LeaderTerm() >= n.term {
			n.receive(s, l, m)
		}
		return
	}
	if len(link.toLeader) > 0 {
		m := link.toLeader[0]
		link.toLeader = link.toLeader[1:]
		switch m := m.(type) {
		case checkpoint.Report:
			l.view.OnReport(n.ref.ID, m, s.now)
		case checkpoint.Inventory, checkpoint.InventoryChange:
			l.inventory(n, m, s.now)
		case checkpoint.ChunksMarked:
			l.view.OnChunksMarked(n.ref.ID, m)
			for _, other := range l.view.cleaning.nodes {
				other.marked = other.marked || s.opts.lateMarks
			}
		case checkpoint.ChunksDeleted:
			l.view.OnChunksDeleted(n.ref.ID, m, s.now)
		}
	}
}

func (n *simNode) receive(s *cleanSim, l *simLeader, m checkpoint.ToNode) {
	reply := func(m checkpoint.FromNode) { l.links[n.ref.ID].toLeader = append(l.links[n.ref.ID].toLeader, m) }
	switch m := m.(type) {
	case checkpoint.Leading:
		n.term = m.Term
		reply(checkpoint.Report{Term: m.Term})
		n.news = nil
		reply(n.inventory())
	case checkpoint.MarkChunks:
		n.tellNews(s)
		n.swept.Mark(m.Sweep)
		reply(checkpoint.ChunksMarked{Sweep: m.Sweep})
	case checkpoint.DeleteChunks:
		n.deleting = &simDelete{leader: l, order: m, answer: checkpoint.ChunksDeleted{Sweep: m.Sweep}}
	}
}

// deleteOne goes on with a deletion. It does not stop when a new leader is heard meanwhile.
func (n *simNode) deleteOne(s *cleanSim) {
	d := n.deleting
	if d == nil {
		return
	}
	if d.next < len(d.order.Chunks) {
		deleted, refused, err := n.swept.Delete(context.Background(), d.order.Sweep, d.order.Chunks[d.next:d.next+1])
		d.next++
		d.answer.Deleted += deleted
		d.answer.Refused += refused
		s.deleted += deleted
		if err != nil {
			d.answer.Error = err.Error()
		}
		if id := d.order.Chunks[d.next-1]; deleted > 0 {
			delete(n.has, id)
			n.news = append(n.news, checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{id}})
		}
		return
	}
	n.deleting = nil
	if link := d.leader.links[n.ref.ID]; link != nil {
		link.toLeader = append(link.toLeader, d.answer)
	}
}
