package coordinator

import (
	"fmt"
	"strings"

	"cairn/checkpoint"
	"cairn/fsm"
)

// checkpoints moves the pending checkpoints of a running job on, and begins a new one when one is due.
func (d *decision) checkpoints(j *fsm.Job, s *jobView, change changeState) {
	d.notifyOutcomes(j, s)
	for _, f := range j.Pending {
		if p := s.pending[f.ID]; p != nil {
			d.pending(j, s, f, p)
		}
	}
	d.begin(j, s, change)
}

// pending decides the next step of one pending checkpoint. One that an earlier leader began is treated
// like one of our own: that is its adoption.
func (d *decision) pending(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView) {
	switch done := &p.finished; {
	case p.failing != nil:
		if p.failing.written {
			d.proposeAbort(j, s, f, p, p.failing.reason, p.failing.message, p.failing.detail)
		}
	case p.declined != nil:
		d.abort(j, s, f, p, declineReason(p.declined), declineText(j, p.declined))
	case done.err != "":
		d.abort(j, s, f, p, checkpoint.ReasonFinalizeFailure, "writing the manifest: "+done.err)
	case !done.manifest.ID.IsZero():
		d.do(Propose{fsm.CompleteCheckpoint{
			Job: j.ID, Attempt: f.Attempt, Checkpoint: f.ID, Manifest: done.manifest, Sizes: done.sizes,
			NumSubtasks: len(p.parts), Detail: done.detail, Term: d.view.Term, At: d.after(f),
		}})
	case p.expired(d.view, j.Config.Timeout, d.now):
		d.abort(j, s, f, p, checkpoint.ReasonExpired, expiryText(j, s, p))
	case done.writing:
	case p.missing == 0:
		d.do(WriteManifest{Manifest: buildManifest(j, s, f, p), Detail: p.detail(s)})
	default:
		if gone := goneWithoutAck(j, s, p); gone != "" {
			d.abort(j, s, f, p, checkpoint.ReasonTaskClosing, gone)
			return
		}
		d.trigger(j, s, f, p)
	}
}

// after returns the time of a checkpoint's outcome, which does not lie before its beginning.
func (d *decision) after(f fsm.Pending) checkpoint.Timestamp { return max(d.at, f.TriggeredAt) }

// abort ends a pending checkpoint as failed. Its breakdown goes into the entry where it is small, and is stored before
// it where it is not.
func (d *decision) abort(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView, reason checkpoint.Reason, message string) {
	detail := p.detail(s)
	inline := checkpoint.EncodeDetail(detail)
	if len(inline) > fsm.MaxInlineDetail {
		d.do(WriteDetail{Job: j.ID, Checkpoint: f.ID, Reason: reason, Message: message, Detail: detail})
		return
	}
	d.proposeAbort(j, s, f, p, reason, message, fsm.Detail{Inline: inline})
}

func (d *decision) proposeAbort(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView, reason checkpoint.Reason, message string, detail fsm.Detail) {
	d.do(Propose{fsm.AbortCheckpoint{
		Job: j.ID, Attempt: f.Attempt, Checkpoint: f.ID, Reason: reason, Message: message, NumAcknowledged: p.numAcknowledged(),
		Sizes: p.measure(s), Detail: detail, Term: d.view.Term, At: d.after(f),
	}})
}

func declineReason(decline *checkpoint.Decline) checkpoint.Reason {
	if decline.Reason == 0 { // a node of another version that has a word of its own for it
		return checkpoint.ReasonDeclined
	}
	return decline.Reason
}

func declineText(j *fsm.Job, decline *checkpoint.Decline) string {
	text := fmt.Sprintf("%s on node %s", decline.Subtask, j.Assignment.Node(j.Topology.Ordinal(decline.Subtask)).ID)
	if decline.Phase != 0 {
		text += fmt.Sprintf(" (%s)", decline.Phase)
	}
	return text + ": " + decline.Message
}

// namedMissing bounds how many subtasks an abort names: its text is in the log, whose entries are of bounded
// size whatever the parallelism.
const namedMissing = 5

// expiryText names the subtasks that have not acknowledged, each with its node and how far it has come.
func expiryText(j *fsm.Job, s *jobView, p *pendingView) string {
	if p.missing == 0 {
		return fmt.Sprintf("acknowledged by all subtasks, but its manifest was not stored within %s", j.Config.Timeout)
	}
	var named []string
	for ordinal := range p.parts {
		if p.acknowledged(s, ordinal) {
			continue
		}
		if len(named) == namedMissing {
			break
		}
		named = append(named, fmt.Sprintf("%s (%s)", taskOnNode(j, s, ordinal), p.phase(ordinal)))
	}
	text := fmt.Sprintf("not acknowledged within %s by %s", j.Config.Timeout, strings.Join(named, ", "))
	if p.missing > len(named) {
		text += fmt.Sprintf(" and %d more", p.missing-len(named))
	}
	return text
}

// taskOnNode names a subtask and the node that it is on.
func taskOnNode(j *fsm.Job, s *jobView, ordinal int) string {
	return fmt.Sprintf("%s on node %s", s.all[ordinal], j.Assignment.Node(ordinal).ID)
}

// goneWithoutAck names a subtask that has finished and will not acknowledge any more, without its final state being its
// part in the checkpoint: it finished with a newer one, or (without checkpoints after tasks finish) with none. It is
// empty when there is none, which is known without a search nearly always.
func goneWithoutAck(j *fsm.Job, s *jobView, p *pendingView) string {
	if s.count(checkpoint.SubtaskFinished) == 0 || s.standIns && s.newestFinal < p.id {
		return ""
	}
	for ordinal := range s.subtasks {
		if t := &s.subtasks[ordinal]; t.status == checkpoint.SubtaskFinished && !p.acknowledged(s, ordinal) {
			return taskOnNode(j, s, ordinal) + ": finished before it had acknowledged"
		}
	}
	return ""
}

// buildManifest collects the handles of all subtasks, in the order of their ordinals.
func buildManifest(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView) checkpoint.Manifest {
	m := checkpoint.Manifest{
		Job: j.ID, ID: f.ID, Attempt: f.Attempt, Kind: f.Kind, TriggerTimestamp: f.TriggeredAt,
		Vertices: j.Topology.Vertices, Subtasks: make([]checkpoint.SubtaskState, len(p.parts)),
		Writers: make([]checkpoint.NodeID, len(p.parts)),
	}
	for ordinal := range p.parts {
		if ack := p.parts[ordinal].ack; ack != nil {
			m.Subtasks[ordinal], m.Writers[ordinal] = ack.State, j.Assignment.Node(ordinal).ID
		} else { // it may have finished before this attempt, anywhere
			m.Subtasks[ordinal] = s.subtasks[ordinal].final
		}
	}
	return m
}

// trigger sends the checkpoint to the subtasks that barriers start from: those that have no predecessor
// still running. As predecessors finish while the checkpoint is pending, further ones join them.
func (d *decision) trigger(j *fsm.Job, s *jobView, f fsm.Pending, p *pendingView) {
	if !p.unasked {
		return
	}
	byNode := make(map[checkpoint.NodeID][]checkpoint.SubtaskID)
	for _, ordinal := range s.heads {
		if !p.parts[ordinal].asked && !p.acknowledged(s, ordinal) {
			id := j.Assignment.Node(ordinal).ID
			byNode[id] = append(byNode[id], s.all[ordinal])
		}
	}
	for _, ref := range j.Assignment.Nodes {
		if len(byNode[ref.ID]) == 0 || d.view.assigneeState(ref, d.now) != nodeAlive {
			continue
		}
		if !d.view.nodes[ref.ID].holds[attemptKey{j.ID, j.Attempt}] {
			continue // what runs there goes on, and its node has still to be told of the attempt: it would ignore the trigger
		}
		d.send(ref.ID, checkpoint.Trigger{
			Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Barrier: barrierOf(j, f), Subtasks: byNode[ref.ID],
		})
	}
}

func barrierOf(j *fsm.Job, f fsm.Pending) checkpoint.Barrier {
	b := checkpoint.Barrier{
		ID: f.ID, Timestamp: f.TriggeredAt, Kind: f.Kind, Mode: j.Config.Mode,
		Alignment: j.Config.Alignment, AlignmentTimeout: j.Config.AlignmentTimeout, Stop: f.Stop, Full: f.Full,
	}
	if f.Kind == checkpoint.KindSavepoint || f.Aligned {
		b.Alignment, b.AlignmentTimeout = checkpoint.AlignmentAligned, 0 // no records in flight: it is to outlive the graph, or the parallelism
	}
	return b
}
