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

type storyCommand func(s *story, t *testing.T, d *datadriven.TestData) string

// storyCommands are the commands of stories; testdata/README.md says what they do.
var storyCommands = map[string]storyCommand{
	"cluster":   (*story).doCluster,
	"submit":    (*story).doSubmit,
	"trigger":   (*story).doTrigger,
	"savepoint": (*story).doSavepoint,
	"stop":      (*story).doStop,
	"dispose":   (*story).doDispose,
	"set":       (*story).doSet,
	"cancel":    (*story).doCancel,
	"ack":       (*story).doAck,
	"decline":   (*story).doDecline,
	"fail":      (*story).doFail,
	"finish":    (*story).doFinish,
	"hold":      (*story).doHold,
	"deliver":   (*story).doDeliver,
	"replay":    (*story).doReplay,
	"crash":     (*story).doCrash,
	"start":     (*story).doStart,
	"elect":     (*story).doElect,
	"transfer":  (*story).doTransfer,
	"partition": (*story).doPartition,
	"heal":      (*story).doHeal,
	"tick":      (*story).doTick,
	"log":       (*story).doLog,
	"show":      (*story).doShow,
}

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
	cfg.Timing.SweepPause = time.Hour
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

// doHold keeps everything back that goes to and comes from a node.
func (s *story) doHold(t *testing.T, d *datadriven.TestData) string {
	for _, a := range d.CmdArgs {
		s.net.held[s.hostOf(checkpoint.NodeID(a.Key)).self] = true
	}
	return s.settled(0)
}

// doDeliver lets through what was held back; drop=n loses it, and with it the sessions on which it was.
func (s *story) doDeliver(t *testing.T, d *datadriven.TestData) string {
	var lost string
	d.MaybeScanArgs(t, "drop", &lost)
	for _, h := range s.hosts {
		if !s.net.held[h.self] || string(h.id) != lost {
			continue
		}
		for _, session := range h.proc.sessions {
			if session != nil {
				session.lose()
			}
		}
	}
	clear(s.net.held)
	return s.settled(settle)
}

// doReplay delivers once more, to every node, what leaders of a term have sent it about checkpoints: as from a
// leader that does not know that it was deposed.
func (s *story) doReplay(t *testing.T, d *datadriven.TestData) string {
	var term uint64
	d.ScanArgs(t, "term", &term)
	for _, sent := range slices.Clone(s.sent) {
		if sent.Message.LeaderTerm() != checkpoint.Term(term) {
			continue
		}
		n := s.hostOf(sent.Node).proc
		if n == nil {
			continue
		}
		n.receive(n.sessions[s.coordinatorOf(string(sent.Coordinator)).self], sent.Message)
	}
	return s.settled(settle)
}

// doCrash ends the process of a coordinator, of the leader or of a node. With on=… it happens at the next such
// moment: crash leader on=send:notify-complete.
func (s *story) doCrash(t *testing.T, d *datadriven.TestData) string {
	who := d.CmdArgs[0].Key
	var on string
	d.MaybeScanArgs(t, "on", &on)
	lost := d.HasArg("lost")
	if on == "" {
		s.crashNow(who, lost)
		return s.settled(settle)
	}
	s.trap = trap{on: on, spring: func() { s.crashNow(who, lost) }}
	d.MaybeScanArgs(t, "count", &s.trap.count)
	return s.settled(0)
}

// crashNow ends a process; lost says that what it has just sent is lost with it.
func (s *story) crashNow(who string, lost bool) {
	if strings.HasPrefix(who, "n") {
		s.hostOf(checkpoint.NodeID(who)).kill()
		return
	}
	c := s.coordinatorOf(who)
	if lost {
		s.net.split(func(endpoint int) bool { return endpoint == c.self })
		s.after(5*time.Millisecond, s.net.heal)
	}
	c.crash()
}

func (s *story) doStart(_ *testing.T, d *datadriven.TestData) string {
	for _, a := range d.CmdArgs {
		if strings.HasPrefix(a.Key, "n") {
			s.hostOf(checkpoint.NodeID(a.Key)).start()
		} else {
			s.coordinatorOf(a.Key).start()
		}
	}
	return s.settled(settle)
}

// doElect makes a coordinator stand for election, as one does that has not heard from the leader for a while.
func (s *story) doElect(_ *testing.T, d *datadriven.TestData) string {
	s.coordinatorOf(d.CmdArgs[0].Key).raft.campaign()
	return s.settled(settle)
}

// doTransfer makes the leader hand over to another coordinator, as before a planned stop.
func (s *story) doTransfer(t *testing.T, d *datadriven.TestData) string {
	var to string
	d.ScanArgs(t, "to", &to)
	s.coordinatorOf("leader").handOver(s.coordinatorOf(to).self)
	return s.settled(settle)
}

// doPartition cuts groups of processes off from each other: partition c1 / c2 c3. Who is in no group reaches all.
func (s *story) doPartition(t *testing.T, d *datadriven.TestData) string {
	group := make(map[string]int)
	n := 1
	for _, a := range d.CmdArgs {
		if a.Key == "/" {
			n++
			continue
		}
		group[a.Key] = n
	}
	for a := range s.net.cut {
		for b := range s.net.cut {
			ga, gb := group[s.nameOf(a)], group[s.nameOf(b)]
			s.net.cut[a][b] = s.net.cut[a][b] || ga != 0 && gb != 0 && ga != gb
		}
	}
	return s.settled(settle)
}

func (s *story) nameOf(endpoint int) string {
	if endpoint < len(s.coordinators) {
		return string(s.coordinators[endpoint].id)
	}
	return string(s.hosts[endpoint-len(s.coordinators)].id)
}

func (s *story) doHeal(_ *testing.T, _ *datadriven.TestData) string {
	s.net.heal()
	return s.settled(settle)
}

// doTick lets time pass.
func (s *story) doTick(t *testing.T, d *datadriven.TestData) string {
	wait, err := time.ParseDuration(d.CmdArgs[0].Key)
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	return s.settled(wait)
}

// doLog prints the committed log, or what follows from=index.
func (s *story) doLog(t *testing.T, d *datadriven.TestData) string {
	from := 1
	d.MaybeScanArgs(t, "from", &from)
	var b strings.Builder
	for index := from; index <= len(s.check.log); index++ {
		fmt.Fprintln(&b, s.entryText(index))
	}
	return b.String()
}

// doShow prints the committed state of a job, what nodes hold, or how many chunks are on their disks.
func (s *story) doShow(t *testing.T, d *datadriven.TestData) string {
	if d.HasArg("nodes") {
		return s.showNodes()
	}
	if d.HasArg("disks") {
		return s.showDisks()
	}
	_, j := s.storyJob(t, d)
	return jobText(j)
}

func (s *story) showNodes() string {
	var b strings.Builder
	for _, h := range s.hosts {
		if h.proc == nil {
			fmt.Fprintf(&b, "%s is down\n", h.id)
			continue
		}
		fmt.Fprintf(&b, "%s incarnation %d, follows %s\n", h.id, h.proc.ref.Incarnation, leaderText(h.proc.fence))
		h.proc.eachAttempt(func(a *attempt) {
			for _, t := range a.tasks {
				fmt.Fprintf(&b, "   %s of attempt %d %s, notified of %d\n", t.id, a.number(), t.last.Status, t.notified)
			}
			for _, ack := range unresolved(a.book.acks) {
				fmt.Fprintf(&b, "   keeps its ack of %d by %s\n", ack.Checkpoint, ack.State.Subtask)
			}
		})
	}
	return b.String()
}

// showDisks counts the chunks on each disk: those that something in use names, and the others.
func (s *story) showDisks() string {
	var b strings.Builder
	for _, h := range s.hosts {
		inUse := 0
		for id := range h.disk {
			if _, found := s.check.chunksInUse()[place{id, h}]; found {
				inUse++
			}
		}
		fmt.Fprintf(&b, "%s has %d chunks in use, %d others\n", h.id, inUse, len(h.disk)-inUse)
	}
	return b.String()
}

func leaderText(f fence) string {
	if f.session == nil {
		return fmt.Sprintf("nobody since term %d", f.term)
	}
	return fmt.Sprintf("%s in term %d", f.leader, f.term)
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
