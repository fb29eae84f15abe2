package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// jobView is the soft state of one job, most of it of its current attempt.
type jobView struct {
	job   *fsm.Job // the value that facts, pending and attempt agree with
	facts facts
	// all are the attempt's subtasks by ordinal.
	all []checkpoint.SubtaskID
	// regions are the numbers of their pipelined regions, by ordinal.
	regions []int
	// standIns says that finished subtasks count as acknowledged: checkpointing.after_tasks_finish.
	standIns bool

	attempt  checkpoint.Attempt
	ordinals map[checkpoint.NodeID][]int // of the subtasks on each node of the attempt
	slots    map[checkpoint.NodeID]int   // that the attempt takes on each node
	subtasks []subtaskView               // by ordinal
	counts   [statuses]int               // subtasks by status
	failedAt time.Time                   // when this leader heard of the first that failed; zero while none has
	metrics  []metricsView               // by ordinal; nil until something is known
	// heads are the ordinals that barriers start from; stale when a subtask has finished since.
	heads      []int
	headsStale bool
	// newestFinal is the newest FinalCheckpoint of the finished subtasks.
	newestFinal checkpoint.ID

	pending map[checkpoint.ID]*pendingView
	// recent are the last checkpoints that this leader saw end, newest last.
	recent []*recentView
	queue  queue
	// notices say which node is still to be told of which outcome. A notice does not outlive the node's session: the
	// next one starts with a report, from which it is seen again.
	notices []notice
	// final is the last checkpoint that began when all subtasks had reached the end of their input, 0 for none.
	final checkpoint.ID
	// begunAt and completedAt are when this leader began the newest checkpoint (or the attempt; savepoints do not
	// count) and completed a checkpoint or savepoint, by its own clock; zero when another one did.
	begunAt, completedAt time.Time
	restore              restoreView
	older                map[checkpoint.ID]*restoreView // what the job may go back to; nil until that is asked

	// blamed is on which nodes subtasks have failed by themselves in the last attempts, and in how many of them in a row.
	blamed map[checkpoint.NodeID]int

	rescale *rescaleView // what a user has asked for; nil for nothing
	// turn is the last aligned checkpoint of the attempt that this leader has completed: at it the attempt may end. tries
	// are those that it has begun.
	turn  turnView
	tries turnTries
	// operators are those of the graph that the job was submitted with, once a node has said what its fingerprint is
	// made of; nil before.
	operators []checkpoint.OperatorText

	// cleaning is how many of the job's discards the present sweep is deleting.
	cleaning int
	// garbage are chunks of checkpoints that failed and of acks that came too late. Retained, pending and restoring
	// checkpoints may name the same chunks: whoever deletes looks first (C14).
	garbage []checkpoint.ChunkID
}

// statuses is the number of subtask statuses, that of a subtask which has not reported one included.
const statuses = checkpoint.SubtaskCanceled + 1

// notice is the outcome of a checkpoint that a node has to be told of: an abort, or a savepoint's completion.
type notice struct {
	node       checkpoint.NodeID
	checkpoint checkpoint.ID
	completed  bool
}

type subtaskView struct {
	status  checkpoint.SubtaskStatus // 0 until its node has reported it
	failure checkpoint.Failure
	final   checkpoint.SubtaskState
	finalBy checkpoint.ID // the checkpoint that it finished with
	// dropped says that this leader has given it up after the attempt had failed, and cancelSent that the present session
	// of its node has been told so.
	dropped, cancelSent bool
}

func newJobView(j *fsm.Job) *jobView {
	s := &jobView{all: j.Topology.Subtasks(), regions: j.Topology.Regions(), standIns: j.Config.AfterTasksFinish}
	s.reset()
	return s
}

// reset forgets what belongs to an attempt.
func (s *jobView) reset() {
	s.subtasks = make([]subtaskView, len(s.all))
	s.metrics, s.failedAt = nil, time.Time{}
	s.counts = [statuses]int{0: len(s.all)}
	s.pending = make(map[checkpoint.ID]*pendingView)
	s.notices, s.final, s.newestFinal = nil, 0, 0
	s.headsStale = true
}

// begin makes the soft state of a new attempt. Of the subtasks that go on it is what it was.
func (s *jobView) begin(j *fsm.Job) {
	before, metrics, last := s.subtasks, s.metrics, s.attempt
	s.all, s.regions = j.Topology.Subtasks(), j.Topology.Regions()
	s.reset()
	s.attempt = j.Attempt
	for ordinal := range s.all {
		if since := j.DeployedIn(ordinal); since < j.Attempt && since <= last {
			s.goOn(ordinal, before[ordinal], metrics)
		}
	}
	s.turn, s.tries, s.older = turnView{}, turnTries{}, nil
	s.begunAt, s.completedAt = time.Time{}, time.Time{}
	s.ordinals, s.slots = nil, nil
	if len(j.Assignment.NodeOf) == 0 {
		return
	}
	s.slots = slotsOf(j.Topology, j.Assignment)
	s.ordinals = make(map[checkpoint.NodeID][]int, len(j.Assignment.Nodes))
	for ordinal := range j.Assignment.NodeOf {
		id := j.Assignment.Node(ordinal).ID
		s.ordinals[id] = append(s.ordinals[id], ordinal)
	}
}

// goOn takes over what is known of a subtask that goes on from the attempt before.
func (s *jobView) goOn(ordinal int, t subtaskView, metrics []metricsView) {
	s.setStatus(ordinal, t.status)
	s.subtasks[ordinal] = subtaskView{status: t.status, failure: t.failure, final: t.final, finalBy: t.finalBy}
	s.newestFinal = max(s.newestFinal, t.finalBy)
	if metrics == nil {
		return
	}
	if s.metrics == nil {
		s.metrics = make([]metricsView, len(s.all))
	}
	s.metrics[ordinal] = metrics[ordinal]
}

// adopt makes the soft state of the pending checkpoints that have none: an earlier leader began them, or this one has
// a moment ago.
func (s *jobView) adopt(j *fsm.Job) {
	for _, f := range j.Pending {
		if s.pending[f.ID] == nil {
			s.pending[f.ID] = newPendingView(f, s)
		}
	}
}

// settle moves checkpoints that have an outcome from pending to recent.
func (s *jobView) settle(j *fsm.Job) {
	for _, p := range s.sortedPending() {
		if slices.ContainsFunc(j.Pending, func(f fsm.Pending) bool { return f.ID == p.id && f.Attempt == s.attempt }) {
			continue
		}
		delete(s.pending, p.id)
		completed := completedAs(j, p.id)
		if completed != nil && p.finished.content != nil {
			if newest := newestCommitted(j); newest != nil && newest.ID == p.id {
				s.restore = restoreView{id: p.id, manifest: p.finished.content}
			}
		}
		s.remember(&recentView{id: p.id, attempt: s.attempt, completed: completed != nil, detail: p.detail(s)})
	}
}

func (s *jobView) sortedPending() []*pendingView {
	pending := make([]*pendingView, 0, len(s.pending))
	for _, p := range s.pending {
		pending = append(pending, p)
	}
	slices.SortFunc(pending, func(a, b *pendingView) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	return pending
}

// setStatus records a subtask's status.
func (s *jobView) setStatus(ordinal int, status checkpoint.SubtaskStatus) {
	t := &s.subtasks[ordinal]
	s.counts[t.status]--
	s.counts[status]++
	t.status = status
}

// count returns how many subtasks are in one of the statuses.
func (s *jobView) count(in ...checkpoint.SubtaskStatus) int {
	n := 0
	for _, status := range in {
		n += s.counts[status]
	}
	return n
}

// allAtEnd reports whether every subtask has reached the end of its input.
func (s *jobView) allAtEnd() bool {
	return s.count(checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished) == len(s.subtasks)
}

func (s *jobView) allFinished() bool { return s.count(checkpoint.SubtaskFinished) == len(s.subtasks) }

func (s *jobView) runsEverywhere() bool {
	return s.count(checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished) == len(s.subtasks)
}

// completedAs returns the entry of a checkpoint that the job holds as completed, nil when there is none.
func completedAs(j *fsm.Job, id checkpoint.ID) *fsm.Completed {
	for _, held := range [][]fsm.Completed{j.Completed, j.Savepoints} {
		for i := range held {
			if held[i].ID == id {
				return &held[i]
			}
		}
	}
	return nil
}
