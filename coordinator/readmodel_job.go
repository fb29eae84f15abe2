package coordinator

import (
	"fmt"
	"maps"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func jobSummary(j *fsm.Job) api.JobSummary {
	id, at := lastCompleted(j)
	return api.JobSummary{
		ID: j.ID.String(), Name: j.Name, State: j.Status.String(), Attempt: uint32(j.Attempt), Restarts: j.Restart.Count,
		Checkpoints: api.JobCheckpoints{
			LastCompletedID: uint64(id), LastCompletedAt: int64(at), InProgress: len(j.Pending),
			Completed: j.Counters.Completed, Failed: j.Counters.Failed, Restored: j.Counters.Restored,
		},
	}
}

// lastCompleted returns the newest checkpoint or savepoint that the job has completed itself, and when. The history
// may have forgotten it behind failures, the log may have given it away.
func lastCompleted(j *fsm.Job) (id checkpoint.ID, at checkpoint.Timestamp) {
	for _, kept := range [][]fsm.Completed{j.Completed, j.Savepoints} {
		for _, c := range kept {
			if c.Attempt > 0 && c.ID > id { // attempt 0: claimed from another job
				id, at = c.ID, c.CompletedAt
			}
		}
	}
	for _, o := range j.History {
		if o.Status == fsm.OutcomeCompleted && o.ID > id {
			id, at = o.ID, o.EndedAt
		}
	}
	return id, at
}

func (r reading) jobModel(j *fsm.Job) api.Job {
	return api.Job{
		JobSummary: jobSummary(j), Program: j.Program, SubmittedAt: int64(j.SubmittedAt), EndedAt: int64(j.EndedAt),
		Reason: jobReason(r.view, j, r.now),
	}
}

func (r reading) jobModels() ([]api.Job, error) {
	jobs := make([]api.Job, 0, len(r.jobs))
	for _, j := range r.jobs {
		jobs = append(jobs, r.jobModel(j))
	}
	return jobs, nil
}

// jobReason says what a job waits for, or why it failed; it is empty when all is well. v is nil without the leader.
func jobReason(v *View, j *fsm.Job, now time.Time) string {
	switch j.Status {
	case fsm.JobFailed:
		return j.Failure
	case fsm.JobCreated:
		return waitsFor(v, j, now)
	case fsm.JobRunning:
		if v != nil && v.job(j).count(0) > 0 { // a leader that takes over may have to deploy what is running
			return (&decision{view: v, now: now}).restoreProblem(j)
		}
	case fsm.JobCancelling:
		if v != nil {
			return stopsFor(v, j, now)
		}
	case fsm.JobRestarting:
		return restartReason(v, j, now)
	}
	return ""
}

// restartReason says what is restarted and what that waits for, and behind it why: the cause may bring a stack.
func restartReason(v *View, j *fsm.Job, now time.Time) string {
	reason, cause := "attempt failed", j.Failure
	switch {
	case j.Interrupted != "":
		reason, cause = "goes on from its last checkpoint", j.Interrupted
	case v != nil:
		reason += ", " + (&decision{view: v, now: now}).restartText(j)
	}
	if wait := waitsFor(v, j, now); wait != "" {
		reason += "; " + wait
	}
	return reason + ": " + cause
}

// waitsFor says why the next attempt of a job has not started.
func waitsFor(v *View, j *fsm.Job, now time.Time) string {
	if wait := int64(j.Restart.NextAt) - now.UnixMilli(); wait > 0 {
		return fmt.Sprintf("starts in %.1fs", float64(wait)/1000)
	}
	if v == nil {
		return "" // the leader knows
	}
	d := &decision{view: v, now: now}
	d.countSlots()
	next := j.NextShape().Topology
	free, knowing, agreeing := total(d.free), total(d.knowing(j.Program)), total(d.freeFor(j, next, d.free))
	switch needs := d.slotsWanted(j); {
	case needs > free:
		return fmt.Sprintf("needs %s, %d free", slotCount(needs), free)
	case needs > knowing:
		return fmt.Sprintf("needs %s, %d free on nodes that know the program %s", slotCount(needs), knowing, j.Program)
	case needs > agreeing:
		return waitsForGraphs(v, j, needs, agreeing, now)
	}
	return d.restoreProblem(j)
}

// waitsForGraphs says that there are not enough slots on nodes whose build makes the job's graph. What the others make is
// in the job's problems.
func waitsForGraphs(v *View, j *fsm.Job, needs, agreeing int, now time.Time) string {
	if _, awaited := v.excluded(j, now); len(awaited) > 0 {
		return fmt.Sprintf("waits for node %s to say what graph its build makes", awaited[0])
	}
	return fmt.Sprintf("needs %s, %d free on nodes whose build makes its graph", slotCount(needs), agreeing)
}

// problemsOf returns what keeps nodes from being given tasks of a job that has not ended.
func (r reading) problemsOf(j *fsm.Job) []string {
	if r.view == nil || j.Status.Terminal() {
		return []string{}
	}
	problems, _ := r.view.excluded(j, r.now)
	return append([]string{}, problems...)
}

// stopsFor names a subtask that a job which is being cancelled waits for: code that does not return holds it up for ever.
func stopsFor(v *View, j *fsm.Job, now time.Time) string {
	s := v.job(j)
	ordinal, found := (&decision{view: v, now: now}).notStopped(j)
	if !found {
		return ""
	}
	return fmt.Sprintf("waits for %s to stop", taskOnNode(j, s, ordinal))
}

func (r reading) jobDetail(j *fsm.Job) (api.JobDetail, error) {
	d := api.JobDetail{
		Job: r.jobModel(j), Params: maps.Clone(j.Params), Config: j.Config.Values(), RestoredFrom: uint64(j.RestoredFrom),
		LastFailure: j.Failure, LastFailureAt: int64(j.Restart.LastFailureAt),
		Parallelism: parallelismModel(j.NextShape().Parallelism), Source: sourceModel(j.Source), Vertices: []api.Vertex{}, Subtasks: []api.Subtask{}, Problems: r.problemsOf(j),
	}
	first := 0 // ordinal of the vertex's first subtask
	for _, vertex := range j.NextShape().Topology.Vertices {
		d.Vertices = append(d.Vertices, api.Vertex{
			ID: string(vertex.ID), Name: vertex.Name, Parallelism: vertex.Parallelism, MaxParallelism: vertex.MaxParallelism,
			SlotSharingGroup: sharingGroup(vertex),
		})
		if j.Next == nil { // otherwise what is known is of another shape
			d.Vertices[len(d.Vertices)-1].Metrics = r.vertexMetrics(j, first, vertex.Parallelism)
		}
		first += vertex.Parallelism
	}
	if len(j.Assignment.NodeOf) == 0 {
		return d, nil
	}
	for ordinal, subtask := range j.Topology.Subtasks() {
		t := api.Subtask{ID: subtask.String(), Node: string(j.Assignment.Node(ordinal).ID), Status: r.subtaskStatus(j, ordinal)}
		t.Failure, t.Secondary = r.subtaskFailure(j, ordinal)
		d.Subtasks = append(d.Subtasks, t)
	}
	return d, nil
}

func parallelismModel(of map[checkpoint.OperatorID]int) map[string]int {
	model := make(map[string]int, len(of))
	for op, n := range of {
		model[string(op)] = n
	}
	return model
}

// sharingGroup returns the name of the vertex's slot sharing group, empty for the default one.
func sharingGroup(v checkpoint.Vertex) string {
	if group := v.Group(); group != checkpoint.DefaultSharingGroup {
		return group
	}
	return ""
}

// subtaskFailure says why a subtask of the current attempt failed, and whether because another one had.
func (r reading) subtaskFailure(j *fsm.Job, ordinal int) (message string, secondary bool) {
	if r.view == nil {
		return "", false
	}
	t := &r.view.job(j).subtasks[ordinal]
	if t.status != checkpoint.SubtaskFailed {
		return "", false
	}
	return t.failure.Message, t.failure.Secondary
}

// subtaskLost is the status of what went with its node before it had come to an end: the node's last word of it is void.
const subtaskLost = "LOST"

func (r reading) lost(j *fsm.Job, ordinal int) bool {
	switch r.view.job(j).subtasks[ordinal].status {
	case checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled:
		return false
	}
	switch r.view.assigneeState(j.Assignment.Node(ordinal), r.now) {
	case nodeLost, nodeLeft:
		return true
	}
	return false
}

func (r reading) subtaskStatus(j *fsm.Job, ordinal int) string {
	switch {
	case j.Status.Terminal() && (r.view == nil || r.view.job(j).subtasks[ordinal].status == 0):
		return j.Status.String()
	case r.view == nil:
		return unknownToFollowers
	case r.lost(j, ordinal):
		return subtaskLost
	}
	if status := r.view.job(j).subtasks[ordinal].status; status != 0 {
		return status.String()
	}
	return "SCHEDULED"
}

// slotCount is a number of slots in words.
func slotCount(n int) string {
	if n == 1 {
		return "1 slot"
	}
	return fmt.Sprintf("%d slots", n)
}
