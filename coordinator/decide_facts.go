package coordinator

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/fsm"
)

// facts are what Decide asks of a job's replicated state. Jobs are immutable, so they are gathered once for each value
// of one.
type facts struct {
	// committed is the newest completion of this attempt whose side effects are to be published: what every node of it
	// has to be told (I4). Its ID is 0 for none.
	committed fsm.Completed
	subsumed  checkpoint.ID // the newest checkpoint that left the log
	// lastBegun is when the newest checkpoint of this attempt began, or the attempt itself. Savepoints do not count: a
	// restart does not go back to them, and frequent ones would put the periodic checkpoints off for ever.
	// lastCompleted is when a checkpoint or savepoint completed last, 0 for never. By the clocks of the leaders of that
	// time.
	lastBegun, lastCompleted checkpoint.Timestamp
	// floor is the newest timestamp that a checkpoint was given: the next one's does not lie before it (T1).
	floor checkpoint.Timestamp
	// stopping says that the job is to end with a savepoint of this attempt, pending or completed: nothing else begins.
	stopping bool
	// turning says that a checkpoint is pending at which the attempt may be to end: nothing begins that would be newer.
	turning bool
	// stopFailure says why a savepoint failed that the attempt was to end with; empty for none. The attempt ends with it.
	stopFailure string
}

// own reports whether the checkpoint is one that the job has taken itself, and not what it was submitted from, which it
// may have claimed.
func own(j *fsm.Job, id checkpoint.ID) bool { return id > j.FirstID }

func factsOf(j *fsm.Job) facts {
	f := facts{lastBegun: j.AttemptStartedAt}
	if c := newestCommitted(j); c != nil && c.Attempt == j.Attempt && own(j, c.ID) {
		f.committed = *c
		f.stopping = c.Stop != checkpoint.StopNone
	}
	for _, d := range j.Discards {
		if len(j.Completed) > 0 && d.ID < j.Completed[0].ID { // a newer one is a savepoint that was disposed of
			f.subsumed = max(f.subsumed, d.ID)
		}
	}
	newest := checkpoint.ID(0) // of this attempt
	triggered := func(id checkpoint.ID, attempt checkpoint.Attempt, kind checkpoint.Kind, at checkpoint.Timestamp) {
		f.floor = max(f.floor, at)
		if attempt == j.Attempt && kind == checkpoint.KindCheckpoint && id > newest {
			newest, f.lastBegun = id, at
		}
	}
	for _, p := range j.Pending {
		triggered(p.ID, p.Attempt, p.Kind, p.TriggeredAt)
		f.stopping = f.stopping || p.Stop != checkpoint.StopNone
		f.turning = f.turning || p.Aligned
	}
	for _, held := range [][]fsm.Completed{j.Completed, j.Savepoints} {
		for _, c := range held {
			if !own(j, c.ID) {
				continue
			}
			triggered(c.ID, c.Attempt, c.Kind, c.TriggeredAt)
			f.lastCompleted = max(f.lastCompleted, c.CompletedAt)
		}
	}
	for _, o := range j.History {
		triggered(o.ID, o.Attempt, o.Kind, o.TriggeredAt)
		switch {
		case o.Status == fsm.OutcomeCompleted:
			f.lastCompleted = max(f.lastCompleted, o.EndedAt)
		case o.Stop != checkpoint.StopNone && o.Attempt == j.Attempt && f.stopFailure == "":
			f.stopFailure = fmt.Sprintf("stopping with savepoint %d failed: %s: %s", o.ID, o.Reason, o.Message)
		}
	}
	return f
}
