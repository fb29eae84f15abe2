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

// MarkChunks opens a sweep of the node's chunks. The node answers with ChunksMarked, and notes for every chunk that
// it is asked to keep from now on that this came after the mark.
type MarkChunks struct {
	Term  Term
	Sweep uint64 // numbers the leader's sweeps
}

// DeleteChunks makes a node delete chunks that no checkpoint names. It refuses those that it was asked to keep, or
// to keep again, after the mark: a checkpoint that the leader did not know of when it drew up the list may name them
// (I5). The node answers with ChunksDeleted.
type DeleteChunks struct {
	Term   Term
	Sweep  uint64 // of the mark; of a mark that the node does not remember it deletes nothing
	Chunks []ChunkID
}

func (m Leading) LeaderTerm() Term        { return m.Term }
func (m PlanJob) LeaderTerm() Term        { return m.Term }
func (m Deploy) LeaderTerm() Term         { return m.Term }
func (m CancelAttempt) LeaderTerm() Term  { return m.Term }
func (m CancelTasks) LeaderTerm() Term    { return m.Term }
func (m Trigger) LeaderTerm() Term        { return m.Term }
func (m NotifyComplete) LeaderTerm() Term { return m.Term }
func (m NotifyAborted) LeaderTerm() Term  { return m.Term }
func (m MarkChunks) LeaderTerm() Term     { return m.Term }
func (m DeleteChunks) LeaderTerm() Term   { return m.Term }

func (Leading) toNode()        {}
func (PlanJob) toNode()        {}
func (Deploy) toNode()         {}
func (CancelAttempt) toNode()  {}
func (CancelTasks) toNode()    {}
func (Trigger) toNode()        {}
func (NotifyComplete) toNode() {}
func (NotifyAborted) toNode()  {}
func (MarkChunks) toNode()     {}
func (DeleteChunks) toNode()   {}

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

func (m MarkChunks) String() string { return fmt.Sprintf("mark-chunks(sweep %d)", m.Sweep) }
func (m DeleteChunks) String() string {
	return fmt.Sprintf("delete-chunks(sweep %d, %d chunks)", m.Sweep, len(m.Chunks))
}

// FromNode is a message from a node to the leader.
type FromNode interface {
	fromNode()
}

// Hello is the first message of a session; the coordinator keeps it for as long as the session lives.
type Hello struct {
	Node     NodeRef
	Slots    int
	Programs []string // the registered jobs' names, sorted
	Version  string   // of the build
	// Docs say what the programs do, for people. A node of an older build sends none.
	Docs []ProgramDoc
}

// ProgramDoc says what a program does that a node can run.
type ProgramDoc struct {
	Name   string
	Doc    string // one line
	Params []ParamDoc
}

// ParamDoc says what a parameter of a program means.
type ParamDoc struct {
	Name string
	Doc  string // one line, which says whether it is required, or what the default is
}

// Heartbeat says that the node is alive when it has nothing else to say.
type Heartbeat struct{}

// JobPlanned answers PlanJob: the graph's shape, or the reason why there is none.
type JobPlanned struct {
	Request  uint64
	Topology Topology
	// Fingerprint is that of the graph. What may change while a job lives, as its parallelism does, has no part in it.
	Fingerprint Fingerprint
	// Operators is what the fingerprint was made of, so that a difference can be named.
	Operators []OperatorText
	Error     string // empty on success
}

// SubtaskStatus is where a subtask stands in its life.
type SubtaskStatus uint8

const (
	// SubtaskInitializing: deployed; restoring state and connecting channels.
	SubtaskInitializing SubtaskStatus = 1
	// SubtaskRunning: processes records and takes part in checkpoints.
	SubtaskRunning SubtaskStatus = 2
	// SubtaskFinishing: has processed the end of its input; waits for a checkpoint that covers all of its
	// output (the final checkpoint), and takes part in checkpoints until then.
	SubtaskFinishing SubtaskStatus = 3
	// SubtaskFinished: done; counts as acknowledged in later checkpoints.
	SubtaskFinished SubtaskStatus = 4
	// SubtaskFailed: ended by an error; its attempt cannot go on.
	SubtaskFailed SubtaskStatus = 5
	// SubtaskCanceled: ended because it was told to.
	SubtaskCanceled SubtaskStatus = 6
)

// String returns Flink's word for the status.
func (s SubtaskStatus) String() string {
	switch s {
	case SubtaskInitializing:
		return "INITIALIZING"
	case SubtaskRunning:
		return "RUNNING"
	case SubtaskFinishing:
		return "FINISHING"
	case SubtaskFinished:
		return "FINISHED"
	case SubtaskFailed:
		return "FAILED"
	case SubtaskCanceled:
		return "CANCELED"
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// Failure says why a subtask failed.
type Failure struct {
	Message string // the whole chain of causes, naming operator, path, peer and so on
	// Permanent says that another attempt would fail the same way (a missing input path, say): the job
	// fails instead of restarting.
	Permanent bool
	// Secondary says that the failure follows from another one (a channel to a lost peer broke): a better
	// cause is likely to be known soon.
	Secondary bool
}

// SubtaskReport is the status of one subtask of an attempt.
type SubtaskReport struct {
	Subtask SubtaskID
	Status  SubtaskStatus
	Failure Failure      // when failed
	Final   SubtaskState // when finished: its state at its final checkpoint, for later manifests
	// FinalCheckpoint is, when finished, the checkpoint whose completion it finished with: Final is its part in newer
	// ones. It is 0 when it finished without one (Config.AfterTasksFinish; Final is empty then), and when it had finished
	// before the attempt began.
	FinalCheckpoint ID
}

// AttemptReport is what a node has of one attempt of a job: every subtask deployed on it, and every
// acknowledgement whose outcome it has not heard.
type AttemptReport struct {
	Job      JobID
	Attempt  Attempt
	Subtasks []SubtaskReport
	Acks     []Ack
}

// Report answers Leading with everything the node has in memory. After it, changes are sent as they
// happen.
type Report struct {
	Term     Term // of the Leading it answers
	Attempts []AttemptReport
}

// StatusChange reports that a subtask's status changed.
type StatusChange struct {
	Job     JobID
	Attempt Attempt
	Report  SubtaskReport
}

// Ack says that a subtask's snapshot is durable on as many replicas as the store's policy says (I9).
// The node keeps it until it hears the checkpoint's outcome, and re-sends it to a new leader.
type Ack struct {
	Job        JobID
	Attempt    Attempt
	Checkpoint ID
	State      SubtaskState
	Metrics    Metrics
}

// AckBatch carries the acks of several subtasks of one node.
type AckBatch struct {
	Acks []Ack
}

// Decline says that a subtask could not take part in the checkpoint.
type Decline struct {
	Job        JobID
	Attempt    Attempt
	Checkpoint ID
	Subtask    SubtaskID
	Reason     Reason
	Phase      Phase // in which the subtask gave up, 0 when it had not begun
	Message    string
}

// Progress says how far subtasks have come with a pending checkpoint that they have not acknowledged. A node sends
// it for checkpoints that take long, and for those subtasks whose phase has changed since it last did; it is soft
// state that nothing but people depend on.
type Progress struct {
	Job        JobID
	Attempt    Attempt
	Checkpoint ID
	Subtasks   []SubtaskProgress
}

// SubtaskProgress is how far one subtask has come.
type SubtaskProgress struct {
	Subtask SubtaskID
	Phase   Phase
	// Metrics of the phases that are over.
	Metrics Metrics
}

// TaskMetrics says how the subtasks of an attempt on a node get on. A node sends it about once a second, to the leader
// only, and not at all to one that does not keep up: it is soft state that nothing but people depend on.
type TaskMetrics struct {
	Job      JobID
	Attempt  Attempt
	Subtasks []SubtaskMetrics
}

// ChunksMarked answers MarkChunks.
type ChunksMarked struct {
	Sweep uint64
}

// ChunksDeleted answers DeleteChunks.
type ChunksDeleted struct {
	Sweep   uint64
	Deleted int    // chunks that are gone now
	Refused int    // chunks that were asked for again since the mark
	Error   string // empty on success; then all that was not refused is gone
}

func (Hello) fromNode()         {}
func (Heartbeat) fromNode()     {}
func (JobPlanned) fromNode()    {}
func (Report) fromNode()        {}
func (StatusChange) fromNode()  {}
func (AckBatch) fromNode()      {}
func (Decline) fromNode()       {}
func (Progress) fromNode()      {}
func (TaskMetrics) fromNode()   {}
func (ChunksMarked) fromNode()  {}
func (ChunksDeleted) fromNode() {}
