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

// planRequest is a submission that waits for a node to build the job's graph, and then for the manifest of what the
// job starts from.
type planRequest struct {
	node   checkpoint.NodeID // that was asked; empty once it has answered
	req    api.SubmitJobRequest
	config checkpoint.Config
	source fsm.Source
	graph  plannedGraph   // when the node has answered
	reply  chan submitted // capacity 1
}

// plannedGraph is what the coordinator keeps of a graph.
type plannedGraph struct {
	topology    checkpoint.Topology
	fingerprint checkpoint.Fingerprint
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
	source, err := l.reading().source(req.Source)
	if err != nil {
		reply <- submitted{err: err}
		return
	}
	node, err := l.planner(req.Program)
	if err != nil {
		reply <- submitted{err: err}
		return
	}
	p := &planRequest{node: node, req: req, config: config, source: source, reply: reply}
	request := l.nextPlan()
	l.requests.plans[request] = p
	l.send(node, checkpoint.PlanJob{
		Term: l.term, Request: request, Program: req.Program, Params: req.Params, Overrides: overridesOf(req.Parallelism),
	})
}

// askPlan asks a node for its graph of a job that has been submitted before.
func (l *leader) askPlan(a AskPlan) {
	request := l.nextPlan()
	l.view.OnPlanAsked(a, request, time.Now())
	l.send(a.Node, checkpoint.PlanJob{Term: l.term, Request: request, Program: a.Program, Params: a.Params, Overrides: a.Overrides})
}

// nextPlan returns the number of a PlanJob, which the answer repeats.
func (l *leader) nextPlan() uint64 {
	l.requests.nextPlan++
	return l.requests.nextPlan
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
	return "", api.Errorf(api.NotFound, "no node has a program %q; they have %s", program, strings.Join(slices.Compact(known), ", "))
}

// dropPlans answers the submissions that a node was asked about whose session has ended.
func (l *leader) dropPlans(node checkpoint.NodeID) {
	for request, p := range l.requests.plans {
		if p.node == node {
			l.endPlan(request, submitted{err: api.Errorf(api.Unavailable,
				"node %s was lost while it built the graph of job %q; submit it again", node, p.req.Program)})
		}
	}
	for request, r := range l.requests.rescales {
		if r.node == node {
			l.endRescale(request, rescaled{err: api.Errorf(api.Unavailable,
				"node %s was lost while it built the graph; nothing was changed, try again", node)})
		}
	}
}

// planned goes on with a submission: the graph's shape is known, or the reason why there is none.
func (l *leader) planned(id checkpoint.NodeID, m checkpoint.JobPlanned) {
	if r := l.requests.rescales[m.Request]; r != nil && r.node == id {
		l.rescalePlanned(m.Request, r, m)
		return
	}
	p := l.requests.plans[m.Request]
	if p == nil || p.node != id {
		return
	}
	p.node = ""
	p.graph = plannedGraph{m.Topology, m.Fingerprint}
	err := m.Topology.Validate()
	switch {
	case m.Error != "":
		l.endPlan(m.Request, submitted{err: api.Errorf(api.Invalid, "%s", m.Error)})
	case err != nil:
		l.endPlan(m.Request, submitted{err: api.Errorf(api.Invalid, "job %q: %v", p.req.Program, err)})
	case !p.source.IsZero():
		l.loadSource(l.ctx, m.Request, p)
	default:
		l.propose(m.Request, p)
	}
}

// propose ends a submission in the log.
func (l *leader) propose(request uint64, p *planRequest) {
	var id checkpoint.JobID
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	err := l.proposeOne(fsm.SubmitJob{
		Job: id, Name: p.req.Name, Program: p.req.Program, Params: p.req.Params,
		Topology: p.graph.topology, Fingerprint: p.graph.fingerprint, Parallelism: chosen(p.req.Parallelism, p.graph.topology),
		Config: p.config, Source: p.source, At: now(),
	})
	l.endPlan(request, submitted{id: id, err: err})
}

// withdrawPlan ends a submission that nobody waits for any more.
func (l *leader) withdrawPlan(reply chan submitted, why error) {
	for request, p := range l.requests.plans {
		if p.reply == reply {
			l.endPlan(request, submitted{err: why})
		}
	}
}

// endPlan answers a submission.
func (l *leader) endPlan(request uint64, with submitted) {
	p := l.requests.plans[request]
	delete(l.requests.plans, request)
	p.reply <- with
}
