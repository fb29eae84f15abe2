package fsm

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
)

// script applies commands to a state the way a replica does, through their persisted form, and looks after
// every one that the invariants hold. Each command comes a second after the one before.
type script struct {
	t     testing.TB
	state *State
	at    checkpoint.Timestamp
}

func newScript(t testing.TB) *script { return &script{t: t, state: NewState(), at: 1_700_000_000_000} }

func (s *script) step(c Command) (Result, error) {
	s.t.Helper()
	s.at += 1000
	result, err := s.state.Step(s.state.LastIndex+1, recode(s.t, c))
	if broken := s.state.check(); broken != nil {
		s.t.Fatalf("after %T: %v", c, broken)
	}
	return result, err
}

// must applies a command that is accepted.
func (s *script) must(c Command) Result {
	s.t.Helper()
	result, err := s.step(c)
	if err != nil {
		s.t.Fatalf("%T rejected: %v", c, err)
	}
	return result
}

// rejects applies a command that is rejected for the given reason and changes nothing but LastIndex.
func (s *script) rejects(want error, c Command) {
	s.t.Helper()
	before, index := s.bytes(), s.state.LastIndex
	result, err := s.step(c)
	if !errors.Is(err, want) {
		s.t.Fatalf("%T: got error %v, want %v", c, err, want)
	}
	if result.Checkpoint != 0 || result.Aborted != nil || result.Subsumed != nil {
		s.t.Errorf("%T: a rejection has the result %+v", c, result)
	}
	if s.state.LastIndex != index+1 {
		s.t.Errorf("%T: last index %d, want %d", c, s.state.LastIndex, index+1)
	}
	s.state.LastIndex = index
	if !bytes.Equal(before, s.bytes()) {
		s.t.Errorf("%T: rejected, but it changed the state", c)
	}
	s.state.LastIndex = index + 1
}

func (s *script) bytes() []byte { s.t.Helper(); return encoded(s.t, s.state) }

func (s *script) job(n byte) *Job { return s.state.Jobs[jobID(n)] }

// running submits job n, named "job-n", and starts its first attempt.
func (s *script) running(n byte, change ...func(*checkpoint.Config)) {
	s.t.Helper()
	s.must(s.submit(n, change...))
	s.must(s.start(n, 0))
}

func (s *script) submit(n byte, change ...func(*checkpoint.Config)) SubmitJob {
	config := checkpoint.DefaultConfig()
	for _, f := range change {
		f(&config)
	}
	return SubmitJob{
		Job: jobID(n), Name: fmt.Sprintf("job-%d", n), Program: "wordcount",
		Params: map[string]string{"input": "/data", "rate": "7", "output": "/out"}, Topology: topology(), Config: config, At: s.at,
	}
}

func (s *script) start(n byte, from checkpoint.ID) StartAttempt {
	return StartAttempt{Job: jobID(n), Attempt: s.job(n).Attempt + 1, Assignment: assignment(), RestoreFrom: from, At: s.at}
}

func (s *script) fail(n byte, cause string) FailAttempt {
	return FailAttempt{
		Job: jobID(n), Attempt: s.job(n).Attempt, Cause: cause, Term: 3, At: s.at,
		Restart: Restart{Count: s.job(n).Restart.Count + 1, Delay: 1000, NextAt: s.at + 1000, LastFailureAt: s.at},
	}
}

func (s *script) end(n byte, status JobStatus) EndJob {
	return EndJob{Job: jobID(n), Status: status, Failure: "it broke", Term: 3, At: s.at}
}

func (s *script) cancel(n byte) CancelJob { return CancelJob{Job: jobID(n), Term: 3, At: s.at} }

// begin starts a checkpoint and returns its ID.
func (s *script) begin(n byte, kind checkpoint.Kind) checkpoint.ID {
	s.t.Helper()
	return s.must(BeginCheckpoint{Job: jobID(n), Attempt: s.job(n).Attempt, Kind: kind, Term: 2, At: s.at}).Checkpoint
}

// beginAligned begins a checkpoint at which the attempt may end.
func (s *script) beginAligned(n byte) checkpoint.ID {
	s.t.Helper()
	return s.must(BeginCheckpoint{Job: jobID(n), Attempt: s.job(n).Attempt, Kind: checkpoint.KindCheckpoint, Aligned: true, Term: 3, At: s.at}).Checkpoint
}

// rescale changes the parallelism of count at the newest checkpoint.
func (s *script) rescale(n byte, parallelism int) RescaleJob {
	latest, _ := s.job(n).LatestCompleted()
	return RescaleJob{
		Job: jobID(n), Attempt: s.job(n).Attempt, Checkpoint: latest.ID, Topology: scaled(parallelism),
		Parallelism: map[checkpoint.OperatorID]int{"count": parallelism}, Term: 3, At: s.at,
	}
}

// startScaled starts an attempt with a count of another parallelism, from the newest checkpoint.
func (s *script) startScaled(n byte, parallelism int) StartAttempt {
	latest, _ := s.job(n).LatestCompleted()
	return StartAttempt{Job: jobID(n), Attempt: s.job(n).Attempt + 1, Assignment: assignmentOf(1 + parallelism), RestoreFrom: latest.ID, At: s.at}
}

func (s *script) complete(n byte, id checkpoint.ID) CompleteCheckpoint {
	return CompleteCheckpoint{
		Job: jobID(n), Attempt: s.job(n).Attempt, Checkpoint: id, Manifest: manifestOf(jobID(n), id), Sizes: Sizes{State: 4096},
		NumSubtasks: 3, Term: 3, At: s.at,
	}
}

func (s *script) abort(n byte, id checkpoint.ID, reason checkpoint.Reason) AbortCheckpoint {
	return AbortCheckpoint{
		Job: jobID(n), Attempt: s.job(n).Attempt, Checkpoint: id, Reason: reason, Message: "count[1] on node n2: disk full",
		NumAcknowledged: 2, Term: 3, At: s.at,
	}
}

// savepoint begins and completes a savepoint and returns its ID.
func (s *script) savepoint(n byte) checkpoint.ID {
	s.t.Helper()
	id := s.begin(n, checkpoint.KindSavepoint)
	s.must(s.complete(n, id))
	return id
}

// submitFrom submits job n from a checkpoint or savepoint of job owner.
func (s *script) submitFrom(n, owner byte, kind checkpoint.Kind, id checkpoint.ID, claim bool) SubmitJob {
	c := s.submit(n)
	c.Source = Source{Job: jobID(owner), Checkpoint: id, Kind: kind, Manifest: manifestOf(jobID(owner), id), Claim: claim}
	return c
}

// beginImport begins to import a savepoint of a job that need not be known.
func (s *script) beginImport(owner byte, id checkpoint.ID) BeginImport {
	return BeginImport{
		Job: jobID(owner), JobName: "imported", Checkpoint: id, Manifest: manifestOf(jobID(owner), id),
		TriggeredAt: s.at - 5000, StateSize: 900, NumSubtasks: 3, At: s.at,
	}
}

func (s *script) finishImport(owner byte, id checkpoint.ID) FinishImport {
	return FinishImport{Job: jobID(owner), Checkpoint: id, Manifest: manifestOf(jobID(owner), id), At: s.at}
}

// imported imports such a savepoint.
func (s *script) imported(owner byte, id checkpoint.ID) {
	s.t.Helper()
	s.must(s.beginImport(owner, id))
	s.must(s.finishImport(owner, id))
}

// unregistered is a submission as it could be before imports were registered.
func unregistered(c SubmitJob) SubmitJob { c.Unregistered = true; return c }

// runningFrom submits job n so and starts its first attempt from there.
func (s *script) runningFrom(n, owner byte, kind checkpoint.Kind, id checkpoint.ID, claim bool) {
	s.t.Helper()
	s.must(s.submitFrom(n, owner, kind, id, claim))
	s.must(s.start(n, id))
}

// ended lets job n fail, so that it keeps its checkpoints.
func (s *script) ended(n byte) { s.t.Helper(); s.must(s.end(n, JobFailed)) }

// completed begins and completes n checkpoints in turn.
func (s *script) completed(n byte, times int) {
	s.t.Helper()
	for range times {
		s.must(s.complete(n, s.begin(n, checkpoint.KindCheckpoint)))
	}
}

func jobID(n byte) checkpoint.JobID { return checkpoint.JobID{0xca, 15: n} }

// manifest is that of a checkpoint of job 1.
func manifest(id checkpoint.ID) checkpoint.ChunkRef { return manifestOf(jobID(1), id) }

func manifestOf(job checkpoint.JobID, id checkpoint.ID) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xfe, 29: job[15] - 1, 30: byte(id >> 8), 31: byte(id)}, Size: 700}
}

// topology has three subtasks: read[0], count[0] and count[1].
func topology() checkpoint.Topology {
	return checkpoint.Topology{
		Vertices: []checkpoint.Vertex{
			{ID: "read", Name: "read -> split", Operators: []checkpoint.OperatorID{"read", "split"}, Parallelism: 1, MaxParallelism: 128},
			{ID: "count", Name: "count", Operators: []checkpoint.OperatorID{"count"}, Parallelism: 2, MaxParallelism: 128},
		},
		Edges: []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Hash}},
	}
}

// lanes is topology with subtasks that are connected one by one: read[i] and count[i] are a pipelined region.
func lanes(parallelism int) checkpoint.Topology {
	t := scaled(parallelism)
	t.Vertices[0].Parallelism, t.Edges[0].Partitioning = parallelism, checkpoint.Forward
	return t
}

// runningLanes submits job n with two regions, read[0], count[0] and read[1], count[1], and starts its first attempt:
// region 0 is on node n1, region 1 on n2.
func (s *script) runningLanes(n byte, change ...func(*checkpoint.Config)) {
	s.t.Helper()
	c := s.submit(n, change...)
	c.Topology = lanes(2)
	s.must(c)
	s.must(s.startLanes(n))
}

// startLanes starts the next attempt of a job of two regions, in which the given subtasks go on.
func (s *script) startLanes(n byte, kept ...int) StartAttempt {
	latest, _ := s.job(n).LatestCompleted()
	return StartAttempt{
		Job: jobID(n), Attempt: s.job(n).Attempt + 1, Assignment: assignmentOf(4), Kept: kept, RestoreFrom: latest.ID, At: s.at,
	}
}

// scaled is topology with another parallelism of count.
func scaled(parallelism int) checkpoint.Topology {
	t := topology()
	t.Vertices[1].Parallelism = parallelism
	return t
}

// assignmentOf places subtasks in turn on the nodes of assignment.
func assignmentOf(subtasks int) checkpoint.Assignment {
	a := assignment()
	a.NodeOf = nil
	for i := range subtasks {
		a.NodeOf = append(a.NodeOf, i%len(a.Nodes))
	}
	return a
}

func assignment() checkpoint.Assignment {
	return checkpoint.Assignment{
		Nodes:  []checkpoint.NodeRef{{ID: "n1", Incarnation: 11, Address: "10.0.0.1:7490"}, {ID: "n2", Incarnation: 1 << 63, Address: "10.0.0.2:7490"}},
		NodeOf: []int{0, 0, 1},
	}
}

func recode(t testing.TB, c Command) Command {
	t.Helper()
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatalf("encoding %T: %v", c, err)
	}
	decoded, err := DecodeCommand(b)
	if err != nil {
		t.Fatalf("decoding %T: %v", c, err)
	}
	return decoded
}

func encoded(t testing.TB, s *State) []byte {
	t.Helper()
	b, err := EncodeSnapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func restored(t testing.TB, b []byte) *State {
	t.Helper()
	s, err := DecodeSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func retain(n int) func(*checkpoint.Config) { return func(c *checkpoint.Config) { c.Retain = n } }

func fallback(c *checkpoint.Config) { c.RestoreFallback = true }

// allowFallback lets job n go back to older checkpoints.
func (s *script) allowFallback(n byte) ConfigureJob {
	config := s.job(n).Config
	config.RestoreFallback = true
	return ConfigureJob{Job: jobID(n), Config: config, At: s.at}
}

// giveUp gives up the newest checkpoint of job n.
func (s *script) giveUp(n byte) GiveUpCheckpoint {
	latest, _ := s.job(n).LatestCompleted()
	return GiveUpCheckpoint{Job: jobID(n), Checkpoint: latest.ID, Cause: "a chunk was on n3 only", Term: 3, At: s.at}
}

func tolerate(n int) func(*checkpoint.Config) {
	return func(c *checkpoint.Config) { c.TolerableFailures = n }
}

func concurrent(n int) func(*checkpoint.Config) {
	return func(c *checkpoint.Config) { c.MaxConcurrent = n; c.Interval = time.Second }
}

func completedIDs(j *Job) []checkpoint.ID {
	return each(j.Completed, func(c Completed) checkpoint.ID { return c.ID })
}

func pendingIDs(j *Job) []checkpoint.ID {
	return each(j.Pending, func(p Pending) checkpoint.ID { return p.ID })
}

func savepointIDs(j *Job) []checkpoint.ID {
	return each(j.Savepoints, func(c Completed) checkpoint.ID { return c.ID })
}

func discardIDs(j *Job) []checkpoint.ID {
	return each(j.Discards, func(d Discard) checkpoint.ID { return d.ID })
}
