package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

// shownSubtasks bounds the subtasks shown without --all.
const shownSubtasks = 20

func showCheckpointCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "show a checkpoint or savepoint, pending or ended, by vertex and by subtask",
		Description: fmt.Sprintf("Names the subtask that held it up most, or still does, and in which phase. Of more than %d\n"+
			"subtasks the slowest are shown.", shownSubtasks),
		ArgsUsage: "JOB[/ID] [ID]",
		Flags: readFlags(defaultTimeout,
			&cli.BoolFlag{Name: "all", DisableDefaultText: true, Usage: "show every subtask"}),
		Action: withNamed("checkpoint", con.inTime(showCheckpoint)),
	}
}

func showCheckpoint(ctx context.Context, s session, named namedCheckpoint) error {
	detail, err := s.service.ShowCheckpoint(ctx, named.job, named.id)
	if err != nil {
		return err
	}
	if s.asJSON() {
		detail.Tasks, detail.Subtasks = list(detail.Tasks), list(detail.Subtasks)
		return writeJSON(s.out, detail)
	}
	return writeCheckpoint(s, detail)
}

func writeCheckpoint(s session, c api.CheckpointDetail) error {
	if err := writeFacts(s.out, checkpointFacts(s, c)...); err != nil {
		return err
	}
	if len(c.Subtasks) == 0 {
		return s.printf("\n%s\n", cmp.Or(oneLine(c.DetailMissing), "Nothing is known of its subtasks."))
	}
	return sections(s,
		func() error { return writeTasks(s, c.Tasks, c.TriggerTimestamp) },
		func() error { return writeSubtaskCheckpoints(s, c.Subtasks, c.TriggerTimestamp) },
	)
}

func checkpointFacts(s session, c api.CheckpointDetail) []fact {
	retained, slowest, manifest, inFlight := "no", "", "", ""
	if c.Retained {
		retained = "yes"
	}
	if c.Slowest != nil {
		slowest = slowestText(*c.Slowest)
	}
	if c.Manifest != "" {
		manifest = size(c.ManifestSize)
	}
	if c.ProcessedData != 0 || c.PersistedData != 0 {
		inFlight = fmt.Sprintf("%s processed during alignment, %s persisted", size(c.ProcessedData), size(c.PersistedData))
	}
	kind := c.Kind
	if c.Stop != "" {
		kind += ", to stop the job: " + c.Stop
	}
	label := "Slowest"
	if c.Status == inProgress {
		label = "Waits for"
	}
	return []fact{
		say("Checkpoint", fmt.Sprint(c.ID)),
		say("Status", c.Status),
		say("Failure", c.FailureMessage),
		say("Given up", c.GivenUp),
		say("Kind", kind),
		say("Attempt", fmt.Sprint(c.Attempt)),
		say("Triggered", age(s.now(), c.TriggerTimestamp)),
		say("Duration", duration(c.EndToEndDurationMillis)),
		say(label, slowest),
		say("State size", fmt.Sprintf("%s, %s of it new", size(c.StateSize), size(c.CheckpointedSize))),
		say("Alignment", duration(c.AlignmentMillis)),
		say("In flight", inFlight),
		say("Acknowledged", acknowledged(c.Checkpoint)+" subtasks"),
		say("Leader's term", terms(c.Checkpoint)),
		say("Retained", retained),
		say("Manifest", c.Manifest, manifest),
	}
}

// terms tells whether a checkpoint has outlived the leader that began it.
func terms(c api.Checkpoint) string {
	if c.EndedTerm == 0 || c.EndedTerm == c.BeganTerm {
		return fmt.Sprint(c.BeganTerm)
	}
	return fmt.Sprintf("began in %d, ended in %d", c.BeganTerm, c.EndedTerm)
}

func writeTasks(s session, tasks []api.TaskCheckpoint, triggered int64) error {
	var rows [][]string
	for _, t := range tasks {
		lastAck := ""
		if t.LatestAckTimestamp != 0 {
			lastAck = duration(t.LatestAckTimestamp - triggered)
		}
		rows = append(rows, []string{
			t.Vertex, fmt.Sprintf("%d/%d", t.NumAcknowledgedSubtasks, t.NumSubtasks), lastAck,
			size(t.StateSize), size(t.CheckpointedSize), someSize(t.ProcessedData), someSize(t.PersistedData),
		})
	}
	columns := []column{
		left("VERTEX"), right("ACKED"), right("LAST ACK"), right("SIZE"), right("NEW"), right("PROCESSED"), right("PERSISTED"),
	}
	return writeTable(s.out, "No vertex is known.", columns, rows)
}

// someSize is empty for nothing, so that a column of nothing is left out.
func someSize(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return size(bytes)
}

func writeSubtaskCheckpoints(s session, subtasks []api.SubtaskCheckpoint, triggered int64) error {
	hidden := 0
	if n := len(subtasks) - shownSubtasks; n > 0 && !s.Bool("all") {
		subtasks, hidden = slowestFirst(subtasks)[:shownSubtasks], n
	}
	var rows [][]string
	for _, t := range subtasks {
		rows = append(rows, subtaskRow(t, triggered))
	}
	columns := []column{
		left("SUBTASK"), left("NODE"), left("ACK"), right("SIZE"), right("DELAY"), right("ALIGN"), right("SYNC"),
		right("ASYNC"), right("UPLOAD"), right("PROCESSED"), right("PERSISTED"),
	}
	if err := writeTable(s.out, "No subtask is known.", columns, rows); err != nil || hidden == 0 {
		return err
	}
	return s.printf("\n%d faster subtasks are not shown; --all shows them.\n", hidden)
}

// subtaskRow shows how long each phase took. In the place of its ack a subtask that has not sent one has the phase in
// which it was last seen.
func subtaskRow(t api.SubtaskCheckpoint, triggered int64) []string {
	switch {
	case t.Finished:
		return []string{t.ID, t.Node, "finished", someSize(t.StateSize), "", "", "", "", "", "", ""}
	case !t.Acknowledged:
		return append([]string{t.ID, t.Node, "in " + cmp.Or(t.Phase, "unknown phase"), ""}, phases(t, true)...)
	}
	row := []string{t.ID, t.Node, duration(t.AckTimestamp - triggered), size(t.StateSize)}
	return append(row, phases(t, false)...)
}

// phases are the cells of the phases' durations. Of a part that is not over those that are zero are left out: nobody
// knows them yet.
func phases(t api.SubtaskCheckpoint, open bool) []string {
	var cells []string
	for _, ms := range []int64{t.StartDelayMillis, t.AlignmentMillis, t.SyncMillis, t.AsyncMillis, t.UploadMillis} {
		cell := duration(ms)
		if open && ms == 0 {
			cell = ""
		}
		cells = append(cells, cell)
	}
	return append(cells, someSize(t.ProcessedData), someSize(t.PersistedData))
}

// slowestFirst orders subtasks by how much they held the checkpoint up: first those that have not acknowledged, then
// those that did so last.
func slowestFirst(subtasks []api.SubtaskCheckpoint) []api.SubtaskCheckpoint {
	return slices.SortedStableFunc(slices.Values(subtasks), func(a, b api.SubtaskCheckpoint) int {
		switch {
		case a.Acknowledged != b.Acknowledged && !a.Acknowledged:
			return -1
		case a.Acknowledged != b.Acknowledged:
			return 1
		}
		return cmp.Compare(b.AckTimestamp, a.AckTimestamp)
	})
}
