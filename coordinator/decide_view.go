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
	// LoadRetry is the pause before a manifest that could not be read, or state that was not there, is tried again.
	LoadRetry time.Duration
	// FallbackGrace is how long a checkpoint must have been impossible to restore before a job that may goes back to an
	// older one. It is counted from when a node was met last, since that node may bring what is missing.
	FallbackGrace time.Duration
	// PlanAnswer is how long an attempt waits for a node to say what graph its build makes. The node is not used until
	// it has.
	PlanAnswer time.Duration
	// SweepPause is the time between two sweeps that delete old chunks, and SweepRetry the one behind a sweep that
	// could not delete all that it should.
	SweepPause, SweepRetry time.Duration
	// SweepAnswer is how long a node may take to answer a message of a sweep before it drops out of it.
	SweepAnswer time.Duration
	// FullSweepPause is the time between two full sweeps, which look at all that the nodes hold. FullSweepSoon is how long
	// one waits behind something that makes it worth while earlier, so that others of the kind can join in.
	FullSweepPause, FullSweepSoon time.Duration
	// OwnerGone is how long a process may have been lost before others delete for it in a shared store.
	OwnerGone time.Duration
}

// DefaultTiming returns the thresholds of a cluster on one network.
func DefaultTiming() Timing {
	return Timing{
		SessionGrace:     750 * time.Millisecond,
		AdoptionGrace:    3 * time.Second,
		HeartbeatTimeout: 10 * time.Second,
		GossipConfirm:    time.Second,
		LoadRetry:        time.Second,
		FallbackGrace:    30 * time.Second,
		PlanAnswer:       5 * time.Second,
		SweepPause:       time.Second,
		SweepRetry:       10 * time.Second,
		SweepAnswer:      30 * time.Second,
		FullSweepPause:   10 * time.Minute,
		FullSweepSoon:    10 * time.Second,
		OwnerGone:        10 * time.Minute,
	}
}

// View is what the leader of one term knows: the replicated jobs, and the soft state of nodes and
// subtasks as they reported it. It belongs to the leader loop; it is not safe for concurrent use.
//
// What Decide asks at every event is kept at hand here (counters, and facts of the replicated jobs), so that an event
// costs what it changes and not what there is.
type View struct {
	Term   checkpoint.Term
	Since  time.Time // when this leadership began
	Timing Timing
	// Draining says that leadership is about to be handed over: what is pending goes on, no checkpoint begins (C23).
	Draining bool
	// Drained are the nodes that are given no more tasks, and since when. Those that they have leave at a checkpoint, as
	// soon as there is room elsewhere. The map is replaced like Jobs, and not changed.
	Drained map[checkpoint.NodeID]checkpoint.Timestamp
	// Jobs are the replicated jobs, oldest first. They are immutable and replaced before each Decide.
	Jobs []*fsm.Job
	// Imports are the imported savepoints, replaced like Jobs, and not changed.
	Imports []fsm.Import

	byID  map[checkpoint.JobID]*fsm.Job
	nodes map[checkpoint.NodeID]*nodeView
	order []*nodeView // nodes, by ID
	jobs  map[checkpoint.JobID]*jobView

	cleaning cleaning
	// fates are what became of requests since the leader last took them.
	fates       []fate
	lastRequest uint64 // numbers the requests of this leadership
}

// NewView returns the view of a leader that has heard from nobody yet.
func NewView(term checkpoint.Term, since time.Time, timing Timing) *View {
	return &View{
		Term: term, Since: since, Timing: timing, byID: make(map[checkpoint.JobID]*fsm.Job),
		nodes: make(map[checkpoint.NodeID]*nodeView), jobs: make(map[checkpoint.JobID]*jobView),
		cleaning: newCleaning(term, since, timing),
	}
}

// SetJobs gives the view the replicated jobs of the moment and drops soft state that they contradict. A job that has
// not changed costs next to nothing.
func (v *View) SetJobs(jobs []*fsm.Job) {
	v.Jobs = jobs
	for _, j := range jobs {
		if v.byID[j.ID] != j {
			v.byID[j.ID] = j
		}
		v.job(j).refreshTriggers(j)
	}
	if len(v.byID) == len(jobs) {
		return
	}
	for id, j := range v.byID { // some are gone
		if !slices.Contains(jobs, j) {
			v.dropQueue(v.jobs[id], "the job is gone")
			delete(v.byID, id)
			delete(v.jobs, id)
			for _, n := range v.order {
				delete(n.graphs, id)
			}
		}
	}
}

// job returns the soft state of j, brought up to date with it.
func (v *View) job(j *fsm.Job) *jobView {
	s := v.jobs[j.ID]
	if s == nil {
		s = newJobView(j)
		v.jobs[j.ID] = s
	}
	if s.job == j {
		return s
	}
	if s.job != nil {
		s.collect(s.job, j)
	}
	s.settle(j)
	if s.attempt != j.Attempt {
		s.begin(j)
	}
	s.job, s.facts = j, factsOf(j)
	s.adopt(j)
	v.settleRescale(j, s)
	if j.Status != fsm.JobRunning && !s.queue.empty() {
		v.dropQueue(s, queueEnds(j))
	}
	return s
}

// latestCompleted returns the newest entry of the completed-checkpoint log, nil when it is empty.
func latestCompleted(j *fsm.Job) *fsm.Completed {
	if len(j.Completed) == 0 {
		return nil
	}
	return &j.Completed[len(j.Completed)-1]
}

// newestCommitted returns the newest completion whose side effects are published: a checkpoint of the log, or a
// savepoint that the job was to end with. It is what a restart goes back to; anything older would publish them again.
// It returns nil when there is none.
func newestCommitted(j *fsm.Job) *fsm.Completed {
	newest := latestCompleted(j)
	for i := range j.Savepoints {
		if s := &j.Savepoints[i]; s.Stop != checkpoint.StopNone && (newest == nil || s.ID > newest.ID) {
			newest = s
		}
	}
	return newest
}
