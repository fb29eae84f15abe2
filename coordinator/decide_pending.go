package coordinator

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// pendingView is the soft state of one pending checkpoint.
type pendingView struct {
	id          checkpoint.ID
	triggeredAt checkpoint.Timestamp
	// begun is when this leader saw the beginning committed; zero when an earlier leader began it.
	begun time.Time
	parts []partView // by ordinal
	// missing counts the parts that are not acknowledged: 0 completes the checkpoint.
	missing int
	// unasked says that a subtask which barriers start from may still have to be sent the trigger.
	unasked  bool
	declined *checkpoint.Decline
	failing  *failingView // set when its abort has been decided
	finished finishedView
}

// partView is one subtask's part in a pending checkpoint.
type partView struct {
	ack       *checkpoint.Ack // nil until acknowledged
	ackMillis int64           // from the trigger to the ack's arrival
	progress  *checkpoint.SubtaskProgress
	asked     bool // this leader has sent it the trigger
}

// failingView is an abort whose statistics are being stored.
type failingView struct {
	reason  checkpoint.Reason
	message string
	written bool
	detail  fsm.Detail
}

// finishedView is what is being stored of a checkpoint that everybody has acknowledged.
type finishedView struct {
	writing  bool
	content  *checkpoint.Manifest // while pending
	sizes    fsm.Sizes
	manifest checkpoint.ChunkRef // zero until it is written
	detail   fsm.Detail
	err      string
}

func newPendingView(f fsm.Pending, s *jobView) *pendingView {
	p := &pendingView{
		id: f.ID, triggeredAt: f.TriggeredAt, parts: make([]partView, len(s.subtasks)), missing: len(s.subtasks), unasked: true,
	}
	if s.counts[checkpoint.SubtaskFinished] > 0 {
		for ordinal := range s.subtasks {
			if s.standsIn(ordinal, f.ID) {
				p.missing--
			}
		}
	}
	return p
}

// standsIn reports whether a subtask had finished before the checkpoint, so that its final state is its part in it.
func (s *jobView) standsIn(ordinal int, id checkpoint.ID) bool {
	t := &s.subtasks[ordinal]
	return s.standIns && t.status == checkpoint.SubtaskFinished && t.finalBy < id
}

// acknowledged reports whether a subtask has done its part in the checkpoint.
func (p *pendingView) acknowledged(s *jobView, ordinal int) bool {
	return p.parts[ordinal].ack != nil || s.standsIn(ordinal, p.id)
}

// numAcknowledged counts the parts that are done.
func (p *pendingView) numAcknowledged() int { return len(p.parts) - p.missing }

// acknowledge records an ack and reports whether it is the subtask's first.
func (p *pendingView) acknowledge(s *jobView, ordinal int, ack *checkpoint.Ack, now time.Time) bool {
	part := &p.parts[ordinal]
	if part.ack != nil {
		return false
	}
	if !s.standsIn(ordinal, p.id) {
		p.missing--
	}
	part.ack, part.ackMillis = ack, p.age(now)
	return true
}

// age returns the milliseconds since the trigger, by this leader's clock where it began the checkpoint.
func (p *pendingView) age(now time.Time) int64 {
	if !p.begun.IsZero() {
		return max(0, now.Sub(p.begun).Milliseconds())
	}
	return max(0, now.UnixMilli()-int64(p.triggeredAt))
}

// expired reports whether the checkpoint has had its time. That runs from the commit of its beginning, by the clock of
// the leader that counts. A new leader cannot know how long ago another one's clock said it was: it counts anew from its
// own beginning, so that clocks which disagree never shorten the time.
func (p *pendingView) expired(v *View, timeout time.Duration, now time.Time) bool {
	since := p.begun
	if since.IsZero() {
		since = v.Since
	}
	return now.Sub(since) > timeout
}

// refreshTriggers brings up to date from whom barriers start, and which checkpoints have to be triggered there.
func (s *jobView) refreshTriggers(j *fsm.Job) {
	stale := s.headsStale
	if stale {
		s.heads, s.headsStale = heads(j.Topology, s), false
	}
	for _, p := range s.pending {
		if stale || p.unasked {
			p.unasked = s.mustAsk(p)
		}
	}
}

func (s *jobView) mustAsk(p *pendingView) bool {
	for _, ordinal := range s.heads {
		if !p.parts[ordinal].asked && !p.acknowledged(s, ordinal) {
			return true
		}
	}
	return false
}

// heads returns the ordinals of the subtasks that have not finished and whose predecessors all have.
func heads(t checkpoint.Topology, s *jobView) []int {
	base := make([]int, len(t.Vertices)) // ordinal of each vertex's first subtask
	for i := 1; i < len(base); i++ {
		base[i] = base[i-1] + t.Vertices[i-1].Parallelism
	}
	finished := func(ordinal int) bool { return s.subtasks[ordinal].status == checkpoint.SubtaskFinished }
	waits := make([]bool, len(s.subtasks)) // for a barrier from a predecessor
	for _, e := range t.Edges {
		for from := range t.Vertices[e.From].Parallelism {
			if finished(base[e.From] + from) {
				continue
			}
			if e.Partitioning == checkpoint.Forward {
				waits[base[e.To]+from] = true
				continue
			}
			for to := range t.Vertices[e.To].Parallelism {
				waits[base[e.To]+to] = true
			}
			break // one running predecessor is enough to make all successors wait
		}
	}
	var ordinals []int
	for ordinal := range waits {
		if !waits[ordinal] && !finished(ordinal) {
			ordinals = append(ordinals, ordinal)
		}
	}
	return ordinals
}
