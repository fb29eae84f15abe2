package coordinator

import (
	"fmt"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// checkpoints moves the pending checkpoints of a running job on, and begins a new one when one is due.
func (d *decision) checkpoints(j *fsm.Job) {
	s := d.view.jobs[j.ID]
	d.notifyAborted(j, s)
	for _, f := range j.Pending {
		d.pending(j, s, f)
	}
	if d.due(j, s) {
		d.do(Propose{fsm.BeginCheckpoint{
			Job: j.ID, Attempt: j.Attempt, Kind: checkpoint.KindCheckpoint, Term: d.view.Term, At: d.at,
		}})
	}
}

// pending decides the next step of one pending checkpoint. One that an earlier leader began is treated
// like one of our own: that is its adoption.
func (d *decision) pending(j *fsm.Job, s *jobView, f fsm.Pending) {
	p := s.pending[f.ID]
	switch {
	case p != nil && p.declined != nil:
		d.abort(j, f, p, declineReason(p.declined), declineText(j, p.declined))
	case p != nil && p.writeErr != "":
		d.abort(j, f, p, checkpoint.ReasonFinalizeFailure, "writing the manifest: "+p.writeErr)
	case p != nil && !p.manifest.ID.IsZero():
		d.do(Propose{fsm.CompleteCheckpoint{
			Job: j.ID, Attempt: f.Attempt, Checkpoint: f.ID, Manifest: p.manifest,
			Sizes: fsm.Sizes{State: p.content.StateSize()}, NumSubtasks: len(p.acks), Term: d.view.Term, At: d.at,
		}})
	case d.now.Sub(time.UnixMilli(int64(f.TriggeredAt))) > j.Config.Timeout:
		d.abort(j, f, p, checkpoint.ReasonExpired, fmt.Sprintf("not acknowledged within %s by %s",
			j.Config.Timeout, missingText(j, s, p)))
	case p != nil && p.writing:
	case p != nil && allAcknowledged(s, p):
		d.do(WriteManifest{Manifest: buildManifest(j, s, f, p)})
	default:
		d.trigger(j, s, f, p)
	}
}

func (d *decision) abort(j *fsm.Job, f fsm.Pending, p *pendingView, reason checkpoint.Reason, message string) {
	numAcks := 0
	if p != nil {
		numAcks = p.numAcks
	}
	d.do(Propose{fsm.AbortCheckpoint{
		Job: j.ID, Attempt: f.Attempt, Checkpoint: f.ID, Reason: reason, Message: message,
		NumAcknowledged: numAcks, Term: d.view.Term, At: d.at,
	}})
}

func declineReason(decline *checkpoint.Decline) checkpoint.Reason {
	if decline.Reason == 0 { // a node of another version that has a word of its own for it
		return checkpoint.ReasonDeclined
	}
	return decline.Reason
}

func declineText(j *fsm.Job, decline *checkpoint.Decline) string {
	node := j.Assignment.Node(j.Topology.Ordinal(decline.Subtask)).ID
	return fmt.Sprintf("%s on node %s: %s", decline.Subtask, node, decline.Message)
}

// acknowledged reports whether a subtask has done its part in the checkpoint. One that has finished has:
// its final state stands in for every later snapshot.
func acknowledged(s *jobView, p *pendingView, ordinal int) bool {
	return s.subtasks[ordinal].status == checkpoint.SubtaskFinished || p != nil && p.acks[ordinal] != nil
}

func allAcknowledged(s *jobView, p *pendingView) bool {
	for ordinal := range p.acks {
		if !acknowledged(s, p, ordinal) {
			return false
		}
	}
	return true
}

// namedMissing bounds how many subtasks an abort names: its text is in the log, whose entries are of bounded
// size whatever the parallelism.
const namedMissing = 5

// missingText names the subtasks that have not acknowledged, each with its node.
func missingText(j *fsm.Job, s *jobView, p *pendingView) string {
	var named []string
	missing := 0
	for ordinal, subtask := range j.Topology.Subtasks() {
		if acknowledged(s, p, ordinal) {
			continue
		}
		if missing++; missing <= namedMissing {
			named = append(named, fmt.Sprintf("%s on node %s", subtask, j.Assignment.Node(ordinal).ID))
		}
	}
	text := strings.Join(named, ", ")
	if more := missing - len(named); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// buildManifest collects the handles of all subtasks, in the order of their ordinals.
func buildManifest(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView) checkpoint.Manifest {
	m := checkpoint.Manifest{
		Job: j.ID, ID: f.ID, Attempt: f.Attempt, Kind: f.Kind, TriggerTimestamp: f.TriggeredAt,
		Vertices: j.Topology.Vertices, Subtasks: make([]checkpoint.SubtaskState, len(p.acks)),
	}
	for ordinal := range p.acks {
		if ack := p.acks[ordinal]; ack != nil {
			m.Subtasks[ordinal] = ack.State
		} else {
			m.Subtasks[ordinal] = s.subtasks[ordinal].final
		}
	}
	return m
}

// trigger sends the checkpoint to the subtasks that barriers start from: those that have no predecessor
// still running. As predecessors finish while the checkpoint is pending, further ones join them.
func (d *decision) trigger(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView) {
	byNode := make(map[checkpoint.NodeID][]checkpoint.SubtaskID)
	subtasks := j.Topology.Subtasks()
	for _, ordinal := range heads(j.Topology, s) {
		if acknowledged(s, p, ordinal) || p != nil && p.asked[ordinal] {
			continue
		}
		id := j.Assignment.Node(ordinal).ID
		byNode[id] = append(byNode[id], subtasks[ordinal])
	}
	barrier := checkpoint.Barrier{
		ID: f.ID, Timestamp: f.TriggeredAt, Kind: f.Kind, Mode: j.Config.Mode,
		Alignment: checkpoint.AlignmentAligned,
	}
	for _, ref := range j.Assignment.Nodes {
		if len(byNode[ref.ID]) == 0 || d.view.assigneeState(ref, d.now) != nodeAlive {
			continue
		}
		d.send(ref.ID, checkpoint.Trigger{
			Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Barrier: barrier, Subtasks: byNode[ref.ID],
		})
	}
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

// notifyAborted tells the nodes of the attempt about checkpoints that failed, so that they release what
// they hold for them.
func (d *decision) notifyAborted(j *fsm.Job, s *jobView) {
	var latest checkpoint.ID
	if c := latestCompleted(j); c != nil {
		latest = c.ID
	}
	for _, a := range s.aborted {
		if n := d.view.nodes[a.node]; n != nil && n.connected {
			d.send(a.node, checkpoint.NotifyAborted{
				Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Checkpoint: a.checkpoint, LatestCompleted: latest,
			})
		}
	}
}

// due reports whether a checkpoint should begin now: the attempt runs everywhere, there is room for
// another pending checkpoint, and somebody waits for it: a user, the job's end, or the interval.
func (d *decision) due(j *fsm.Job, s *jobView) bool {
	if d.view.Draining || len(j.Pending) >= j.Config.MaxConcurrent || s.cleaningBehind(j) || !runsEverywhere(s) || finalCompleted(j, s) {
		return false
	}
	for _, ref := range j.Assignment.Nodes {
		if d.view.assigneeState(ref, d.now) != nodeAlive {
			return false
		}
	}
	return s.forced > 0 || waitsForFinalCheckpoint(j, s) || d.periodicDue(j)
}

func runsEverywhere(s *jobView) bool {
	for _, t := range s.subtasks {
		switch t.status {
		case checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished:
		default:
			return false
		}
	}
	return true
}

// waitsForFinalCheckpoint reports whether nothing but a checkpoint can still happen: every subtask has
// reached the end of its input, and none has completed since. There is no point in waiting for the interval, and
// with manual checkpoints there would be none.
func waitsForFinalCheckpoint(j *fsm.Job, s *jobView) bool {
	return s.allAtEnd() && len(j.Pending) == 0 && !finalCompleted(j, s)
}

// finalCompleted reports whether the checkpoint that all subtasks end with is complete: they are being told, and
// another one would be of no use.
func finalCompleted(j *fsm.Job, s *jobView) bool {
	c := latestCompleted(j)
	return s.final != 0 && c != nil && c.ID >= s.final
}

// periodicDue reports whether the interval since the last trigger and the pause since the last completion
// are over. Both are read from replicated state, so that a new leader goes on in the same rhythm. A time that lies
// ahead of our clock was set by another one, and counts as over.
func (d *decision) periodicDue(j *fsm.Job) bool {
	if j.Config.Interval == 0 || !d.over(lastTrigger(j), j.Config.Interval) {
		return false
	}
	c := latestCompleted(j)
	return c == nil || d.over(c.CompletedAt, j.Config.MinPause)
}

func (d *decision) over(since checkpoint.Timestamp, wait time.Duration) bool {
	elapsed := int64(d.at - since)
	return elapsed < 0 || elapsed >= wait.Milliseconds()
}

// lastTrigger returns when the job's newest checkpoint of this attempt began, or the attempt itself.
func lastTrigger(j *fsm.Job) checkpoint.Timestamp {
	last, id := j.AttemptStartedAt, checkpoint.ID(0)
	for _, p := range j.Pending {
		if p.ID > id {
			last, id = p.TriggeredAt, p.ID
		}
	}
	for _, o := range j.History {
		if o.Attempt == j.Attempt && o.ID > id {
			last, id = o.TriggeredAt, o.ID
		}
	}
	return last
}
