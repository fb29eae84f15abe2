package checkpoint

import "fmt"

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
	// Zone is what the node fails together with (a rack, say), empty when it was told none. Copies are spread over zones.
	Zone string
	// SharedStore names the store that the node keeps chunks in together with others, without secrets; empty when it
	// keeps them on a disk of its own.
	SharedStore string
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
	// Unavailable is the chunk for want of which the subtask could not be restored; zero when it was not that.
	Unavailable ChunkRef
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

func (Hello) fromNode()        {}
func (Heartbeat) fromNode()    {}
func (JobPlanned) fromNode()   {}
func (Report) fromNode()       {}
func (StatusChange) fromNode() {}
func (AckBatch) fromNode()     {}
func (Decline) fromNode()      {}
func (Progress) fromNode()     {}
func (TaskMetrics) fromNode()  {}
