package sim

import (
	"fmt"
	"strings"

	"cairn/checkpoint"
	"cairn/fsm"
)

// How stories put commands, messages and states into words.

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return strings.TrimSuffix(word, ",")
}

func commandName(c fsm.Command) string { return firstWord(commandText(c, fsm.Result{})) }

func (w *World) entryText(index int) string {
	e := w.check.log[index-1]
	text := ""
	switch {
	case e.command != nil:
		text = commandText(e.command, e.response.Result)
	case w.check.termStart[e.term] == index:
		text = "(a new leader's first entry)"
	default:
		text = "(nothing: it shows that nobody else leads)"
	}
	if e.response.Err != nil {
		text += ": rejected, " + e.response.Err.Error()
	}
	return fmt.Sprintf("log %d  %s", index, text)
}

func commandText(c fsm.Command, r fsm.Result) string {
	switch c := c.(type) {
	case fsm.SubmitJob:
		text := "submit-job " + c.Name
		if !c.Source.IsZero() {
			text += fmt.Sprintf(" from %s %d of job-%d", c.Source.Kind, c.Source.Checkpoint, c.Source.Job[0])
		}
		if c.Source.Claim {
			text += ", claimed"
		}
		return text
	case fsm.StartAttempt:
		text := fmt.Sprintf("start-attempt %d from %s: %s", c.Attempt, checkpointText(c.RestoreFrom), assignmentText(c.Assignment))
		if len(c.Kept) > 0 {
			text += fmt.Sprintf(", keeps %v", c.Kept)
		}
		return text
	case fsm.FailAttempt:
		return fmt.Sprintf("fail-attempt %d%s: %s", c.Attempt, abortedText(r), c.Cause)
	case fsm.CancelJob:
		return "cancel-job" + abortedText(r)
	case fsm.EndJob:
		return fmt.Sprintf("end-job %s%s%s", c.Status, abortedText(r), causeText(c.Failure))
	case fsm.BeginCheckpoint:
		text := "begin"
		if r.Checkpoint != 0 {
			text += fmt.Sprintf(" %s %d", c.Kind, r.Checkpoint)
		}
		if c.Stop != checkpoint.StopNone {
			text += " to " + c.Stop.String() + " with"
		}
		return text
	case fsm.CompleteCheckpoint:
		text := fmt.Sprintf("complete %d", c.Checkpoint) + abortedText(r)
		if len(r.Subsumed) > 0 {
			text += fmt.Sprintf(", subsumes %v", r.Subsumed)
		}
		return text
	case fsm.AbortCheckpoint:
		return fmt.Sprintf("abort %d %s%s", c.Checkpoint, c.Reason, causeText(c.Message))
	case fsm.FinishDiscards:
		return fmt.Sprintf("finish-discards %v", c.Checkpoints)
	case fsm.DisposeSavepoint:
		return fmt.Sprintf("dispose-savepoint %d", c.Savepoint)
	case fsm.ConfigureJob:
		return "configure-job"
	}
	return fmt.Sprintf("%T", c)
}

func checkpointText(id checkpoint.ID) string {
	if id == 0 {
		return "nothing"
	}
	return fmt.Sprintf("checkpoint %d", id)
}

func assignmentText(a checkpoint.Assignment) string {
	nodes := make([]string, len(a.NodeOf))
	for ordinal := range a.NodeOf {
		ref := a.Node(ordinal)
		nodes[ordinal] = string(ref.ID)
		if ref.Incarnation > 1 {
			nodes[ordinal] += fmt.Sprintf("#%d", ref.Incarnation)
		}
	}
	return strings.Join(nodes, " ")
}

func abortedText(r fsm.Result) string {
	if len(r.Aborted) == 0 {
		return ""
	}
	return fmt.Sprintf(", aborts %v", r.Aborted)
}

func causeText(cause string) string {
	if cause == "" {
		return ""
	}
	return ": " + cause
}

func toNodeText(m checkpoint.ToNode) string {
	switch m := m.(type) {
	case checkpoint.PlanJob:
		return "plan"
	case checkpoint.Leading:
		return fmt.Sprintf("leading term %d", m.Term)
	case checkpoint.Deploy:
		text := fmt.Sprintf("deploy attempt %d from %s", m.Attempt, checkpointText(m.Restore))
		for _, k := range m.Kept {
			text += fmt.Sprintf(", keep %s of attempt %d", k.Subtask, k.Since)
		}
		return text
	case checkpoint.CancelTasks:
		return fmt.Sprintf("cancel %v of attempt %d", m.Subtasks, m.Attempt)
	case checkpoint.CancelAttempt:
		return fmt.Sprintf("cancel attempt %d", m.Attempt)
	case checkpoint.Trigger:
		text := fmt.Sprintf("trigger %d at %v", m.Barrier.ID, m.Subtasks)
		if m.Barrier.Full {
			text += ", full"
		}
		return text + savepointText(m.Barrier.Kind, m.Barrier.Stop)
	case checkpoint.NotifyComplete:
		return fmt.Sprintf("notify-complete %d", m.Checkpoint) + savepointText(m.Kind, m.Stop)
	case checkpoint.NotifyAborted:
		return fmt.Sprintf("notify-aborted %d", m.Checkpoint)
	case checkpoint.MarkChunks:
		return "mark-chunks for " + sweepText(m.Sweep)
	case checkpoint.DeleteChunks:
		return fmt.Sprintf("delete-chunks, %d in %s", len(m.Chunks), sweepText(m.Sweep))
	}
	return m.String()
}

// savepointText is empty for a checkpoint.
func savepointText(kind checkpoint.Kind, stop checkpoint.Stop) string {
	switch {
	case kind != checkpoint.KindSavepoint:
		return ""
	case stop == checkpoint.StopNone:
		return ", a savepoint"
	}
	return ", a savepoint to " + stop.String() + " with"
}

// sweepText names a sweep by the term of its leader and its number there.
func sweepText(sweep uint64) string { return fmt.Sprintf("sweep %d.%d", sweep>>32, uint32(sweep)) }

// fromNodeText is empty for what is not worth a line.
func fromNodeText(m checkpoint.FromNode) string {
	switch m := m.(type) {
	case checkpoint.Heartbeat, checkpoint.Hello, checkpoint.Inventory, checkpoint.InventoryChange:
		return ""
	case checkpoint.JobPlanned:
		return "planned"
	case checkpoint.Report:
		text := "report"
		for _, a := range m.Attempts {
			text += fmt.Sprintf(" attempt %d", a.Attempt)
			for _, r := range a.Subtasks {
				text += fmt.Sprintf(", %s %s", r.Subtask, r.Status)
			}
			for _, ack := range a.Acks {
				text += fmt.Sprintf(", ack of %d by %s", ack.Checkpoint, ack.State.Subtask)
			}
		}
		return text
	case checkpoint.StatusChange:
		return fmt.Sprintf("%s %s", m.Report.Subtask, m.Report.Status) + causeText(m.Report.Failure.Message)
	case checkpoint.AckBatch:
		var parts []string
		for _, ack := range m.Acks {
			parts = append(parts, fmt.Sprintf("ack %d by %s", ack.Checkpoint, ack.State.Subtask))
		}
		return strings.Join(parts, ", ")
	case checkpoint.ChunksMarked:
		return "chunks-marked for " + sweepText(m.Sweep)
	case checkpoint.ChunksDeleted:
		text := fmt.Sprintf("chunks-deleted, %d in %s", m.Deleted, sweepText(m.Sweep))
		if m.Refused > 0 {
			text += fmt.Sprintf(", %d refused", m.Refused)
		}
		return text + causeText(m.Error)
	case checkpoint.Decline:
		return fmt.Sprintf("decline %d by %s, %s", m.Checkpoint, m.Subtask, m.Reason)
	}
	return fmt.Sprintf("%T", m)
}

func jobText(j *fsm.Job) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, attempt %d from %s\n", j.Name, j.Status, j.Attempt, checkpointText(j.RestoredFrom))
	fmt.Fprintf(&b, "last ID %d, completed %d, failed %d, restarts %d\n", j.LastID, j.Counters.Completed, j.Counters.Failed, j.Restart.Count)
	for _, p := range j.Pending {
		fmt.Fprintf(&b, "pending    %d %s\n", p.ID, p.Kind)
	}
	for _, c := range j.Completed {
		fmt.Fprintf(&b, "retained   %d %s of attempt %d\n", c.ID, c.Kind, c.Attempt)
	}
	for _, c := range j.Savepoints {
		fmt.Fprintf(&b, "savepoint  %d of attempt %d\n", c.ID, c.Attempt)
	}
	for _, d := range j.Discards {
		fmt.Fprintf(&b, "to discard %d\n", d.ID)
	}
	for _, o := range j.History {
		fmt.Fprintf(&b, "history    %s\n", outcomeText(o))
	}
	if j.Failure != "" {
		fmt.Fprintf(&b, "failure    %s\n", j.Failure)
	}
	return b.String()
}

func outcomeText(o fsm.Outcome) string {
	if o.Status == fsm.OutcomeCompleted {
		return fmt.Sprintf("%d %s completed, term %d to %d", o.ID, o.Kind, o.BeganTerm, o.Term)
	}
	return fmt.Sprintf("%d %s failed, term %d to %d: %s%s", o.ID, o.Kind, o.BeganTerm, o.Term, o.Reason, causeText(o.Message))
}
