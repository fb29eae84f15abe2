package coordinator

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// fencedMessage is a kind of message from a node, in every way that must not change what the leader knows.
type fencedMessage struct {
	kind  string
	world func(*testing.T) *world
	// fresh would change something, if it has any content: else the test would prove nothing.
	fresh checkpoint.FromNode
	stale map[string]fromNode
}

type fromNode struct {
	node    checkpoint.NodeID
	message checkpoint.FromNode
}

var unknownJob = checkpoint.JobID{99}

// fencedMessages holds one message of every kind. In fencedWorld attempt 2 runs; checkpoint 1 has completed, 2 failed
// with attempt 1, 3 was declined and 4 is pending. Node n1 has read[0], n2 has read[1], n3 has nothing.
func fencedMessages() []fencedMessage {
	status := func(job checkpoint.JobID, attempt checkpoint.Attempt, s checkpoint.SubtaskID) checkpoint.FromNode {
		return checkpoint.StatusChange{Job: job, Attempt: attempt, Report: checkpoint.SubtaskReport{
			Subtask: s, Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{Message: "division by zero"},
		}}
	}
	ack := func(job checkpoint.JobID, attempt checkpoint.Attempt, id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.FromNode {
		a := ackOf(attempt, id, s)
		a.Job = job
		return checkpoint.AckBatch{Acks: []checkpoint.Ack{a}}
	}
	decline := func(job checkpoint.JobID, attempt checkpoint.Attempt, id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.FromNode {
		return checkpoint.Decline{Job: job, Attempt: attempt, Checkpoint: id, Subtask: s, Reason: checkpoint.ReasonAsyncException}
	}
	progress := func(job checkpoint.JobID, attempt checkpoint.Attempt, id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.FromNode {
		return checkpoint.Progress{Job: job, Attempt: attempt, Checkpoint: id, Subtasks: []checkpoint.SubtaskProgress{
			{Subtask: s, Phase: checkpoint.PhaseUpload},
		}}
	}
	metrics := func(job checkpoint.JobID, attempt checkpoint.Attempt, _ checkpoint.ID, s checkpoint.SubtaskID) checkpoint.FromNode {
		return checkpoint.TaskMetrics{Job: job, Attempt: attempt, Subtasks: []checkpoint.SubtaskMetrics{{Subtask: s, RecordsIn: 1}}}
	}
	marking, deleting, copying := uint64(1)<<32+1, uint64(1)<<32+1, uint64(1)<<32+1
	theirs := []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{0x77}, Size: 7}}
	return []fencedMessage{
		{kind: "StatusChange", world: fencedWorld, fresh: status(testJob, 2, sub("read", 0)), stale: staleTasks(
			func(job checkpoint.JobID, attempt checkpoint.Attempt, _ checkpoint.ID, s checkpoint.SubtaskID) checkpoint.FromNode {
				return status(job, attempt, s)
			}, false)},
		{kind: "AckBatch", world: fencedWorld, fresh: ack(testJob, 2, 4, sub("read", 0)), stale: staleTasks(ack, true)},
		{kind: "Decline", world: fencedWorld, fresh: decline(testJob, 2, 4, sub("read", 0)), stale: staleTasks(decline, true)},
		{kind: "Progress", world: fencedWorld, fresh: progress(testJob, 2, 4, sub("read", 0)), stale: staleTasks(progress, true)},
		{kind: "TaskMetrics", world: fencedWorld, fresh: metrics(testJob, 2, 0, sub("read", 0)), stale: staleTasks(metrics, false)},
		{kind: "Report", world: fencedWorld, fresh: checkpoint.Report{Term: 1}, stale: map[string]fromNode{
			"that answers an older leader": {"n1", checkpoint.Report{Term: 0}},
			"that answers a newer leader":  {"n1", checkpoint.Report{Term: 2}},
		}},
		{kind: "JobPlanned", world: fencedWorld, fresh: checkpoint.JobPlanned{Request: 1, Error: "no such path"}, stale: map[string]fromNode{
			"of a request that nobody made":  {"n1", checkpoint.JobPlanned{Request: 7, Error: "no such path"}},
			"of a request that was answered": {"n1", checkpoint.JobPlanned{Request: 2, Error: "no such path"}},
			"of a request to another node":   {"n2", checkpoint.JobPlanned{Request: 1, Error: "no such path"}},
		}},
		{kind: "ChunksMarked", world: markingWorld, fresh: checkpoint.ChunksMarked{Sweep: marking}, stale: map[string]fromNode{
			"of an older sweep":                {"n1", checkpoint.ChunksMarked{Sweep: marking - 1}},
			"of the sweep of another leader":   {"n1", checkpoint.ChunksMarked{Sweep: marking + 1<<32}},
			"from a node outside of the sweep": {"n9", checkpoint.ChunksMarked{Sweep: marking}},
		}},
		{kind: "ChunksDeleted", world: deletingWorld, fresh: checkpoint.ChunksDeleted{Sweep: deleting}, stale: map[string]fromNode{
			"of an older sweep":              {"n1", checkpoint.ChunksDeleted{Sweep: deleting - 1}},
			"of the sweep of another leader": {"n1", checkpoint.ChunksDeleted{Sweep: deleting + 1<<32}},
			"from a node that has answered":  {"n2", checkpoint.ChunksDeleted{Sweep: deleting}},
		}},
		{kind: "Inventory", world: fencedWorld, fresh: checkpoint.Inventory{First: true, Chunks: theirs}, stale: map[string]fromNode{
			"of a list that has not begun":        {"n2", checkpoint.Inventory{Chunks: theirs}},
			"that ends a list that has not begun": {"n2", checkpoint.Inventory{Last: true}},
			"of a list that others asked for":     {"n1", checkpoint.Inventory{Request: 7, First: true, Last: true}},
			"from a node that nobody knows":       {"n9", checkpoint.Inventory{First: true, Chunks: theirs}},
		}},
		{kind: "InventoryChange", world: fencedWorld, fresh: checkpoint.InventoryChange{Added: theirs}, stale: map[string]fromNode{
			"in front of the list":             {"n2", checkpoint.InventoryChange{Added: theirs}},
			"in front of the list, of corrupt": {"n2", checkpoint.InventoryChange{Corrupt: []checkpoint.ChunkID{theirs[0].ID}}},
			"from another process of the node": {"restarted n1", checkpoint.InventoryChange{Added: theirs}},
			"from a node that nobody knows":    {"n9", checkpoint.InventoryChange{Added: theirs}},
		}},
		{kind: "StoreReport", world: fencedWorld, fresh: checkpoint.StoreReport{Chunks: 1}, stale: map[string]fromNode{
			"from a node that nobody knows": {"n9", checkpoint.StoreReport{Chunks: 1}},
		}},
		{kind: "LocateChunks", world: fencedWorld, fresh: checkpoint.LocateChunks{Request: 1}, stale: map[string]fromNode{
			"from a node that nobody knows": {"n9", checkpoint.LocateChunks{Request: 1}},
		}},
		{kind: "ChunksCopied", world: fencedWorld, fresh: checkpoint.ChunksCopied{Order: copying, Copied: []checkpoint.ChunkID{theirs[0].ID}}, stale: map[string]fromNode{
			"of an older order":                {"n1", checkpoint.ChunksCopied{Order: copying - 1, Copied: []checkpoint.ChunkID{theirs[0].ID}}},
			"of the order of another leader":   {"n1", checkpoint.ChunksCopied{Order: copying + 1<<32, Copied: []checkpoint.ChunkID{theirs[0].ID}}},
			"of an order to another node":      {"n2", checkpoint.ChunksCopied{Order: copying, Copied: []checkpoint.ChunkID{theirs[0].ID}}},
			"from another process of the node": {"restarted n1", checkpoint.ChunksCopied{Order: copying, Copied: []checkpoint.ChunkID{theirs[0].ID}}},
			"from a node that nobody knows":    {"n9", checkpoint.ChunksCopied{Order: copying}},
		}},
		{kind: "Heartbeat", world: fencedWorld, stale: map[string]fromNode{"at any time": {"n1", checkpoint.Heartbeat{}}}},
		{kind: "Hello", world: fencedWorld, stale: map[string]fromNode{"amid a session": {"n1", checkpoint.Hello{}}}},
	}
}

// staleTasks are the ways in which a message about a subtask is not about the present.
func staleTasks(m func(checkpoint.JobID, checkpoint.Attempt, checkpoint.ID, checkpoint.SubtaskID) checkpoint.FromNode, ofCheckpoint bool) map[string]fromNode {
	read := sub("read", 0)
	stale := map[string]fromNode{
		"of an older attempt":              {"n1", m(testJob, 1, 4, read)},
		"of an attempt that is not yet":    {"n1", m(testJob, 3, 4, read)},
		"of an unknown job":                {"n1", m(unknownJob, 2, 4, read)},
		"of an unknown subtask":            {"n1", m(testJob, 2, 4, sub("read", 2))},
		"of a subtask on another node":     {"n2", m(testJob, 2, 4, read)},
		"from a node without subtasks":     {"n3", m(testJob, 2, 4, read)},
		"from a node that nobody knows":    {"n9", m(testJob, 2, 4, read)},
		"from another process of the node": {"restarted n1", m(testJob, 2, 4, read)},
	}
	if ofCheckpoint {
		stale["of a completed checkpoint"] = fromNode{"n1", m(testJob, 2, 1, read)}
		stale["of one that failed with its attempt"] = fromNode{"n1", m(testJob, 2, 2, read)}
		stale["of a declined checkpoint"] = fromNode{"n1", m(testJob, 2, 3, read)}
		stale["of a checkpoint that is not yet"] = fromNode{"n1", m(testJob, 2, 5, read)}
	}
	return stale
}

func TestI6_EveryMessageFromNodesIsInTheFencingTest(t *testing.T) {
	files, err := filepath.Glob("../checkpoint/*.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "fromNode" {
				kinds[f.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		}
	}
	tested := make(map[string]bool)
	for _, m := range fencedMessages() {
		tested[m.kind] = true
		for how, stale := range m.stale {
			if got := reflect.TypeOf(stale.message).Name(); got != m.kind {
				t.Errorf("%s %s is a %s", m.kind, how, got)
			}
		}
	}
	if !maps.Equal(kinds, tested) {
		t.Errorf("the messages from a node are %v, tested are %v", slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(tested)))
	}
}

// fencedWorld has a past of every kind behind it.
func fencedWorld(t *testing.T) *world {
	c := manual()
	c.MaxConcurrent = 3
	w := running(t, c)
	w.join("n3", 1, 1)
	w.complete()
	w.begin()
	w.fail(sub("read", 0), checkpoint.Failure{Message: "out of memory"})
	w.run()
	w.advance(time.Second)
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.run()
	w.begin()
	w.decline(3, sub("count", 0))
	w.begin()
	w.wantPending(4)
	w.wantCompleted(1)
	if j := w.job(); j.Attempt != 2 || w.nodeOf(sub("read", 0)) != "n1" || w.nodeOf(sub("read", 1)) != "n2" {
		t.Fatalf("attempt %d on %v", j.Attempt, j.Assignment)
	}
	return w
}

// markingWorld has sent the marks of sweep 1, and waits for all answers.
func markingWorld(t *testing.T) *world {
	w := swept(t)
	w.sweeps.holdMark = map[checkpoint.NodeID]bool{"n1": true, "n2": true}
	w.run()
	w.wantPhase(SweepMarking)
	return w
}

// deletingWorld waits for n1 to delete chunks in sweep 1; n2 has answered.
func deletingWorld(t *testing.T) *world {
	w := swept(t)
	w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n1": true}
	w.run()
	w.wantPhase(SweepDeletingState)
	return w
}

// fencedLeader is a leader loop that does not run, with two submissions under way: a node builds the graph of request 1,
// and has built that of request 2.
func fencedLeader(t *testing.T, build func(*testing.T) *world, node checkpoint.NodeID) *leader {
	w := build(t)
	store := fencedStore(w)
	if node == "restarted n1" {
		w.join("n1", 1, 2, w.report("n1", checkpoint.SubtaskRunning))
		store.OnSession(w.nodes["n1"], w.now)
	}
	l := newLeader("c1", w.term, nil, nil, DefaultTiming(), slog.New(slog.DiscardHandler))
	l.view, l.keeper.view = w.view, store
	for id, hello := range w.nodes {
		l.sessions[id] = &openSession{hello: hello}
	}
	l.requests.nextPlan = 2
	l.requests.plans[1] = &planRequest{node: "n1", reply: make(chan submitted, 1)}
	l.requests.plans[2] = &planRequest{reply: make(chan submitted, 1)}
	return l
}

// fencedStore knows that n1 has told what it holds, and has been ordered to copy a chunk. The others have told nothing.
func fencedStore(w *world) *storeView {
	v := newStoreView(storePolicy{replicas: 2, repair: DefaultRepair()}, uint64(w.term)<<32, w.now)
	for _, id := range slices.Sorted(maps.Keys(w.nodes)) {
		v.OnSession(w.nodes[id], w.now)
	}
	n1 := w.nodes["n1"].Node
	v.OnInventory(n1, checkpoint.Inventory{First: true, Last: true})
	v.OnCopiesOrdered(orderCopies{Node: n1, Order: v.lastOrder + 1, Copies: []checkpoint.ChunkCopy{
		{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{0x77}, Size: 7}},
	}}, w.now)
	return v
}

// changed compares two leaders that were alike, and says where they are not any more. The state of late acks is noted
// to be deleted, and what they have measured completes the statistics: that is meant to be so, and left out.
func changed(a, b *leader) string {
	for _, l := range []*leader{a, b} {
		for _, s := range l.view.jobs {
			s.garbage, s.recent = nil, nil
		}
		for _, event := range l.keeper.inbox.drain() {
			event()
		}
	}
	switch {
	case !reflect.DeepEqual(a.view.jobs, b.view.jobs):
		return "what it knows of the job"
	case !reflect.DeepEqual(a.view.nodes, b.view.nodes):
		return "what it knows of nodes"
	case !reflect.DeepEqual(a.view, b.view):
		return "its view"
	case len(a.requests.plans) != len(b.requests.plans):
		return "submissions"
	case !reflect.DeepEqual(a.keeper.view, b.keeper.view):
		return "what it knows of the store"
	case len(a.inbox.drain()) != len(b.inbox.drain()):
		return "what it has to say"
	}
	return ""
}

// I6: what is not about the present changes nothing, whatever it is and however it is late.
func TestI6_FencingOfNodes(t *testing.T) {
	for _, m := range fencedMessages() {
		t.Run(m.kind, func(t *testing.T) {
			for how, stale := range m.stale {
				before, after := fencedLeader(t, m.world, stale.node), fencedLeader(t, m.world, stale.node)
				if what := changed(before, after); what != "" {
					t.Fatalf("two leaders with the same past differ in %s", what)
				}
				node := stale.node
				if node == "restarted n1" {
					node = "n1"
				}
				after.handle(node, stale.message)
				if what := changed(before, after); what != "" {
					t.Errorf("%s %s changes %s", m.kind, how, what)
				}
			}
			if m.fresh == nil {
				return
			}
			before, after := fencedLeader(t, m.world, "n1"), fencedLeader(t, m.world, "n1")
			after.handle("n1", m.fresh)
			if changed(before, after) == "" {
				t.Errorf("the %s of the present changes nothing: the test shows nothing", m.kind)
			}
		})
	}
}

// I6: an ack that is given twice counts once, and a decline behind it not at all.
func TestI6_SecondAnswersChangeNothing(t *testing.T) {
	ack := checkpoint.AckBatch{Acks: []checkpoint.Ack{ackOf(2, 4, sub("read", 0))}}
	before, after := fencedLeader(t, fencedWorld, "n1"), fencedLeader(t, fencedWorld, "n1")
	for _, l := range []*leader{before, after} {
		l.handle("n1", ack)
		for _, s := range l.view.jobs {
			s.pending[4].parts[0].ackMillis = 0 // by the real clock
		}
	}
	after.handle("n1", ack)
	if what := changed(before, after); what != "" {
		t.Errorf("the same ack a second time changes %s", what)
	}
}

// I6: in a report that is of the present, what belongs to older attempts is passed over.
func TestI6_OldAttemptsInAReport(t *testing.T) {
	w := fencedWorld(t)
	present := w.report("n1", checkpoint.SubtaskRunning)
	past := w.report("n1", checkpoint.SubtaskFailed, ackOf(1, 4, sub("read", 0)))
	past.Attempt = 1
	foreign := w.report("n1", checkpoint.SubtaskFailed, ackOf(2, 4, sub("read", 0)))
	foreign.Job, foreign.Acks[0].Job = unknownJob, unknownJob
	before, after := fencedLeader(t, fencedWorld, "n1"), fencedLeader(t, fencedWorld, "n1")
	before.handle("n1", checkpoint.Report{Term: 1, Attempts: []checkpoint.AttemptReport{present}})
	after.handle("n1", checkpoint.Report{Term: 1, Attempts: []checkpoint.AttemptReport{past, present, foreign}})
	if what := changed(before, after); what != "what it knows of nodes" { // which attempts a node holds, to cancel them
		t.Errorf("older attempts in a report change %q", what)
	}
}

// I6: a session that has been replaced speaks for nobody.
func TestI6_ReplacedSessionsAreNotHeard(t *testing.T) {
	for _, m := range fencedMessages() {
		if m.fresh == nil {
			continue
		}
		before, after := fencedLeader(t, m.world, "n1"), fencedLeader(t, m.world, "n1")
		old := &openSession{hello: after.sessions["n1"].hello}
		after.received(old, m.fresh)
		for _, event := range after.inbox.drain() {
			event()
		}
		if what := changed(before, after); what != "" {
			t.Errorf("%s on an old session changes %s", m.kind, what)
		}
	}
}
