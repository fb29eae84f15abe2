package fsm

import (
	"errors"
	"slices"
	"testing"

	"cairn/checkpoint"
)

// TestDecodeSnapshotChecksInvariants breaks each invariant in turn, in a state that is well-formed as bytes.
func TestDecodeSnapshotChecksInvariants(t *testing.T) {
	tests := map[string]func(*Job){
		"status unknown":             func(j *Job) { j.Status = JobCanceled + 1 },
		"status missing":             func(j *Job) { j.Status = 0 },
		"no ID":                      func(j *Job) { j.ID = checkpoint.JobID{} },
		"graph":                      func(j *Job) { j.Topology.Vertices = nil },
		"assignment":                 func(j *Job) { j.Assignment.NodeOf = []int{0, 0, 7} },
		"name taken":                 func(j *Job) { j.Name = "job-2" },
		"log out of order":           func(j *Job) { j.Completed[0].ID, j.Completed[1].ID = 4, 3 },
		"log beyond the counter":     func(j *Job) { j.Completed[1].ID = 99 },
		"log with a savepoint":       func(j *Job) { j.Completed[1].Kind = checkpoint.KindSavepoint },
		"log before the first ID":    func(j *Job) { j.FirstID, j.Counters.Completed = 3, 1; j.Source = sampleSource(3) },
		"first ID without a source":  func(j *Job) { j.FirstID, j.Counters.Completed = 1, 3 },
		"source without a manifest":  func(j *Job) { j.Source.Job = jobID(9) },
		"source elsewhere":           func(j *Job) { j.Source = sampleSource(1) },
		"claimed entry: manifest":    func(j *Job) { claimed(j).Manifest = manifest(77) },
		"claimed entry: kind":        func(j *Job) { claimed(j).Kind = 0 },
		"claimed entry: not first":   func(j *Job) { claimed(j); slices.Reverse(j.Completed) },
		"savepoints out of order":    func(j *Job) { withSavepoints(j, 3, 1) },
		"savepoint twice":            func(j *Job) { withSavepoints(j, 1, 1) },
		"savepoint 0":                func(j *Job) { withSavepoints(j, 0) },
		"savepoint in the log":       func(j *Job) { withSavepoints(j, 4) },
		"savepoint discarded":        func(j *Job) { withSavepoints(j, 2) },
		"savepoint pending":          func(j *Job) { withSavepoints(j, 6) },
		"savepoint of the future":    func(j *Job) { withSavepoints(j, 8) },
		"savepoint of another kind":  func(j *Job) { withSavepoints(j, 5); j.Savepoints[0].Kind = checkpoint.KindCheckpoint },
		"savepoint past the success": func(j *Job) { withSavepoints(j, 5) },
		"success lost":               func(j *Job) { j.LastSuccess = 3 },
		"success of the future":      func(j *Job) { j.LastSuccess = 8 },
		"discard of the future":      func(j *Job) { j.Discards[0].ID = 8 },
		"stop of a checkpoint":       func(j *Job) { j.Pending[1].Stop = checkpoint.StopDrain },
		"stop unknown":               func(j *Job) { j.Pending[0].Stop = 3 },
		"two stops": func(j *Job) {
			j.Pending[1].Kind = checkpoint.KindSavepoint
			j.Pending[0].Stop, j.Pending[1].Stop = checkpoint.StopDrain, checkpoint.StopSuspend
		},
		"detail too large":            func(j *Job) { j.History[0].Detail.Inline = make([]byte, MaxInlineDetail+1) },
		"detail in two places":        func(j *Job) { j.History[0].Detail = Detail{Inline: []byte{1}, Chunk: detailChunk(1)} },
		"negative sizes":              func(j *Job) { j.History[0].Sizes.Persisted = -1 },
		"summary of too many":         func(j *Job) { j.Summary = j.Summary.with(Outcome{}) },
		"summary of two minds":        func(j *Job) { j.Summary.Persisted = Distribution{} },
		"summary without a bucket":    func(j *Job) { j.Summary.Duration.Buckets = nil },
		"summary with empty buckets":  func(j *Job) { j.Summary.Duration.Buckets = []Bucket{{1, 0}, {2, 4}} },
		"summary buckets in disorder": func(j *Job) { j.Summary.Duration.Buckets = []Bucket{{2, 2}, {1, 2}} },
		"summary upside down":         func(j *Job) { j.Summary.Duration.Max = -1 },
		"too many failure times":      func(j *Job) { j.Restart.Failures = make([]checkpoint.Timestamp, 3) },
		"log longer than retained":    func(j *Job) { j.Config.Retain = 1 },
		"discard of a retained one":   func(j *Job) { j.Discards[0].ID = 4 },
		"discard twice":               func(j *Job) { j.Discards[0].ID = 2 },
		"next shape while running":    func(j *Job) { j.Next = &Shape{Topology: scaled(2)} },
		"interrupted while running":   func(j *Job) { j.Interrupted = "rescaled" },
		"parallelism not as asked":    func(j *Job) { j.Parallelism = map[checkpoint.OperatorID]int{"count": 7} },
		"former graph of the present": func(j *Job) { j.Former = []FormerTopology{{Last: j.Attempt, Topology: topology()}} },
		"since when, of too few":      func(j *Job) { j.Since = []checkpoint.Attempt{1, 1} },
		"since the next attempt":      func(j *Job) { j.Since = []checkpoint.Attempt{3, 3, 3} },
		"since no attempt":            func(j *Job) { j.Since = []checkpoint.Attempt{0, 0, 0} },
		"a region in two attempts":    func(j *Job) { j.Since = []checkpoint.Attempt{1, 2, 2} },
		"failed as a whole and runs":  func(j *Job) { j.Global = true },
		"next graph with another max": func(j *Job) {
			j.Counters.Failed += uint64(len(j.Pending))
			j.Status, j.Pending, j.Next = JobRestarting, nil, &Shape{Topology: scaled(2)}
			j.Next.Topology.Vertices[1].MaxParallelism = 64
		},
		"pending out of order":       func(j *Job) { j.Pending[0].ID = 7 },
		"pending beyond the counter": func(j *Job) { j.Pending[1].ID = 8 },
		"pending of an old attempt":  func(j *Job) { j.Pending[0].Attempt = 1 },
		"pending behind a completed": func(j *Job) { j.Pending[0] = Pending{ID: 3, Attempt: 2, Kind: checkpoint.KindCheckpoint} },
		"pending kind unknown":       func(j *Job) { j.Pending[0].Kind = 3 },
		"pending while restarting":   func(j *Job) { j.Status = JobRestarting },
		"counter lost (I1)":          func(j *Job) { j.LastID, j.Pending = 5, nil; j.Counters.Completed-- },
		"counter ahead":              func(j *Job) { j.LastID++ },
		"two outcomes (I2)":          func(j *Job) { j.History[0].ID = 2 },
		"outcome while pending":      func(j *Job) { j.History[0].ID = 6 },
		"outcome unknown":            func(j *Job) { j.History[0].Status = 3 },
		"outcome of the future":      func(j *Job) { j.History[0].ID = 8 },
		"history too long":           func(j *Job) { j.History = make([]Outcome, MaxHistory+1) },
		"failures in a row":          func(j *Job) { j.ConsecutiveFailures = 2 },
	}
	for name, damage := range tests {
		t.Run(name, func(t *testing.T) {
			s := sampleState(t)
			damage(s.Jobs[jobID(1)])
			if got, err := DecodeSnapshot(encoded(t, s)); !errors.Is(err, ErrCorrupt) || got != nil {
				t.Errorf("accepted: %v", err)
			}
		})
	}
	t.Run("a bucket beyond the last", func(t *testing.T) {
		s := sampleState(t)
		s.Jobs[jobID(1)].Summary.Duration.Buckets[0].Index = maxBucket + 1
		if _, err := DecodeSnapshot(encoded(t, s)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("accepted: %v", err)
		}
	})
	t.Run("job twice", func(t *testing.T) {
		s := sampleState(t)
		s.Jobs[jobID(9)] = s.Jobs[jobID(1)]
		if _, err := DecodeSnapshot(encoded(t, s)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("accepted: %v", err)
		}
	})
}

// sampleSource is one that job 1 of sampleState does not have.
func sampleSource(id checkpoint.ID) Source {
	return Source{Job: jobID(9), Checkpoint: id, Kind: checkpoint.KindSavepoint, Manifest: manifest(id), Claim: true}
}

// claimed rewrites job 1 of sampleState as if it had been submitted from savepoint 2, and returns that entry.
func claimed(j *Job) *Completed {
	j.Source, j.FirstID, j.Counters.Completed, j.Discards = sampleSource(2), 2, 2, nil
	j.History, j.Summary = nil, Summary{}
	j.Completed = []Completed{{ID: 2, Kind: checkpoint.KindSavepoint, Manifest: manifest(2)}, j.Completed[1]}
	return &j.Completed[0]
}

// withSavepoints gives savepoints to a job.
func withSavepoints(j *Job, ids ...checkpoint.ID) {
	for _, id := range ids {
		j.Savepoints = append(j.Savepoints, Completed{ID: id, Kind: checkpoint.KindSavepoint, Manifest: manifest(id)})
	}
}

// TestTheDamagedJobsAreSoundOtherwise shows that the table above is refused for what it damages.
func TestTheDamagedJobsAreSoundOtherwise(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"nothing":     func(*Job) {},
		"a claim":     func(j *Job) { claimed(j) },
		"a savepoint": func(j *Job) { withSavepoints(j, 5); j.LastSuccess = 5 },
		"a stop":      func(j *Job) { j.Pending[0].Stop = checkpoint.StopDrain },
		"a summary":   func(j *Job) { j.Summary = Summary{}.with(Outcome{}) },
		"since when":  func(j *Job) { j.Since = []checkpoint.Attempt{1, 1, 1} },
		"failures":    func(j *Job) { j.Restart.Failures = make([]checkpoint.Timestamp, 2) },
	} {
		s := sampleState(t)
		change(s.Jobs[jobID(1)])
		if _, err := DecodeSnapshot(encoded(t, s)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
