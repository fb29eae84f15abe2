package fsm

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"cairn/checkpoint"
)

// commandOf draws a command that is about right for the state: mostly acceptable, often stale, repeated or
// out of place, as commands are that several leaders propose.
func commandOf(t *rapid.T, s *State, at checkpoint.Timestamp) Command {
	n := rapid.ByteRange(1, 4).Draw(t, "job")
	id := jobID(n)
	j := s.Jobs[id]
	if j == nil {
		j = &Job{ID: id}
	}
	term := checkpoint.Term(rapid.Uint64Range(1, 3).Draw(t, "term"))
	attempt := j.Attempt + checkpoint.Attempt(rapid.SampledFrom([]uint32{0, 0, 0, 0, 0, 1, ^uint32(0)}).Draw(t, "attempt"))
	one := checkpoint.ID(rapid.Uint64Range(uint64(j.LastID)-min(6, uint64(j.LastID)), uint64(j.LastID)+1).Draw(t, "checkpoint"))
	if len(j.Pending) > 0 && rapid.IntRange(0, 3).Draw(t, "aim") > 0 {
		one = rapid.SampledFrom(pendingIDs(j)).Draw(t, "pending")
	}
	switch rapid.SampledFrom([]string{
		"submit", "submit", "start", "start", "start", "fail", "cancel", "end", "begin", "begin", "begin", "begin", "complete",
		"complete", "complete", "complete", "abort", "abort", "finish", "finish", "configure", "dispose",
		"rescale", "rescale", "move", "drain", "import", "import", "imported", "imported", "give up",
	}).Draw(t, "command") {
	case "submit":
		c := checkpoint.DefaultConfig()
		c.Retain = rapid.IntRange(0, 3).Draw(t, "retain")
		c.RetainOnCancel = rapid.Bool().Draw(t, "retain on cancel")
		c.TolerableFailures = rapid.IntRange(0, 2).Draw(t, "tolerate")
		c.RestoreFallback = rapid.IntRange(0, 3).Draw(t, "fallback") > 0
		return SubmitJob{
			Job: id, Name: rapid.SampledFrom([]string{"a", "b", "c", "d", ""}).Draw(t, "name"), Program: "p", Topology: graphOf(n), Config: c, At: at,
			Source: sourceOf(t, s), Unregistered: rapid.IntRange(0, 3).Draw(t, "unregistered") == 0,
			Params: rapid.MapOfN(rapid.String(), rapid.String(), 0, 5).Draw(t, "params"),
		}
	case "start":
		from := j.Source.Checkpoint
		if known := append(completedIDs(j), savepointIDs(j)...); len(known) > 0 {
			from = rapid.SampledFrom(known).Draw(t, "from")
		}
		assigned := assignment()
		if subtasks := j.NextShape().Topology.NumSubtasks(); subtasks != len(assigned.NodeOf) {
			assigned = assignmentOf(subtasks)
		}
		if rapid.IntRange(0, 3).Draw(t, "other process") == 0 {
			assigned.Nodes = slices.Clone(assigned.Nodes)
			assigned.Nodes[0].Incarnation++
		}
		return StartAttempt{Job: id, Attempt: attempt + 1, Assignment: assigned, Kept: keptOf(t, j), RestoreFrom: from, At: at}
	case "fail":
		restart := Restart{Count: j.Restart.Count + 1, SinceReset: 1, Failures: append(slices.Clone(j.Restart.Failures), at)}
		return FailAttempt{Job: id, Attempt: attempt, Cause: "lost", Global: rapid.IntRange(0, 7).Draw(t, "global") == 0, Restart: restart, Term: term, At: at}
	case "cancel":
		return CancelJob{Job: id, Term: term, At: at}
	case "end":
		status := JobStatus(rapid.ByteRange(uint8(JobCancelling), uint8(JobCanceled)).Draw(t, "status"))
		return EndJob{Job: id, Status: status, Failure: "x", Term: term, At: at}
	case "begin":
		kind := rapid.SampledFrom([]checkpoint.Kind{1, 1, 1, 2, 3}).Draw(t, "kind")
		stop := checkpoint.Stop(0)
		if kind != checkpoint.KindCheckpoint {
			stop = checkpoint.Stop(rapid.ByteRange(0, 3).Draw(t, "stop"))
		}
		return BeginCheckpoint{
			Job: id, Attempt: attempt, Kind: kind, Stop: stop, Manual: rapid.Bool().Draw(t, "manual"),
			Aligned: rapid.IntRange(0, 3).Draw(t, "aligned") > 0, Term: term, At: at,
		}
	case "complete":
		return CompleteCheckpoint{
			Job: id, Attempt: attempt, Checkpoint: one, Manifest: manifestOf(id, one), NumSubtasks: 3, Term: term, At: at,
			Sizes: Sizes{State: rapid.Int64Range(-1, 1<<40).Draw(t, "size")}, Detail: detailOf(t),
		}
	case "abort":
		reason := checkpoint.Reason(rapid.ByteRange(0, 13).Draw(t, "reason"))
		return AbortCheckpoint{Job: id, Attempt: attempt, Checkpoint: one, Reason: reason, Message: "m", Detail: detailOf(t), Term: term, At: at}
	case "configure":
		c := j.Config
		c.Retain = rapid.IntRange(0, 3).Draw(t, "retain")
		return ConfigureJob{Job: id, Config: c, At: at}
	case "import":
		i := importOf(t, s)
		return BeginImport{
			Job: i.Job, JobName: "x", Checkpoint: i.Checkpoint, Manifest: i.Manifest, StateSize: rapid.Int64Range(-1, 9).Draw(t, "size"), At: at,
		}
	case "imported":
		i := importOf(t, s)
		return FinishImport{Job: i.Job, Checkpoint: i.Checkpoint, Manifest: i.Manifest, At: at}
	case "dispose":
		if rapid.Bool().Draw(t, "an import") {
			i := importOf(t, s)
			return DisposeSavepoint{Job: i.Job, Savepoint: i.Checkpoint, At: at}
		}
		if len(j.Savepoints) > 0 {
			one = rapid.SampledFrom(savepointIDs(j)).Draw(t, "savepoint")
		}
		return DisposeSavepoint{Job: id, Savepoint: one, At: at}
	case "rescale", "move":
		if latest, ok := j.LatestCompleted(); ok {
			one = latest.ID
		}
		to := rapid.IntRange(1, 4).Draw(t, "parallelism")
		if to == 4 {
			return MoveJob{Job: id, Attempt: attempt, Checkpoint: one, Cause: "drained", Term: term, At: at}
		}
		return RescaleJob{
			Job: id, Attempt: attempt, Checkpoint: one, Topology: scaled(to), Parallelism: map[checkpoint.OperatorID]int{"count": to},
			Term: term, At: at,
		}
	case "give up":
		if latest, ok := j.LatestCompleted(); ok {
			one = latest.ID
		}
		return GiveUpCheckpoint{Job: id, Checkpoint: one, Cause: "lost", Term: term, At: at}
	case "drain":
		node := rapid.SampledFrom([]checkpoint.NodeID{"n1", "n2", "n3", ""}).Draw(t, "node")
		if rapid.Bool().Draw(t, "undrain") {
			return UndrainNode{Node: node}
		}
		return DrainNode{Node: node, At: at}
	}
	return FinishDiscards{Job: id, Checkpoints: append(discardIDs(j), one, 1)}
}

// graphOf is topology, one pipelined region, for most jobs, and one of two regions for job 4.
func graphOf(n byte) checkpoint.Topology {
	if n == 4 {
		return lanes(2)
	}
	return topology()
}

// keptOf draws subtasks that are to go on: nearly always whole regions, where there is more than one.
func keptOf(t *rapid.T, j *Job) []int {
	var kept []int
	regions := j.Topology.Regions()
	which := rapid.SliceOfN(rapid.Bool(), len(regions)+1, len(regions)+1).Draw(t, "kept")
	whole := rapid.IntRange(0, 7).Draw(t, "whole regions") > 0
	for ordinal, region := range regions {
		if whole && len(regions) > 3 && which[region] || !whole && which[ordinal] {
			kept = append(kept, ordinal)
		}
	}
	return kept
}

// importOf draws what may be imported: savepoints of jobs that are not known, and of those that are, kept and given up,
// with their content or with another.
func importOf(t *rapid.T, s *State) Import {
	var all []Import
	for _, owner := range []byte{98, 99} {
		for id := checkpoint.ID(1); id <= 2; id++ {
			all = append(all, Import{Job: jobID(owner), Checkpoint: id, Manifest: manifestOf(jobID(owner), id)})
		}
	}
	all = append(all, Import{Job: jobID(99), Checkpoint: 1, Manifest: manifestOf(jobID(98), 2)})
	for _, j := range s.SortedJobs() {
		for _, c := range slices.Concat(j.Completed, j.Savepoints) {
			all = append(all, Import{Job: j.ID, Checkpoint: c.ID, Manifest: c.Manifest})
		}
		for _, d := range j.Discards {
			all = append(all, Import{Job: j.ID, Checkpoint: d.ID, Manifest: d.Manifest})
		}
	}
	all = append(all, s.Imports...)
	return rapid.SampledFrom(all).Draw(t, "import")
}

// sourceOf draws nothing, an imported savepoint, or a checkpoint or savepoint of a job that is known.
func sourceOf(t *rapid.T, s *State) Source {
	jobs := s.SortedJobs()
	imported := Source{Job: jobID(99), Checkpoint: 2, Kind: checkpoint.KindSavepoint, Manifest: manifestOf(jobID(99), 2)}
	sources := []Source{{}, {}, imported}
	for _, i := range s.Imports {
		sources = append(sources, Source{Job: i.Job, Checkpoint: i.Checkpoint, Kind: checkpoint.KindSavepoint, Manifest: i.Manifest})
	}
	for _, j := range jobs {
		for _, c := range j.Completed {
			sources = append(sources, Source{Job: j.ID, Checkpoint: c.ID, Kind: checkpoint.KindCheckpoint, Manifest: c.Manifest})
		}
		for _, c := range j.Savepoints {
			sources = append(sources, Source{Job: j.ID, Checkpoint: c.ID, Kind: checkpoint.KindSavepoint, Manifest: c.Manifest})
		}
	}
	source := rapid.SampledFrom(sources).Draw(t, "source")
	source.Claim = !source.IsZero() && rapid.Bool().Draw(t, "claim")
	return source
}

func detailOf(t *rapid.T) Detail {
	return rapid.SampledFrom([]Detail{{}, {}, {Inline: []byte{1}}, {Chunk: detailChunk(1)}, {Inline: make([]byte, MaxInlineDetail+1)}}).Draw(t, "detail")
}

type checkpointName struct {
	job checkpoint.JobID
	id  checkpoint.ID
}

// ledger is what an observer of the results alone knows: it shares nothing with the state.
type ledger struct {
	first    map[checkpoint.JobID]checkpoint.ID
	last     map[checkpoint.JobID]checkpoint.ID
	outcomes map[checkpoint.JobID]map[checkpoint.ID]string
	// checkpoints are those that began and are no savepoints.
	checkpoints map[checkpointName]bool
	needs       map[checkpoint.JobID]checkpoint.ChunkID // sources that nobody claimed, of jobs that have nothing else
	executions  map[checkpoint.JobID][]execution        // by ordinal
}

// execution is a subtask from its deployment to its end.
type execution struct {
	attempt checkpoint.Attempt
	node    checkpoint.NodeRef
}

// started notes which executions an accepted attempt has, and fails the test when one goes on that may not, or where it
// is not.
func (l *ledger) started(t *rapid.T, c StartAttempt, before, after *Job) {
	regions := before.Topology.Regions()
	goesOn := make(map[int]bool)
	for _, ordinal := range c.Kept {
		goesOn[ordinal] = true
	}
	executions := make([]execution, len(c.Assignment.NodeOf))
	for ordinal := range executions {
		executions[ordinal] = execution{c.Attempt, c.Assignment.Node(ordinal)}
		if !goesOn[ordinal] {
			continue
		}
		executions[ordinal] = l.executions[c.Job][ordinal]
		if executions[ordinal].node != c.Assignment.Node(ordinal) {
			t.Fatalf("%+v: subtask %d goes on, and is moved from %+v", c, ordinal, executions[ordinal])
		}
		for other, region := range regions {
			if region == regions[ordinal] && !goesOn[other] {
				t.Fatalf("%+v: subtask %d goes on without %d, with which it exchanges records", c, ordinal, other)
			}
		}
	}
	if len(goesOn) > 0 && (before.Global || before.Interrupted != "" || before.Status != JobRestarting) {
		t.Fatalf("%+v: subtasks of job %+v go on", c, before)
	}
	for ordinal, x := range executions {
		if got := after.DeployedIn(ordinal); got != x.attempt {
			t.Fatalf("%+v: subtask %d was deployed in attempt %d, not %d", c, ordinal, x.attempt, got)
		}
	}
	l.executions[c.Job] = executions
}

func newLedger() *ledger {
	return &ledger{
		first: make(map[checkpoint.JobID]checkpoint.ID), last: make(map[checkpoint.JobID]checkpoint.ID),
		outcomes:    make(map[checkpoint.JobID]map[checkpoint.ID]string),
		checkpoints: make(map[checkpointName]bool), needs: make(map[checkpoint.JobID]checkpoint.ChunkID),
		executions: make(map[checkpoint.JobID][]execution),
	}
}

// record takes in an accepted command. It fails the test when an ID does not increase (I1), has a second
// outcome (I2), or gets an outcome without having begun.
func (l *ledger) record(t *rapid.T, c Command, r Result) {
	decided := func(job checkpoint.JobID, id checkpoint.ID, how string) {
		if before, twice := l.outcomes[job][id]; twice || id == 0 || id > l.last[job] {
			t.Fatalf("I2: checkpoint %d of %s is %s; before, it was %q; the last ID is %d", id, job, how, before, l.last[job])
		}
		if l.outcomes[job] == nil {
			l.outcomes[job] = make(map[checkpoint.ID]string)
		}
		l.outcomes[job][id] = how
	}
	var job checkpoint.JobID
	switch c := c.(type) {
	case SubmitJob:
		l.first[c.Job], l.last[c.Job] = c.Source.Checkpoint, c.Source.Checkpoint
		if !c.Source.IsZero() && !c.Source.Claim {
			l.needs[c.Job] = c.Source.Manifest.ID
		}
	case BeginCheckpoint:
		if r.Checkpoint <= l.last[c.Job] {
			t.Fatalf("I1: checkpoint %d of %s begins after %d", r.Checkpoint, c.Job, l.last[c.Job])
		}
		l.last[c.Job] = r.Checkpoint
		if c.Kind == checkpoint.KindCheckpoint {
			l.checkpoints[checkpointName{c.Job, r.Checkpoint}] = true
		}
	case CompleteCheckpoint:
		job = c.Job
		decided(job, c.Checkpoint, "completed")
		if l.checkpoints[checkpointName{c.Job, c.Checkpoint}] {
			delete(l.needs, c.Job)
		}
	case AbortCheckpoint:
		job = c.Job
	case FailAttempt:
		job = c.Job
	case RescaleJob:
		job = c.Job
	case MoveJob:
		job = c.Job
	case CancelJob:
		job = c.Job
	case EndJob:
		job = c.Job
		delete(l.needs, c.Job)
	}
	for _, id := range r.Aborted {
		decided(job, id, "aborted")
	}
}

// agrees compares what the state says of its checkpoints with the ledger.
func (l *ledger) agrees(t *rapid.T, s *State) {
	for _, j := range s.SortedJobs() {
		for _, o := range j.History {
			want := map[OutcomeStatus]string{OutcomeCompleted: "completed", OutcomeFailed: "aborted"}[o.Status]
			if got := l.outcomes[j.ID][o.ID]; got != want {
				t.Fatalf("checkpoint %d of %s: history says %s, its result said %q", o.ID, j.ID, want, got)
			}
		}
		for _, c := range slices.Concat(j.Completed, j.Savepoints) {
			claimed := j.Source.Claim && c.ID == j.Source.Checkpoint
			if !claimed && l.outcomes[j.ID][c.ID] != "completed" {
				t.Fatalf("checkpoint %d of %s is kept but never completed", c.ID, j.ID)
			}
		}
		if uint64(len(l.outcomes[j.ID])+len(j.Pending)) != uint64(l.last[j.ID]-l.first[j.ID]) {
			t.Fatalf("job %s: IDs from %d to %d, %d outcomes, %d pending", j.ID, l.first[j.ID], l.last[j.ID], len(l.outcomes[j.ID]), len(j.Pending))
		}
	}
}

// named returns every manifest that was imported, or that the jobs keep or have yet to discard.
func named(s *State) map[checkpoint.ChunkID]bool {
	all := make(map[checkpoint.ChunkID]bool)
	for _, j := range s.Jobs {
		for _, c := range slices.Concat(j.Completed, j.Savepoints) {
			all[c.Manifest.ID] = true
		}
		for _, d := range j.Discards {
			all[d.Manifest.ID] = true
		}
	}
	for _, i := range s.Imports {
		all[i.Manifest.ID] = true
	}
	return all
}

// keeps fails the test when a command lost a checkpoint whose chunks nobody has deleted, or when what may be deleted is
// needed by somebody (I5).
func (l *ledger) keeps(t *rapid.T, c Command, before, after *State) {
	still := named(after)
	finish, finishes := c.(FinishDiscards)
	free := before.Discardable(finish.Job)
	for manifest := range named(before) {
		deleted := finishes && slices.ContainsFunc(free, func(d Discard) bool { return d.Manifest.ID == manifest }) ||
			disposesOf(c, before, manifest)
		if !still[manifest] && !deleted {
			t.Fatalf("I5: after %+v nobody names the manifest %s", c, manifest)
		}
	}
	live := make(map[checkpoint.ChunkID]bool)
	for _, m := range after.Live().Manifests {
		live[m.ID] = true
	}
	for job, manifest := range l.needs {
		if !live[manifest] {
			t.Fatalf("I5: after %+v a sweep would take the manifest %s, which job %s needs", c, manifest, job)
		}
	}
	for _, i := range after.Imports {
		if !live[i.Manifest.ID] {
			t.Fatalf("I5: after %+v a sweep would take savepoint %d of %s, which was imported", c, i.Checkpoint, i.Job)
		}
	}
	for _, j := range after.SortedJobs() {
		for _, d := range after.Discardable(j.ID) {
			if live[d.Manifest.ID] && !slices.ContainsFunc(after.Imports, func(i Import) bool { return i.Manifest.ID == d.Manifest.ID }) &&
				!keptElsewhere(after, j, d) {
				t.Fatalf("I5: after %+v discard %d of %s is alive", c, d.ID, j.ID)
			}
		}
		for _, e := range slices.Concat(j.Completed, j.Savepoints) {
			if !live[e.Manifest.ID] {
				t.Fatalf("I5: after %+v a sweep would take %s %d of %s", c, e.Kind, e.ID, j.ID)
			}
		}
	}
}

// disposesOf reports whether a command gives up an imported savepoint that nobody depends on.
func disposesOf(c Command, before *State, manifest checkpoint.ChunkID) bool {
	dispose, is := c.(DisposeSavepoint)
	i, ok := before.ImportByID(dispose.Job, dispose.Savepoint)
	return is && ok && i.Manifest.ID == manifest && len(HoldsOf(before.SortedJobs())[manifest]) == 0
}

// keptElsewhere reports whether what a job has discarded was imported meanwhile and claimed by another job.
func keptElsewhere(s *State, owner *Job, d Discard) bool {
	return slices.ContainsFunc(s.SortedJobs(), func(j *Job) bool { return j != owner && j.keeps(d.Manifest.ID) })
}

// holding is a published job and what it looked like then.
type holding struct {
	job  *Job
	then []byte
}

func jobBytes(t testing.TB, j *Job) []byte {
	t.Helper()
	b, err := deterministic.Marshal(jobToPB(j))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRandomLogs applies random logs, with snapshots restored in between, and asserts I1, I2, I5, I10, the
// invariants of check, and that a held *Job never changes.
func TestRandomLogs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		straight, detoured := NewState(), NewState()
		books := newLedger()
		var held []holding
		index := uint64(0)
		steps := rapid.IntRange(1, 120).Draw(rt, "steps")
		for range steps {
			index += rapid.Uint64Range(1, 3).Draw(rt, "gap")
			c := commandOf(rt, straight, checkpoint.Timestamp(index*100))
			if rapid.IntRange(0, 15).Draw(rt, "snapshot") == 0 {
				detoured = restored(t, encoded(t, detoured))
			}
			before, then := encoded(t, detoured), straight.Clone()
			result, err := straight.Step(index, c)
			other, otherErr := detoured.Step(index, recode(t, c))
			if (err == nil) != (otherErr == nil) || result.Checkpoint != other.Checkpoint {
				rt.Fatalf("I10: %+v: %+v, %v and %+v, %v", c, result, err, other, otherErr)
			}
			if err == nil {
				books.record(rt, c, result)
				if start, is := c.(StartAttempt); is {
					books.started(rt, start, then.Jobs[start.Job], straight.Jobs[start.Job])
				}
			} else if unchanged := detoured.Clone(); !sameButIndex(t, unchanged, before) {
				rt.Fatalf("%T was rejected (%v) and changed the state", c, err)
			}
			if broken := straight.check(); broken != nil {
				rt.Fatalf("after %+v: %v", c, broken)
			}
			books.agrees(rt, straight)
			books.keeps(rt, c, then, straight)
			for _, j := range straight.SortedJobs() {
				if len(held) == 0 || held[len(held)-1].job != j {
					held = append(held, holding{job: j, then: jobBytes(t, j)})
				}
			}
		}
		if !bytes.Equal(encoded(t, straight), encoded(t, detoured)) {
			rt.Fatal("I10: the same log gave other bytes after a snapshot was restored")
		}
		for _, h := range held {
			if !bytes.Equal(h.then, jobBytes(t, h.job)) {
				rt.Fatalf("a published job %s was changed", h.job.ID)
			}
		}
	})
}

// sameButIndex compares a state with an encoded one, the last index apart.
func sameButIndex(t testing.TB, s *State, before []byte) bool {
	t.Helper()
	s.LastIndex = restored(t, before).LastIndex
	return bytes.Equal(encoded(t, s), before)
}

// TestI10_EncodingDoesNotDependOnMapOrder encodes states that differ in nothing but the order in which
// their maps were filled.
func TestI10_EncodingDoesNotDependOnMapOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		params := rapid.MapOfN(rapid.String(), rapid.String(), 0, 20).Draw(rt, "params")
		s := newScript(t)
		for n := byte(1); n <= 8; n++ {
			c := s.submit(n)
			c.Params, c.At = params, 5
			s.must(c)
		}
		want := s.bytes()
		for range 5 {
			if !bytes.Equal(want, encoded(t, s.state.Clone())) || !bytes.Equal(want, encoded(t, restored(t, want))) {
				rt.Fatal("equal states gave other bytes")
			}
		}
	})
}

func TestCommandsRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := &State{Jobs: map[checkpoint.JobID]*Job{jobID(1): {
			ID: jobID(1), Attempt: 7, LastID: 12, Pending: []Pending{{ID: 12}}, Completed: []Completed{{ID: 9}, {ID: 11}},
		}}}
		c := commandOf(rt, s, checkpoint.Timestamp(rapid.Int64().Draw(rt, "at")))
		want, err := commandToPB(c)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := commandToPB(recode(t, c))
		if err != nil {
			rt.Fatal(err)
		}
		if !proto.Equal(want, got) {
			rt.Fatalf("%+v came back as %v", c, got)
		}
	})
}
