package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cairn/checkpoint"
)

// What goes wrong in stories, and how time passes.

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
	if lost != "" {
		s.loseSessions(lost)
	}
	clear(s.net.held)
	return s.settled(settle)
}

// doLose breaks a node's sessions, with everything that is on its way in them.
func (s *story) doLose(_ *testing.T, d *datadriven.TestData) string {
	s.loseSessions(d.CmdArgs[0].Key)
	return s.settled(settle)
}

func (s *story) loseSessions(node string) {
	for _, session := range s.hostOf(checkpoint.NodeID(node)).proc.sessions {
		if session != nil {
			session.lose()
		}
	}
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
