package coordinator

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// requests are the client calls that wait for something to happen. They belong to the leader loop.
type requests struct {
	nextPlan uint64
	plans    map[uint64]*planRequest
	triggers map[checkpoint.JobID][]*triggerRequest
}

// planRequest is a submission that waits for a node to build the job's graph.
type planRequest struct {
	node   checkpoint.NodeID // that was asked
	req    api.SubmitJobRequest
	config checkpoint.Config
	reply  chan submitted // capacity 1
}

type submitted struct {
	id  checkpoint.JobID
	err error
}

// triggerRequest is a manual trigger that waits for its checkpoint to begin (checkpoint 0) and to end.
type triggerRequest struct {
	checkpoint checkpoint.ID
	reply      chan triggered // capacity 1
}

type triggered struct {
	id  checkpoint.ID
	err error
}

func newRequests() requests {
	return requests{
		plans: make(map[uint64]*planRequest), triggers: make(map[checkpoint.JobID][]*triggerRequest),
	}
}

// ask runs f on the leader loop and returns what it returns. It returns an Unavailable error when leadership ends,
// or ctx does, first: then f may still run, and its result goes nowhere.
func ask[T any](ctx context.Context, l *leader, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	answers := make(chan answer, 1)
	if !l.inbox.post(func() {
		value, err := f()
		answers <- answer{value, err}
	}) {
		return none, errLeadershipEnded()
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-l.ctx.Done():
		return none, errLeadershipEnded()
	case <-ctx.Done():
		return none, api.Errorf(api.Unavailable, "the leader did not answer in time: %v", context.Cause(ctx))
	}
}

// askJob runs f on the leader loop with the job that ref names.
func askJob[T any](ctx context.Context, l *leader, ref string, f func(*fsm.Job) (T, error)) (T, error) {
	return ask(ctx, l, func() (T, error) {
		l.view.SetJobs(l.raft.jobs())
		j, err := findJob(l.view.Jobs, ref)
		if err != nil {
			var none T
			return none, err
		}
		return f(j)
	})
}

func errLeadershipEnded() error {
	return api.Errorf(api.Unavailable, "leadership ended while the call was under way")
}

// submit starts a submission: a node that knows the program builds its graph, planned goes on from there.
func (l *leader) submit(req api.SubmitJobRequest, config checkpoint.Config, reply chan submitted) {
	if running := l.nameTaken(req.Name); running != nil {
		reply <- submitted{err: nameTakenError(running)}
		return
	}
	node, err := l.planner(req.Program)
	if err != nil {
		reply <- submitted{err: err}
		return
	}
	l.requests.nextPlan++
	l.requests.plans[l.requests.nextPlan] = &planRequest{node: node, req: req, config: config, reply: reply}
	l.send(node, checkpoint.PlanJob{
		Term: l.term, Request: l.requests.nextPlan, Program: req.Program, Params: req.Params,
	})
}

func (l *leader) nameTaken(name string) *fsm.Job {
	for _, j := range l.raft.jobs() {
		if j.Name == name && !j.Status.Terminal() {
			return j
		}
	}
	return nil
}

func nameTakenError(j *fsm.Job) error {
	return api.Errorf(api.AlreadyExists, "a job named %q is %s already (ID %s); cancel it first or choose another --name",
		j.Name, j.Status, j.ID)
}

// planner returns an alive node that knows the program.
func (l *leader) planner(program string) (checkpoint.NodeID, error) {
	var known []string
	now := time.Now()
	alive := 0
	for _, n := range l.view.sortedNodes() {
		if !n.reported || l.view.stateOf(n, now) != nodeAlive {
			continue // it would not obey yet
		}
		alive++
		if slices.Contains(n.programs, program) {
			return n.ref.ID, nil
		}
		known = append(known, n.programs...)
	}
	if alive == 0 {
		return "", api.Errorf(api.Unavailable, "no task node has joined; start one with: node agent --join GOSSIP_ADDRESS")
	}
	slices.Sort(known)
	return "", api.Errorf(api.NotFound, "unknown job %q: the nodes know %s", program, strings.Join(slices.Compact(known), ", "))
}

// dropPlans answers the submissions that a node was asked about whose session has ended.
func (l *leader) dropPlans(node checkpoint.NodeID) {
	for request, p := range l.requests.plans {
		if p.node == node {
			delete(l.requests.plans, request)
			p.reply <- submitted{err: api.Errorf(api.Unavailable, "node %s was lost while it built the graph of job %q; submit it again", node, p.req.Program)}
		}
	}
}

// planned ends a submission: the graph's shape is known, or the reason why there is none.
func (l *leader) planned(m checkpoint.JobPlanned) {
	p := l.requests.plans[m.Request]
	if p == nil {
		return
	}
	delete(l.requests.plans, m.Request)
	if m.Error != "" {
		p.reply <- submitted{err: api.Errorf(api.Invalid, "job %q: %s", p.req.Program, m.Error)}
		return
	}
	if err := m.Topology.Validate(); err != nil {
		p.reply <- submitted{err: api.Errorf(api.Invalid, "job %q: %v", p.req.Program, err)}
		return
	}
	var id checkpoint.JobID
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	id, err := l.proposeJob(fsm.SubmitJob{
		Job: id, Name: p.req.Name, Program: p.req.Program, Params: p.req.Params, Topology: m.Topology,
		Config: p.config, At: checkpoint.Timestamp(time.Now().UnixMilli()),
	})
	p.reply <- submitted{id: id, err: err}
}

func (l *leader) proposeJob(c fsm.SubmitJob) (checkpoint.JobID, error) {
	if err := l.proposeOne(c); err != nil {
		return checkpoint.JobID{}, err
	}
	return c.Job, nil
}

// proposeOne commits a client's command. An unknown outcome is told as such: the client can look whether
// it took effect.
func (l *leader) proposeOne(c fsm.Command) error {
	responses, err := l.raft.propose([]fsm.Command{c}, func() {})
	if err != nil {
		return api.Errorf(api.Unavailable, "leadership changed during the call; whether it took effect is unknown: %v", err)
	}
	if err := responses[0].Err; err != nil {
		return toAPIError(err)
	}
	l.view.SetJobs(l.raft.jobs())
	l.proposed(c, responses[0])
	return nil
}

// trigger asks for a checkpoint of a job that runs; answerTriggers tells what became of it.
func (l *leader) trigger(j *fsm.Job, reply chan triggered) {
	if j.Status != fsm.JobRunning {
		reply <- triggered{err: api.Errorf(api.Conflict, "job %s is %s: checkpoints are taken of a RUNNING job", j.Name, j.Status)}
		return
	}
	l.view.OnTriggerRequested(j)
	l.requests.triggers[j.ID] = append(l.requests.triggers[j.ID], &triggerRequest{reply: reply})
}

// bindTriggers gives the requests that wait for a checkpoint the one that has begun.
func (r *requests) bindTriggers(job checkpoint.JobID, id checkpoint.ID) {
	for _, t := range r.triggers[job] {
		if t.checkpoint == 0 {
			t.checkpoint = id
		}
	}
}

// answerTriggers answers the requests whose checkpoint has an outcome, or never will have one.
func (l *leader) answerTriggers() {
	for id, waiting := range l.requests.triggers {
		j := l.view.byID[id]
		waiting = slices.DeleteFunc(waiting, func(t *triggerRequest) bool {
			switch {
			case t.checkpoint != 0 && (j == nil || !isPending(j, t.checkpoint)):
				t.reply <- triggered{id: t.checkpoint}
			case t.checkpoint == 0 && (j == nil || j.Status != fsm.JobRunning):
				t.reply <- triggered{err: api.Errorf(api.Conflict, "the job stopped running before the checkpoint began")}
			default:
				return false
			}
			return true
		})
		l.requests.triggers[id] = waiting
		if len(waiting) == 0 {
			delete(l.requests.triggers, id)
		}
	}
}

// failRequests answers everybody who still waits when the loop ends.
func (l *leader) failRequests() {
	for _, p := range l.requests.plans {
		p.reply <- submitted{err: errLeadershipEnded()}
	}
	for _, waiting := range l.requests.triggers {
		for _, t := range waiting {
			t.reply <- triggered{id: t.checkpoint, err: errLeadershipEnded()}
		}
	}
}
