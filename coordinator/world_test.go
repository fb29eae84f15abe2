package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// world is a cluster without a network, clocks or disks: the real state machine and the real Decide, with the
// test in the place of Raft, of the nodes and of the store.
type world struct {
	t     testing.TB
	state *fsm.State
	index uint64
	now   time.Time
	view  *View
	term  checkpoint.Term

	nodes     map[checkpoint.NodeID]checkpoint.Hello
	manifests map[checkpoint.ChunkID]checkpoint.Manifest
	sent      []Send // since the last call of run
	commands  []fsm.Command
	writeErr  error // what WriteManifest answers
	holdWrite bool  // WriteManifest does not answer
	sweeps    sweepWorld
	// builds are the graphs that nodes make in the place of the submitted one. asked are the questions for them, which
	// holdPlans leaves without an answer.
	builds    map[checkpoint.NodeID]checkpoint.JobPlanned
	asked     []AskPlan
	holdPlans map[checkpoint.NodeID]bool
	// lost are the chunks of which no living node has a copy, with the nodes that had one; unreadable those that a node
	// has in a bad copy. checks counts how often a leader has looked.
	lost       map[checkpoint.ChunkID][]checkpoint.NodeID
	unreadable map[checkpoint.ChunkID]bool
	checks     int
	slowLoads  time.Duration // that reading a manifest takes which has to be read
	lateLoads  []lateLoad
}

var testJob = checkpoint.JobID{1}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, state: fsm.NewState(), now: time.UnixMilli(1_000_000),
		nodes: make(map[checkpoint.NodeID]checkpoint.Hello), manifests: make(map[checkpoint.ChunkID]checkpoint.Manifest),
	}
	w.elect()
	return w
}

// elect begins a new leadership, which knows nothing but the replicated state.
func (w *world) elect() {
	w.term++
	w.view = NewView(w.term, w.now, DefaultTiming())
	w.refresh()
}

// refresh gives the view the replicated state of the moment.
func (w *world) refresh() {
	w.view.SetJobs(w.state.SortedJobs())
	w.view.Drained = w.state.Drained
}

func (w *world) step(c fsm.Command) fsm.Result {
	w.t.Helper()
	w.index++
	r, err := w.state.Step(w.index, c)
	if err != nil {
		w.t.Fatalf("%T: %v", c, err)
	}
	return r
}

// run decides and executes until nothing is left to do.
func (w *world) run() {
	w.t.Helper()
	w.sent, w.commands = nil, nil
	for range 50 {
		w.refresh()
		actions := Decide(w.view, w.now)
		if len(actions) == 0 {
			return
		}
		for _, a := range actions {
			w.execute(a)
		}
	}
	w.t.Fatalf("Decide does not come to rest; the last sends: %v", w.sent)
}

func (w *world) execute(a Action) {
	w.t.Helper()
	switch a := a.(type) {
	case Propose:
		w.commands = append(w.commands, a.Command)
		r := w.step(a.Command)
		w.refresh()
		w.view.OnProposed(a.Command, r, w.now)
	case Send:
		w.sent = append(w.sent, a)
		w.view.OnSent(a.Node, a.Message)
		w.sweeps.answer(w, a)
	case WriteManifest:
		w.write(a)
	case AdvanceSweep, ListHoldings, ListShared, PlanSweep, ConfirmLeadership:
		w.sweeps.execute(w, a)
	case WriteDetail:
		w.view.OnDetailWriting(a)
		if !w.holdWrite {
			w.view.OnDetailWritten(a.Job, a.Checkpoint, detailAsStored(a.Detail))
		}
	case Refuse:
		w.view.OnRefused(a)
	case AskPlan:
		w.plan(a)
	case LoadManifest:
		w.load(a)
	}
}

// load reads a manifest, unless it is at hand, and looks whether the state is there.
func (w *world) load(a LoadManifest) {
	w.view.OnManifestLoading(a)
	if a.Have == nil && w.slowLoads > 0 {
		w.lateLoads = append(w.lateLoads, lateLoad{w.now.Add(w.slowLoads), a})
		return
	}
	w.endLoad(a)
}

// lateLoad is a manifest that is being read.
type lateLoad struct {
	at time.Time
	a  LoadManifest
}

// endLoads ends what is due.
func (w *world) endLoads() {
	due := w.lateLoads
	w.lateLoads = nil
	for _, l := range due {
		if l.at.After(w.now) {
			w.lateLoads = append(w.lateLoads, l)
		} else {
			w.endLoad(l.a)
		}
	}
}

func (w *world) endLoad(a LoadManifest) {
	m := a.Have
	if m == nil {
		stored, found := w.manifests[a.Manifest.ID]
		if !found {
			w.view.OnManifestLoaded(a.Job, a.Checkpoint, nil, fmt.Errorf("chunk %s: not found", a.Manifest.ID), w.now)
			return
		}
		m = &stored
	}
	var missing []MissingChunk
	if a.Check {
		w.checks++
		for _, ref := range chunksOf(*m) {
			if had, lost := w.lost[ref.ID]; lost {
				missing = append(missing, MissingChunk{LostChunk: LostChunk{Chunk: ref, Had: had}})
			}
		}
		for _, ref := range a.Suspects {
			if w.unreadable[ref.ID] {
				missing = append(missing, MissingChunk{LostChunk: LostChunk{Chunk: ref}, Cause: "node n2: hash mismatch"})
			}
		}
	}
	if len(missing) > 0 {
		w.view.OnManifestLoaded(a.Job, a.Checkpoint, m, &StateMissingError{Missing: missing}, w.now)
		return
	}
	w.view.OnManifestLoaded(a.Job, a.Checkpoint, m, nil, w.now)
}

// plan lets a node answer what graph its build makes: that of the job, unless builds says otherwise.
func (w *world) plan(a AskPlan) {
	w.asked = append(w.asked, a)
	w.view.OnPlanAsked(a, uint64(len(w.asked)), w.now)
	if !w.holdPlans[a.Node] {
		w.answerPlan(len(w.asked))
	}
}

// answerPlan answers a question, counted from 1.
func (w *world) answerPlan(request int) {
	a := w.asked[request-1]
	m, other := w.builds[a.Node]
	if j := w.state.Jobs[a.Job]; !other {
		m = checkpoint.JobPlanned{Topology: a.Topology, Fingerprint: j.Fingerprint}
	}
	m.Request = uint64(request)
	w.view.OnPlanned(a.Node, m)
}

func (w *world) write(a WriteManifest) {
	w.view.OnManifestWriting(a.Manifest)
	if w.holdWrite {
		return
	}
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{byte(a.Manifest.ID), 0xcc}, Size: 1}
	if w.writeErr == nil {
		w.manifests[ref.ID] = a.Manifest
	}
	w.view.OnManifestWritten(a.Manifest.Job, a.Manifest.ID, ref, detailAsStored(a.Detail), w.writeErr)
}

// detailAsStored is what the leader makes of a breakdown.
func detailAsStored(d checkpoint.Detail) fsm.Detail {
	if data := checkpoint.EncodeDetail(d); len(data) <= fsm.MaxInlineDetail {
		return fsm.Detail{Inline: data}
	}
	return fsm.Detail{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xdd}, Size: 1}}
}

func (w *world) advance(d time.Duration) {
	w.now = w.now.Add(d)
	w.endLoads()
	for id, h := range w.nodes {
		if n := w.view.nodes[id]; n != nil && n.connected && n.ref == h.Node {
			w.view.OnHeard(id, w.now)
		}
	}
}

// join lets a node open a session and report what it has.
func (w *world) join(id checkpoint.NodeID, slots int, inc checkpoint.Incarnation, attempts ...checkpoint.AttemptReport) {
	h := checkpoint.Hello{
		Node:  checkpoint.NodeRef{ID: id, Incarnation: inc, Address: "host-" + string(id)},
		Slots: slots, Programs: []string{"test"},
	}
	w.nodes[id] = h
	w.view.OnSession(h, w.now)
	w.view.OnReport(id, checkpoint.Report{Term: w.term, Attempts: attempts}, w.now)
}

func (w *world) leave(id checkpoint.NodeID) { w.view.OnSessionClosed(w.nodes[id].Node, w.now) }

// testTopology is two sources feeding two counters feeding one sink.
func testTopology() checkpoint.Topology {
	vertex := func(id string, p int) checkpoint.Vertex {
		return checkpoint.Vertex{
			ID: checkpoint.VertexID(id), Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: p, MaxParallelism: 128,
		}
	}
	return checkpoint.Topology{
		Vertices: []checkpoint.Vertex{vertex("read", 2), vertex("count", 2), vertex("write", 1)},
		Edges: []checkpoint.Edge{
			{From: 0, To: 1, Partitioning: checkpoint.Hash}, {From: 1, To: 2, Partitioning: checkpoint.Rebalance},
		},
	}
}

func testConfig() checkpoint.Config {
	c := checkpoint.DefaultConfig()
	c.Interval = time.Second
	c.Restart.JitterFactor = 0
	return c
}

// submit adds a job.
func (w *world) submit(config checkpoint.Config) {
	w.t.Helper()
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "job", Program: "test", Topology: testTopology(), Config: config, At: w.at(),
	})
}

func (w *world) at() checkpoint.Timestamp { return checkpoint.Timestamp(w.now.UnixMilli()) }

func (w *world) job() *fsm.Job {
	for _, j := range w.state.SortedJobs() {
		if j.ID == testJob {
			return j
		}
	}
	w.t.Fatal("the job is gone")
	return nil
}

// running returns a world in which the job runs on nodes n1 and n2, before its first checkpoint.
func running(t *testing.T, config checkpoint.Config) *world {
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.submit(config)
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.run()
	if got := w.job().Status; got != fsm.JobRunning {
		t.Fatalf("the job is %s", got)
	}
	return w
}

func (w *world) allStatus(status checkpoint.SubtaskStatus) {
	for _, s := range testTopology().Subtasks() {
		w.status(s, status)
	}
}

func (w *world) nodeOf(s checkpoint.SubtaskID) checkpoint.NodeID {
	j := w.job()
	return j.Assignment.Node(j.Topology.Ordinal(s)).ID
}

func (w *world) status(s checkpoint.SubtaskID, status checkpoint.SubtaskStatus) {
	r := checkpoint.SubtaskReport{Subtask: s, Status: status}
	if status == checkpoint.SubtaskFinished {
		r.Final = checkpoint.SubtaskState{Subtask: s, EndOfData: true}
	}
	w.view.OnStatus(w.nodeOf(s), checkpoint.StatusChange{Job: testJob, Attempt: w.job().Attempt, Report: r})
}

func (w *world) fail(s checkpoint.SubtaskID, f checkpoint.Failure) {
	w.view.OnStatus(w.nodeOf(s), checkpoint.StatusChange{
		Job: testJob, Attempt: w.job().Attempt,
		Report: checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskFailed, Failure: f},
	})
}

// request asks for a checkpoint as a user does.
func (w *world) request(kind checkpoint.Kind, stop checkpoint.Stop) uint64 {
	return w.view.OnRequest(w.job(), kind, stop, w.at())
}

// tick lets the checkpoint interval pass.
func (w *world) tick() {
	w.advance(time.Second)
	w.run()
}

func ackOf(attempt checkpoint.Attempt, id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.Ack {
	return checkpoint.Ack{Job: testJob, Attempt: attempt, Checkpoint: id, State: checkpoint.SubtaskState{
		Subtask: s,
		Handles: []checkpoint.Handle{{Operator: checkpoint.OperatorID(s.Vertex), Kind: checkpoint.ListState, Chunks: []checkpoint.ChunkRef{
			{ID: checkpoint.ChunkID{byte(id), byte(s.Index), s.Vertex[0]}, Size: 10},
		}}},
	}}
}

// ack acknowledges checkpoint id by the given subtasks, or by all of them.
func (w *world) ack(id checkpoint.ID, subtasks ...checkpoint.SubtaskID) {
	if subtasks == nil {
		subtasks = testTopology().Subtasks()
	}
	for _, s := range subtasks {
		w.view.OnAck(w.nodeOf(s), ackOf(w.job().Attempt, id, s), w.now)
	}
	w.run()
}

func (w *world) decline(id checkpoint.ID, s checkpoint.SubtaskID) {
	w.view.OnDecline(w.nodeOf(s), checkpoint.Decline{
		Job: testJob, Attempt: w.job().Attempt, Checkpoint: id, Subtask: s, Reason: checkpoint.ReasonDeclined, Message: "disk full",
	})
	w.run()
}

func sub(vertex string, index int) checkpoint.SubtaskID {
	return checkpoint.SubtaskID{Vertex: checkpoint.VertexID(vertex), Index: index}
}

// sentTo returns the messages of type M since the last run, by node in the order of sending.
func sentTo[M checkpoint.ToNode](w *world) map[checkpoint.NodeID][]M {
	out := make(map[checkpoint.NodeID][]M)
	for _, s := range w.sent {
		if m, ok := s.Message.(M); ok {
			out[s.Node] = append(out[s.Node], m)
		}
	}
	return out
}

func (w *world) pendingIDs() []checkpoint.ID {
	var ids []checkpoint.ID
	for _, p := range w.job().Pending {
		ids = append(ids, p.ID)
	}
	return ids
}

func (w *world) completedIDs() []checkpoint.ID {
	var ids []checkpoint.ID
	for _, c := range w.job().Completed {
		ids = append(ids, c.ID)
	}
	return ids
}

func (w *world) wantPending(ids ...checkpoint.ID) {
	w.t.Helper()
	if got := w.pendingIDs(); !slices.Equal(got, ids) {
		w.t.Fatalf("pending checkpoints %v, want %v", got, ids)
	}
}

func (w *world) wantCompleted(ids ...checkpoint.ID) {
	w.t.Helper()
	if got := w.completedIDs(); !slices.Equal(got, ids) {
		w.t.Fatalf("completed checkpoints %v, want %v", got, ids)
	}
}

func (w *world) lastOutcome() fsm.Outcome {
	w.t.Helper()
	h := w.job().History
	if len(h) == 0 {
		w.t.Fatal("no checkpoint has an outcome")
	}
	return h[len(h)-1]
}
