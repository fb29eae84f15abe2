package api

// Times are milliseconds since the Unix epoch, durations milliseconds, sizes bytes. Zero times mean
// "never".

// Leader is the coordinator that leads, and its Raft term.
type Leader struct {
	ID      string `json:"id"`
	Term    uint64 `json:"term"`
	Address string `json:"address,omitempty"`
}

// Voter is a coordinator replica in Raft's configuration.
type Voter struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	// State is "leader", "follower", "failed" (a follower that the leader has not reached for a while), or
	// "unknown" when there is no leader to tell.
	State string `json:"state"`
	// Voter is false for a member that does not vote (yet): it has joined and is catching up.
	Voter bool `json:"voter"`
	// LastContactMillis is the time since the leader last heard of the voter: 0 for the leader itself, -1
	// when nobody can tell: the voter does not answer, or has heard of none since it started.
	LastContactMillis int64 `json:"last_contact_ms"`
}

// Replica is what a coordinator says of its own copy of the log, to the other coordinators.
type Replica struct {
	ID string
	// Blank says that it has no state and takes no part in Raft yet; Ready that it has seen all the coordinators
	// that it expects without state, and would form a cluster with them.
	Blank, Ready bool
	// LastIndex and LastTerm are those of the last entry of its log.
	LastIndex, LastTerm uint64
	// LastContactMillis is as in Voter.
	LastContactMillis int64
}

// Node is a task node.
type Node struct {
	ID        string `json:"id"`
	Address   string `json:"address"`
	State     string `json:"state"` // "alive", "suspect", "lost" or "left"
	Slots     int    `json:"slots"`
	UsedSlots int    `json:"used_slots"`
	Subtasks  int    `json:"subtasks"` // of running jobs
	// Status sums up whether the node is given work: "ready", "draining" while subtasks of it have still to leave,
	// "drained", "suspect" or "lost".
	Status    string `json:"status"`
	Drained   bool   `json:"drained"`    // it was taken out of service
	DrainedAt int64  `json:"drained_at"` // 0 when it was not
	// Leaving says of each job that has still to leave a drained node when it will, or what keeps it there.
	Leaving []string `json:"leaving"`
}

// Status describes the whole cluster.
type Status struct {
	Leader Leader  `json:"leader"`
	Voters []Voter `json:"voters"`
	// FailureTolerance is how many more voters can fail before the quorum is lost.
	FailureTolerance int  `json:"failure_tolerance"`
	Healthy          bool `json:"healthy"`
	// Problems says why the cluster is not healthy, one sentence each.
	Problems []string     `json:"problems"`
	Nodes    []Node       `json:"nodes"`
	Jobs     []JobSummary `json:"jobs"`
	// Stale says that the answer is what one coordinator knew, not what the cluster agrees on.
	Stale bool `json:"stale"`
	// Replica is the answering coordinator's own. Only coordinators are told.
	Replica Replica `json:"-"`
}

// JobSummary is a job's line in Status.
type JobSummary struct {
	ID          string         `json:"id"`
	Name        string         `json:"name"`
	State       string         `json:"state"`
	Attempt     uint32         `json:"attempt"`
	Restarts    int            `json:"restarts"`
	Checkpoints JobCheckpoints `json:"checkpoints"`
}

// JobCheckpoints counts a job's checkpoints, in its line in Status.
type JobCheckpoints struct {
	LastCompletedID uint64 `json:"last_completed_id"`
	LastCompletedAt int64  `json:"last_completed_at"`
	InProgress      int    `json:"in_progress"`
	Completed       uint64 `json:"completed"`
	Failed          uint64 `json:"failed"`
	Restored        uint64 `json:"restored"`
}

// Member is a process that gossip knows.
type Member struct {
	ID      string `json:"id"`
	Role    string `json:"role"` // "coordinator" or "node"
	Address string `json:"address"`
	Gossip  string `json:"gossip"`
	State   string `json:"state"` // "alive", "failed" or "left"
	Version string `json:"version"`
	Zone    string `json:"zone"` // of a task node; empty when it was told none
}

// Job is a job's line in a listing.
type Job struct {
	JobSummary
	Program     string `json:"program"`
	SubmittedAt int64  `json:"submitted_at"`
	EndedAt     int64  `json:"ended_at"`
	// Reason says what the job waits for or why it failed; empty when all is well.
	Reason string `json:"reason"`
}

// JobDetail is everything about one job.
type JobDetail struct {
	Job
	Params map[string]string `json:"params"`
	// Parallelism is what was asked for instead of the program's own, by operator.
	Parallelism  map[string]int    `json:"parallelism"`
	Config       map[string]string `json:"config"`
	RestoredFrom uint64            `json:"restored_from"`
	Source       *Source           `json:"source"` // nil for a fresh start
	Vertices     []Vertex          `json:"vertices"`
	Subtasks     []Subtask         `json:"subtasks"`
	// LastFailure is why an attempt, or the job, failed last, also when it runs again; empty when none did.
	LastFailure   string `json:"last_failure"`
	LastFailureAt int64  `json:"last_failure_at"` // 0 when no attempt failed
	// Problems are what keeps nodes from being given tasks of the job, whether it runs or not. Only the leader knows.
	Problems []string `json:"problems"`
}

// Vertex is a chain of operators of a job.
type Vertex struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	Parallelism    int    `json:"parallelism"`
	MaxParallelism int    `json:"max_parallelism"`
	// SlotSharingGroup is empty for the default one.
	SlotSharingGroup string `json:"slot_sharing_group,omitempty"`
	// Metrics is null while nothing is known of any of its subtasks.
	Metrics *VertexMetrics `json:"metrics"`
}

// Subtask is one parallel instance of a vertex.
type Subtask struct {
	ID     string `json:"id"` // vertex[index]
	Node   string `json:"node"`
	Status string `json:"status"`
	// Failure says why a subtask failed that did. Secondary says that it failed because another one had: a channel between
	// them broke. Only the leader knows, and it forgets them with the attempt.
	Failure   string `json:"failure,omitempty"`
	Secondary bool   `json:"secondary,omitempty"`
}

// Program is what the task nodes can run as a job.
type Program struct {
	Name   string  `json:"name"`
	Doc    string  `json:"doc"` // one line; empty when the nodes do not say
	Params []Param `json:"params"`
	// Nodes are those that were built with it. The documentation is that of the first.
	Nodes []string `json:"nodes"`
}

// Param is a parameter of a program.
type Param struct {
	Name string `json:"name"`
	Doc  string `json:"doc"` // what it means, whether it is required, and its default
}
