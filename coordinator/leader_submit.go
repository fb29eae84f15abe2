package coordinator

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

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
