package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// A node is given tasks of a job only when its build of the program makes the graph that the job was submitted with. So
// before an attempt is placed, each node that might be given some is asked, once in its life: AskPlan.

// AskPlan asks a node for the graph that its build makes of a job. The loop numbers the question, tells the view with
// OnPlanAsked, and sends PlanJob; the answer ends with OnPlanned.
type AskPlan struct {
	Node    checkpoint.NodeID
	Job     checkpoint.JobID
	Program string
	Params  map[string]string
	// Topology is what the node's graph ought to be, and Overrides what makes its parallelism.
	Topology  checkpoint.Topology
	Overrides checkpoint.Overrides
}

func (AskPlan) action() {}

func (a AskPlan) String() string {
	return fmt.Sprintf("ask %s for its graph of job %s", a.Node, a.Job)
}

// builtGraph is what a node has said about its graph of a job.
type builtGraph struct {
	request  uint64
	asked    checkpoint.Topology // the answer is compared with it; a job with another one asks again
	askedAt  time.Time
	answered bool
	// difference says how the graph differs from the job's, empty when it does not, or not in its topology.
	difference string
	// foreign says that only the fingerprint shows a difference. It can be found in operators.
	foreign   bool
	operators []checkpoint.OperatorText
}

// answer takes in what the node says.
func (g *builtGraph) answer(j *fsm.Job, m checkpoint.JobPlanned) {
	g.answered = true
	switch difference := g.asked.Difference(m.Topology); {
	case m.Error != "":
		message, _, _ := strings.Cut(m.Error, "\n") // a panic brings its stack
		g.difference = "cannot make the graph: " + message
	case difference != "":
		g.difference = difference
	case j.Fingerprint.Contradicts(m.Fingerprint):
		g.foreign, g.operators = true, m.Operators
	}
}

func (g *builtGraph) agrees() bool { return g.answered && g.difference == "" && !g.foreign }

// about reports whether the question was about the job as it is now.
func (g *builtGraph) about(t checkpoint.Topology) bool {
	return g != nil && t.Difference(g.asked) == ""
}

// askPlans asks the nodes that have slots of the given ones for their graphs of the job in its next shape, those that
// have not been asked. It reports whether all have answered that are going to: none is waited for longer than
// Timing.PlanAnswer.
func (d *decision) askPlans(j *fsm.Job, next fsm.Shape, slots map[checkpoint.NodeID]int) bool {
	complete := true
	for _, n := range d.view.order {
		if slots[n.ref.ID] == 0 || !slices.Contains(n.programs, j.Program) {
			continue
		}
		g := n.graphs[j.ID]
		switch {
		case !g.about(next.Topology):
			d.do(AskPlan{
				Node: n.ref.ID, Job: j.ID, Program: j.Program, Params: j.Params,
				Topology: next.Topology, Overrides: checkpoint.OverridesFor(next.Topology, next.Parallelism),
			})
			complete = false
		case !g.answered && d.now.Sub(g.askedAt) <= d.view.Timing.PlanAnswer:
			complete = false
		}
	}
	return complete
}

// freeFor returns those of the slots that are on nodes whose graph of the job is known to be t.
func (d *decision) freeFor(j *fsm.Job, t checkpoint.Topology, slots map[checkpoint.NodeID]int) map[checkpoint.NodeID]int {
	free := make(map[checkpoint.NodeID]int, len(slots))
	for id, n := range slots {
		if g := d.view.nodes[id].graphs[j.ID]; n > 0 && g.about(t) && g.agrees() {
			free[id] = n
		}
	}
	return free
}

// knowing returns the free slots of the nodes that were built with the job's program.
func (d *decision) knowing(program string) map[checkpoint.NodeID]int {
	free := make(map[checkpoint.NodeID]int, len(d.free))
	for id, slots := range d.free {
		if slices.Contains(d.view.nodes[id].programs, program) {
			free[id] = slots
		}
	}
	return free
}

// excluded says, for each node that is there and knows the job's program, what keeps it from being given tasks of the
// job, and which nodes have still to say so.
func (v *View) excluded(j *fsm.Job, now time.Time) (problems []string, awaited []checkpoint.NodeID) {
	for _, n := range v.order {
		g := n.graphs[j.ID]
		if v.stateOf(n, now) != nodeAlive || !g.about(j.NextShape().Topology) || g.agrees() {
			continue
		}
		why := "its build " + v.difference(j, g)
		if !g.answered {
			waited := now.Sub(g.askedAt)
			if waited <= v.Timing.PlanAnswer {
				awaited = append(awaited, n.ref.ID)
				continue
			}
			why = fmt.Sprintf("it has not said for %s what graph its build makes", waited.Round(time.Second))
		}
		problems = append(problems, fmt.Sprintf("node %s gets no task of job %s: %s", n.ref.ID, j.Name, why))
	}
	return problems, awaited
}

// difference names what a node's graph has otherwise than the job's. Where only the fingerprints differ that can be told
// once some node has answered whose graph is the job's.
func (v *View) difference(j *fsm.Job, g *builtGraph) string {
	if !g.foreign {
		return g.difference
	}
	if known := v.job(j).operators; known != nil {
		if difference := checkpoint.OperatorDifference(known, g.operators); difference != "" {
			return difference
		}
	}
	return "makes a graph with another fingerprint than the one that was submitted"
}

// OnPlanAsked records that a node is being asked, so that Decide does not ask again.
func (v *View) OnPlanAsked(a AskPlan, request uint64, now time.Time) {
	n := v.nodes[a.Node]
	if n == nil || v.byID[a.Job] == nil {
		return
	}
	if n.graphs == nil {
		n.graphs = make(map[checkpoint.JobID]*builtGraph)
	}
	n.graphs[a.Job] = &builtGraph{request: request, asked: a.Topology, askedAt: now}
}

// OnPlanned takes in the answer to a question. It reports whether it was one that the view had asked, of that node.
func (v *View) OnPlanned(id checkpoint.NodeID, m checkpoint.JobPlanned) bool {
	n := v.nodes[id]
	if n == nil {
		return false
	}
	for job, g := range n.graphs {
		if g.request != m.Request || g.answered {
			continue
		}
		if j := v.byID[job]; j != nil {
			g.answer(j, m)
			if s := v.job(j); g.agrees() && s.operators == nil {
				s.operators = m.Operators
			}
		}
		return true
	}
	return false
}

// forgetUnanswered makes Decide ask again what was asked in an earlier session: the answer may be lost with it.
func (n *nodeView) forgetUnanswered() {
	for job, g := range n.graphs {
		if !g.answered {
			delete(n.graphs, job)
		}
	}
}
