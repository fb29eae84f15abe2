package main

import (
	"fmt"
	"io"
	"time"

	"cairn/api"
)

func writeStatusText(w io.Writer, now time.Time, status api.Status) error {
	healthy, tolerates, stale := "yes", "failure of "+count(status.FailureTolerance, "more coordinator"), ""
	switch {
	case status.Stale: // by one coordinator, which cannot judge
		healthy, tolerates, stale = "unknown", "", "yes: this is what one coordinator knows by itself, and may be old"
	case !status.Healthy:
		healthy = "no"
	}
	if err := writeFacts(w,
		say("Stale", stale),
		say("Leader", leaderText(status.Leader)),
		say("Healthy", healthy),
		say("Problems", status.Problems...),
		say("Tolerates", tolerates),
	); err != nil {
		return err
	}
	for _, section := range []func() error{
		func() error { return writeVoters(w, status.Voters) },
		func() error { return writeNodes(w, status) },
		func() error { return writeJobSummaries(w, now, status.Jobs) },
	} {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		if err := section(); err != nil {
			return err
		}
	}
	return nil
}

func leaderText(l api.Leader) string {
	switch {
	case l.ID == "":
		return "none"
	case l.Address == "":
		return fmt.Sprintf("%s, term %d", l.ID, l.Term)
	}
	return fmt.Sprintf("%s at %s, term %d", l.ID, l.Address, l.Term)
}

func writeVoters(w io.Writer, voters []api.Voter) error {
	var rows [][]string
	for _, v := range voters {
		vote := ""
		if !v.Voter {
			vote = "no vote yet"
		}
		rows = append(rows, []string{v.ID, v.Address, v.State, vote, lastContact(v.State, v.LastContactMillis)})
	}
	columns := []column{left("COORDINATOR"), left("ADDRESS"), left("STATE"), left("VOTE"), right("LAST CONTACT")}
	return writeTable(w, "No coordinator votes yet.", columns, rows)
}

func writeNodes(w io.Writer, status api.Status) error {
	none := "No node is known."
	if status.Stale {
		none = "The nodes are known to the leader alone."
	}
	var rows [][]string
	for _, n := range status.Nodes {
		rows = append(rows, []string{n.ID, n.Address, nodeStateText(n), fmt.Sprintf("%d/%d", n.UsedSlots, n.Slots)})
	}
	columns := []column{left("NODE"), left("ADDRESS"), left("STATE"), right("SLOTS USED")}
	return writeTable(w, none, columns, rows)
}

// nodeStateText is the state of a node as gossip and sessions have it, and whether it takes tasks.
func nodeStateText(n api.Node) string {
	if n.Drained {
		return n.State + ", " + n.Status
	}
	return n.State
}

func writeJobSummaries(w io.Writer, now time.Time, jobs []api.JobSummary) error {
	var rows [][]string
	for _, j := range jobs {
		c := j.Checkpoints
		rows = append(rows, []string{
			j.Name, j.State, fmt.Sprint(j.Attempt), lastCompleted(now, c),
			fmt.Sprint(c.InProgress), fmt.Sprint(c.Completed), fmt.Sprint(c.Failed), fmt.Sprint(c.Restored),
		})
	}
	columns := []column{
		left("JOB"), left("STATE"), right("ATTEMPT"), left("LAST CHECKPOINT"),
		right("PENDING"), right("DONE"), right("FAILED"), right("RESTORED"),
	}
	return writeTable(w, "No job was submitted.", columns, rows)
}

// lastCompleted names the last completed checkpoint and says when it completed.
func lastCompleted(now time.Time, c api.JobCheckpoints) string {
	if c.LastCompletedID == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, %s", c.LastCompletedID, age(now, c.LastCompletedAt))
}
