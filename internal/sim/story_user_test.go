package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cairn/checkpoint"
	"cairn/fsm"
)

// What users and tasks do in stories.

// doCluster starts coordinators and nodes and waits for the first leader.
func (s *story) doCluster(t *testing.T, d *datadriven.TestData) string {
	coordinators, slots := 3, 1
	d.MaybeScanArgs(t, "coordinators", &coordinators)
	d.MaybeScanArgs(t, "slots", &slots)
	d.MaybeScanArgs(t, "acks", &s.acks)
	nodes := 2
	d.MaybeScanArgs(t, "nodes", &nodes)
	cfg := Config{
		Seed: 1, Coordinators: coordinators, Timing: timing(), OrphanTimeout: time.Minute, Steady: true,
		Slots: slices.Repeat([]int{slots}, nodes),
	}
	cfg.Timing.SweepPause, cfg.Timing.FullSweepPause, cfg.Timing.FullSweepSoon = time.Hour, time.Hour, time.Hour
	if d.HasArg("sweeps") {
		cfg.Timing.SweepPause = settle / 2
	}
	s.script = newScript(t, cfg)
	s.narrator.world = s.World
	s.gate = s.gateAnswer
	s.watch = func(m Moment) {
		if m.Kind != Starts {
			s.narrator.moment(m)
		}
	}
	s.await("a leader", func() bool { c := s.raftLeader(); return c != nil && c.loop != nil })
	s.watch = s.narrator.moment
	return s.settled(settle)
}

// doSubmit submits a job; arguments that are not of the command's own are keys of its configuration.
func (s *story) doSubmit(t *testing.T, d *datadriven.TestData) string {
	vertices, edges, settings := "src:2,sink:2", "src>sink", map[string]string{"checkpointing.interval": "0s"}
	var from *From
	for _, a := range d.CmdArgs {
		switch value := strings.Join(a.Vals, ","); {
		case a.Key == "quiet" || a.Key == "claim":
		case a.Key == "from":
			from = &From{Job: len(s.clients) - 1, Kind: checkpoint.KindCheckpoint, Claim: d.HasArg("claim")}
			if value == "savepoint" {
				from.Kind = checkpoint.KindSavepoint
			}
		case a.Key == "vertices":
			vertices, edges = value, ""
		case a.Key == "edges":
			edges = value
		case strings.Contains(a.Key, "."):
			settings[a.Key] = value
		default:
			settings["checkpointing."+a.Key] = value
		}
	}
	topology, err := parseTopology(vertices, edges)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	config, err := checkpoint.ParseConfig(settings)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	s.addClient(len(s.clients), Job{Topology: topology, Config: config, From: from})
	return s.settled(settle)
}

// doTrigger asks for a checkpoint.
func (s *story) doTrigger(t *testing.T, d *datadriven.TestData) string {
	c, _ := s.storyJob(t, d)
	c.request(checkpoint.KindCheckpoint, checkpoint.StopNone, patience)
	return s.settled(settle)
}

// doSavepoint asks for a savepoint.
func (s *story) doSavepoint(t *testing.T, d *datadriven.TestData) string {
	c, _ := s.storyJob(t, d)
	c.request(checkpoint.KindSavepoint, checkpoint.StopNone, patience)
	return s.settled(settle)
}

// doStop asks for the savepoint that the job is to end with.
func (s *story) doStop(t *testing.T, d *datadriven.TestData) string {
	c, _ := s.storyJob(t, d)
	stop := checkpoint.StopSuspend
	if d.HasArg("drain") {
		stop = checkpoint.StopDrain
	}
	c.request(checkpoint.KindSavepoint, stop, patience)
	return s.settled(settle)
}

// doDispose gives up the oldest savepoint.
func (s *story) doDispose(t *testing.T, d *datadriven.TestData) string {
	c, _ := s.storyJob(t, d)
	c.dispose()
	return s.settled(settle)
}

// doSet changes keys of the configuration.
func (s *story) doSet(t *testing.T, d *datadriven.TestData) string {
	c, j := s.storyJob(t, d)
	settings := j.Config.Values()
	for _, a := range d.CmdArgs {
		settings["checkpointing."+a.Key] = strings.Join(a.Vals, ",")
	}
	config, err := checkpoint.ParseConfig(settings)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	c.call(func(l *leaderLoop) fsm.Command { return fsm.ConfigureJob{Job: c.id, Config: config, At: l.at()} })
	return s.settled(settle)
}

func (s *story) doCancel(t *testing.T, d *datadriven.TestData) string {
	c, _ := s.storyJob(t, d)
	c.cancel()
	return s.settled(settle)
}

// doAck lets stored snapshots be acknowledged: those of the tasks or nodes that it names, or all; with checkpoint=n
// those of that checkpoint.
func (s *story) doAck(t *testing.T, d *datadriven.TestData) string {
	var id uint64
	d.MaybeScanArgs(t, "checkpoint", &id)
	released := s.release(func(h heldAnswer) bool {
		if id != 0 && h.barrier.ID != checkpoint.ID(id) {
			return false
		}
		return d.HasArg("all") || d.HasArg(h.task.id.String()) || d.HasArg(string(h.task.a.n.ref.ID))
	})
	if released == 0 {
		d.Fatalf(t, "nobody has a stored snapshot to acknowledge: %v", d.CmdArgs)
	}
	return s.settled(settle)
}

// doDecline makes a task decline the checkpoint of which it has a stored snapshot.
func (s *story) doDecline(t *testing.T, d *datadriven.TestData) string {
	at := slices.IndexFunc(s.held, func(h heldAnswer) bool { return d.HasArg(h.task.id.String()) })
	if at < 0 {
		d.Fatalf(t, "nobody has a stored snapshot to give up: %v", d.CmdArgs)
	}
	h := s.held[at]
	s.held = slices.Delete(s.held, at, at+1)
	h.task.decline(h.barrier, checkpoint.ReasonAsyncException)
	return s.settled(settle)
}

// doFail makes a task fail.
func (s *story) doFail(t *testing.T, d *datadriven.TestData) string {
	s.taskOf(t, d, d.CmdArgs[0].Key).fail("division by zero", false)
	return s.settled(settle)
}

// doFinish lets the input of sources end.
func (s *story) doFinish(t *testing.T, d *datadriven.TestData) string {
	for _, a := range d.CmdArgs {
		s.taskOf(t, d, a.Key).endInput()
	}
	return s.settled(settle)
}

// parseTopology reads vertices a:2,b:3 and edges a>b (a shuffle) or a-b (forward).
func parseTopology(vertices, edges string) (checkpoint.Topology, error) {
	var topology checkpoint.Topology
	index := make(map[string]int)
	for i, v := range strings.Split(vertices, ",") {
		name, text, found := strings.Cut(v, ":")
		parallelism := 1
		if found {
			if _, err := fmt.Sscan(text, &parallelism); err != nil {
				return topology, fmt.Errorf("vertex %q: want name:parallelism", v)
			}
		}
		index[name] = i
		topology.Vertices = append(topology.Vertices, checkpoint.Vertex{
			ID: checkpoint.VertexID(name), Operators: []checkpoint.OperatorID{checkpoint.OperatorID(name)},
			Parallelism: parallelism, MaxParallelism: 128,
		})
	}
	for e := range strings.SplitSeq(edges, ",") {
		if e == "" {
			continue
		}
		partitioning, separator := checkpoint.Hash, ">"
		if strings.Contains(e, "-") {
			partitioning, separator = checkpoint.Forward, "-"
		}
		from, to, _ := strings.Cut(e, separator)
		topology.Edges = append(topology.Edges, checkpoint.Edge{From: index[from], To: index[to], Partitioning: partitioning})
	}
	return topology, topology.Validate()
}
