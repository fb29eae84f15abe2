package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Timing holds the thresholds by which the leader judges nodes.
type Timing struct {
	// SessionGrace is how long a node may be without a session before it counts as lost.
	SessionGrace time.Duration
	// AdoptionGrace is how long a new leader waits for the report of a node that it has not met.
	AdoptionGrace time.Duration
	// HeartbeatTimeout is how long a node with an open session may be silent before it counts as lost.
	HeartbeatTimeout time.Duration
	// GossipConfirm is the shorter silence that is enough when gossip has declared the node failed too.
	GossipConfirm time.Duration
	// LoadRetry is the pause before a manifest that could not be read is tried again.
	LoadRetry time.Duration
	// SweepPause is the time between two sweeps that delete old chunks, and SweepRetry the one behind a sweep that
	// could not delete all that it should.
	SweepPause, SweepRetry time.Duration
	// SweepAnswer is how long a node may take to answer a message of a sweep before it drops out of it.
	SweepAnswer time.Duration
}

// DefaultTiming returns the thresholds of a cluster on one network.
func DefaultTiming() Timing {
	return Timing{
		SessionGrace:     750 * time.Millisecond,
		AdoptionGrace:    3 * time.Second,
		HeartbeatTimeout: 10 * time.Second,
		GossipConfirm:    time.Second,
		LoadRetry:        time.Second,
		SweepPause:       time.Second,
		SweepRetry:       10 * time.Second,
		SweepAnswer:      30 * time.Second,
	}
}

// View is what the leader of one term knows: the replicated jobs, and the soft state of nodes and
// subtasks as they reported it. It belongs to the leader loop; it is not safe for concurrent use.
type View struct {
	Term   checkpoint.Term
	Since  time.Time // when this leadership began
	Timing Timing
	// Draining says that leadership is about to be handed over: no checkpoint begins.
	Draining bool
	// Jobs are the replicated jobs, oldest first. They are immutable and replaced before each Decide.
	Jobs []*fsm.Job

	byID  map[checkpoint.JobID]*fsm.Job
	nodes map[checkpoint.NodeID]*nodeView
	jobs  map[checkpoint.JobID]*jobView

	cleaning cleaning
}

// NewView returns the view of a leader that has heard from nobody yet.
func NewView(term checkpoint.Term, since time.Time, timing Timing) *View {
	return &View{
		Term: term, Since: since, Timing: timing,
		nodes: make(map[checkpoint.NodeID]*nodeView), jobs: make(map[checkpoint.JobID]*jobView),
		cleaning: newCleaning(term, since, timing),
	}
}

// nodeView is what the leader knows of one task node.
type nodeView struct {
	ref       checkpoint.NodeRef
	slots     int
	programs  []string
	connected bool // a session is open
	reported  bool // the session has answered Leading of this term
	failed    bool // gossip says so, of this incarnation
	left      bool // has said goodbye
	heardAt   time.Time
	greetedAt time.Time // when a report was last asked for
	closedAt  time.Time // when the last session closed
	// greet asks for Leading to be sent: the session is new, or the node was lost and speaks again.
	greet bool
	// holds are the attempts the node has in memory, by its report or by a Deploy sent since.
	holds map[attemptKey]bool
	// notified is the newest completed checkpoint of each job that was sent to this session.
	notified map[checkpoint.JobID]checkpoint.ID
}

type attemptKey struct {
	job     checkpoint.JobID
	attempt checkpoint.Attempt
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

// sortedNodes returns the nodes ordered by ID.
func (v *View) sortedNodes() []*nodeView {
	nodes := make([]*nodeView, 0, len(v.nodes))
	for _, n := range v.nodes {
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *nodeView) int {
		if a.ref.ID < b.ref.ID {
			return -1
		}
		return 1
	})
	return nodes
}

// jobView is the soft state of one job's current attempt.
type jobView struct {
	attempt  checkpoint.Attempt
	subtasks []subtaskView // by ordinal
	pending  map[checkpoint.ID]*pendingView
	// recent are the pending views of the last checkpoints that this leader saw end, newest last.
	recent []*pendingView
	// forced counts manual triggers that wait for a checkpoint to begin.
	forced int
	// aborted says which node is still to be told of which checkpoint's abort. A notice does not outlive
	// the node's session: the next one starts with a report, from which it is seen again.
	aborted []abortNotice
	// final is the last checkpoint that began when all subtasks had reached the end of their input, 0 for none.
	final   checkpoint.ID
	restore restoreView
	// cleaning is how many of the job's discards the present sweep is deleting.
	cleaning int
	// garbage are chunks of checkpoints that failed and of acks that came too late. Retained, pending and restoring
	// checkpoints may name the same chunks: whoever deletes looks first (C14).
	garbage []checkpoint.ChunkRef
}

type abortNotice struct {
	node       checkpoint.NodeID
	checkpoint checkpoint.ID
}

type subtaskView struct {
	status  checkpoint.SubtaskStatus // 0 until its node has reported it
	failure checkpoint.Failure
	final   checkpoint.SubtaskState
}

// restoreView is the manifest that the next deployment restores from.
type restoreView struct {
	id       checkpoint.ID
	manifest *checkpoint.Manifest
	loading  bool
	err      string
	failedAt time.Time
}

// pendingView is the soft state of one pending checkpoint.
type pendingView struct {
	id       checkpoint.ID
	acks     []*checkpoint.Ack // by ordinal; nil until acknowledged
	numAcks  int
	asked    map[int]bool // ordinals that this leader has sent the trigger to
	declined *checkpoint.Decline
	writing  bool // the manifest is being written
	manifest checkpoint.ChunkRef
	content  *checkpoint.Manifest
	writeErr string
}

const keptRecent = 10

// job returns the soft state of j, made anew when the attempt has changed.
func (v *View) job(j *fsm.Job) *jobView {
	s := v.jobs[j.ID]
	if s == nil {
		s = &jobView{}
		v.jobs[j.ID] = s
	}
	if s.subtasks == nil || s.attempt != j.Attempt {
		s.attempt = j.Attempt
		s.subtasks = make([]subtaskView, j.Topology.NumSubtasks())
		s.pending = make(map[checkpoint.ID]*pendingView)
		s.aborted, s.final = nil, 0
	}
	return s
}

// allAtEnd reports whether every subtask has reached the end of its input.
func (s *jobView) allAtEnd() bool {
	for _, t := range s.subtasks {
		if t.status != checkpoint.SubtaskFinishing && t.status != checkpoint.SubtaskFinished {
			return false
		}
	}
	return true
}

// pendingOf returns the soft state of a pending checkpoint of j.
func (s *jobView) pendingOf(id checkpoint.ID) *pendingView {
	p := s.pending[id]
	if p == nil {
		p = &pendingView{id: id, acks: make([]*checkpoint.Ack, len(s.subtasks)), asked: make(map[int]bool)}
		s.pending[id] = p
	}
	return p
}

// SetJobs gives the view the replicated jobs of the moment and drops soft state that they contradict.
func (v *View) SetJobs(jobs []*fsm.Job) {
	v.collectGarbage(jobs)
	v.Jobs = jobs
	v.byID = make(map[checkpoint.JobID]*fsm.Job, len(jobs))
	for _, j := range jobs {
		v.byID[j.ID] = j
		v.job(j).settle(j)
	}
	for id := range v.jobs {
		if v.byID[id] == nil {
			delete(v.jobs, id)
		}
	}
}

// settle moves checkpoints that have an outcome from pending to recent.
func (s *jobView) settle(j *fsm.Job) {
	for id, p := range s.pending {
		if slices.ContainsFunc(j.Pending, func(f fsm.Pending) bool { return f.ID == id }) {
			continue
		}
		delete(s.pending, id)
		if latest := latestCompleted(j); latest != nil && latest.ID == id && p.content != nil {
			s.restore = restoreView{id: id, manifest: p.content}
		}
		p.content = nil
		s.recent = append(s.recent, p)
		if len(s.recent) > keptRecent {
			s.recent = slices.Delete(s.recent, 0, len(s.recent)-keptRecent)
		}
	}
}

func latestCompleted(j *fsm.Job) *fsm.Completed {
	if len(j.Completed) == 0 {
		return nil
	}
	return &j.Completed[len(j.Completed)-1]
}
