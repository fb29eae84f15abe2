package sim

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// MomentKind says what has just happened.
type MomentKind uint8

// The moments at which a script may step in.
const (
	// Proposed: a leader has appended Command to its log. Nothing has left it yet but copies on the network.
	Proposed MomentKind = iota + 1
	// Applied: a coordinator has applied Command; nil for a new leader's first entry.
	Applied
	// Sent: a leader has sent Message to Node.
	Sent
	// Received: Node has received Message.
	Received
	// Acked: a task on Node has acknowledged a checkpoint.
	Acked
	// ManifestWritten: a leader has stored a manifest, and has not read that yet.
	ManifestWritten
	// Heard: a leader has received From of Node, and has not drawn any conclusion from it.
	Heard
	// Leads: a coordinator begins to lead a term.
	Leads
	// StopsLeading: a coordinator has ended its leader loop.
	StopsLeading
	// Starts: the process of a coordinator, or of a node, begins.
	Starts
	// Crashes: the process of a coordinator, or of a node, is gone.
	Crashes
)

// Moment is a point at which a script can let something go wrong, exactly there.
type Moment struct {
	Kind        MomentKind
	Coordinator checkpoint.NodeID
	Node        checkpoint.NodeID
	Command     fsm.Command
	Term        checkpoint.Term // of Leads and StopsLeading
	Message     checkpoint.ToNode
	Refused     bool // Received: the node's fence did not let the message through
	From        checkpoint.FromNode
}

// moment tells the script, and lets things go wrong right here.
func (w *World) moment(m Moment) {
	w.watch(m)
	if w.calm || !w.chance(w.cfg.Sharp) {
		return
	}
	if m.Node != "" && m.Kind != Crashes && w.chance(0.5) {
		w.strikeSession(w.hostOf(m.Node))
		return
	}
	for _, c := range w.coordinators {
		if c.id == m.Coordinator && c.loop != nil {
			w.trace.add(w.now, "FAULT: right now, at %s", c.id)
			w.strikeLeader(c)
		}
	}
}

// strikeSession breaks a node's session to its leader in the midst of something, with all that is on its way.
func (w *World) strikeSession(h *host) {
	if h.proc == nil || h.proc.outbox == nil {
		return
	}
	w.trace.add(w.now, "FAULT: right now, the session of %s", h.id)
	h.proc.outbox.lose()
}

// strikeLeader ends a leadership in the midst of something: with its process, or by the election of another, with
// or without what it has just said.
func (w *World) strikeLeader(c *coord) {
	if w.chance(0.3) {
		w.cutOff(c)
	}
	if w.chance(0.5) {
		w.crashCoordinator(c)
		return
	}
	other := w.coordinators[(c.self+1)%len(w.coordinators)]
	w.after(w.between(0, 5*time.Millisecond), func() {
		if other.up {
			other.raft.campaign()
		}
	})
}
