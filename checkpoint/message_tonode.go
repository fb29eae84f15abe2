package checkpoint

import "fmt"

// The messages of a session: the stream that every task node keeps to every coordinator. Only the leader
// sends on it. Each message from the leader carries the term it leads in, so that a node can reject what
// a deposed leader still says; each message from a node names job, attempt and checkpoint, so that the
// leader can reject what belongs to the past.

// ToNode is a message from the leader to a node.
type ToNode interface {
	// LeaderTerm returns the term in which the sender leads.
	LeaderTerm() Term
	String() string
	toNode()
}

// Leading opens a leader's use of a session. The node answers with a Report.
type Leading struct {
	Term   Term
	Leader NodeID
}

// PlanJob asks a node to build the graph of a registered job. The node answers with JobPlanned.
type PlanJob struct {
	Term    Term
	Request uint64
	Program string // the registered job's name
	Params  map[string]string
	// Overrides change the parallelism that the program gives its operators.
	Overrides Overrides
}

// Deploy makes a node run its share of an attempt. It stops what it still runs of older attempts of the
// job first, save for what is Kept. Receiving the same attempt again changes nothing.
type Deploy struct {
	Term      Term
	Job       JobID
	Attempt   Attempt
	Program   string
	Params    map[string]string
	Overrides Overrides
	Topology  Topology // what the node's own build of the graph must equal
	// Fingerprint is what the node's own build of the graph must have; empty when it is not known.
	Fingerprint Fingerprint
	Assignment  Assignment
	Mode        Mode
	// AfterTasksFinish makes a subtask at the end of its input wait for the checkpoint that covers its output.
	AfterTasksFinish bool
	Backend          StateBackend   // where keyed state is kept
	Restore          ID             // the checkpoint the state comes from, 0 for a fresh start
	States           []SubtaskState // of this node's subtasks only, save for those that are kept; empty for a fresh start
	// Kept are those of this node's subtasks that go on as they are, as part of the new attempt.
	Kept []KeptSubtask
	// Settled says, where something is kept, that this checkpoint and all before it have their outcome: Restore has
	// completed, those in Aborted have failed, and nobody waits for any other.
	Settled ID
	Aborted []ID
}

// KeptSubtask is a subtask that goes on into the next attempt: what runs of it was deployed in attempt Since. Where
// nothing of that attempt runs any more the subtask has failed.
type KeptSubtask struct {
	Subtask SubtaskID
	Since   Attempt
}

// CancelTasks makes a node stop some subtasks of the job, of attempts up to and including Attempt, while the others go
// on. What has ended is left alone, and they stay part of their attempt.
type CancelTasks struct {
	Term     Term
	Job      JobID
	Attempt  Attempt
	Subtasks []SubtaskID
}

// CancelAttempt makes a node stop all it runs of the job up to and including Attempt and forget it.
type CancelAttempt struct {
	Term    Term
	Job     JobID
	Attempt Attempt
}

// Trigger starts a checkpoint at the given subtasks. A subtask that has seen it ignores it.
type Trigger struct {
	Term     Term
	Job      JobID
	Attempt  Attempt
	Barrier  Barrier
	Subtasks []SubtaskID
}

// NotifyComplete tells every subtask on the node that the checkpoint is committed: it and the older ones have their
// outcome, and sinks publish what they cover. Older savepoints may still be pending.
//
// A savepoint settles no outcome but its own. Nothing is published for one that the job goes on after: a restart goes
// back to the log, in which it is not, and would publish the same again. With one that the job ends with, Stop says so,
// sinks publish, and every subtask finishes.
type NotifyComplete struct {
	Term       Term
	Job        JobID
	Attempt    Attempt
	Checkpoint ID
	Kind       Kind
	Stop       Stop // of a savepoint
	Subsumed   ID   // the newest checkpoint that this one subsumed, 0 for none
}

// NotifyAborted tells every subtask on the node that the checkpoint has failed. It settles no outcome but that one.
type NotifyAborted struct {
	Term            Term
	Job             JobID
	Attempt         Attempt
	Checkpoint      ID
	LatestCompleted ID // 0 for none
}

func (m Leading) LeaderTerm() Term        { return m.Term }
func (m PlanJob) LeaderTerm() Term        { return m.Term }
func (m Deploy) LeaderTerm() Term         { return m.Term }
func (m CancelAttempt) LeaderTerm() Term  { return m.Term }
func (m CancelTasks) LeaderTerm() Term    { return m.Term }
func (m Trigger) LeaderTerm() Term        { return m.Term }
func (m NotifyComplete) LeaderTerm() Term { return m.Term }
func (m NotifyAborted) LeaderTerm() Term  { return m.Term }

func (Leading) toNode()        {}
func (PlanJob) toNode()        {}
func (Deploy) toNode()         {}
func (CancelAttempt) toNode()  {}
func (CancelTasks) toNode()    {}
func (Trigger) toNode()        {}
func (NotifyComplete) toNode() {}
func (NotifyAborted) toNode()  {}

func (m Leading) String() string { return fmt.Sprintf("leading(term %d, %s)", m.Term, m.Leader) }
func (m PlanJob) String() string { return fmt.Sprintf("plan(%s, request %d)", m.Program, m.Request) }
func (m Deploy) String() string {
	kept := ""
	if len(m.Kept) > 0 {
		kept = fmt.Sprintf(", %d kept", len(m.Kept))
	}
	return fmt.Sprintf("deploy(job %s, attempt %d, restore %d%s)", m.Job, m.Attempt, m.Restore, kept)
}
func (m CancelAttempt) String() string {
	return fmt.Sprintf("cancel(job %s, attempt %d)", m.Job, m.Attempt)
}
func (m CancelTasks) String() string {
	return fmt.Sprintf("cancel(job %s, attempt %d, %v)", m.Job, m.Attempt, m.Subtasks)
}
func (m Trigger) String() string {
	return fmt.Sprintf("trigger(job %s, attempt %d, %s, %v)", m.Job, m.Attempt, m.Barrier, m.Subtasks)
}
func (m NotifyComplete) String() string {
	kind := KindCheckpoint
	if m.Kind == KindSavepoint {
		kind = m.Kind
	}
	return fmt.Sprintf("notify-complete(job %s, attempt %d, %s %d)", m.Job, m.Attempt, kind, m.Checkpoint)
}
func (m NotifyAborted) String() string {
	return fmt.Sprintf("notify-aborted(job %s, attempt %d, checkpoint %d)", m.Job, m.Attempt, m.Checkpoint)
}
