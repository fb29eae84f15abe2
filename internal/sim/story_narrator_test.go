package sim

import (
	"fmt"
	"strings"

	"cairn/checkpoint"
)

// narrator writes down what a reader of the protocol wants to know, a line for each thing that happens.
type narrator struct {
	world  *World
	lines  []string
	logged int      // entries of the committed log that are written down
	sent   []Moment // what leaders have told nodes about checkpoints
	trap   trap
}

// trap lets something happen at a moment.
type trap struct {
	on     string // as in momentName
	count  int    // at the count-th such moment; 0 and 1 mean the first
	spring func()
}

func (n *narrator) note(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// take returns what was written down since the last time.
func (n *narrator) take() string {
	text := strings.Join(n.lines, "\n")
	n.lines = nil
	for i, c := range n.world.clients {
		text = strings.ReplaceAll(text, "job "+c.id.String(), fmt.Sprintf("job-%d", i+1))
	}
	return text
}

func (n *narrator) moment(m Moment) {
	n.noteLog()
	switch m.Kind {
	case Leads:
		n.note("%s leads term %d", m.Coordinator, m.Term)
	case StopsLeading:
		n.note("%s stops leading term %d", m.Coordinator, m.Term)
	case Starts:
		n.note("%s%s starts", m.Coordinator, m.Node)
	case Crashes:
		n.note("%s%s crashes", m.Coordinator, m.Node)
	case Sent:
		if _, leading := m.Message.(checkpoint.Leading); !leading {
			n.sent = append(n.sent, m)
		}
		n.note("%s -> %s  %s", m.Coordinator, m.Node, toNodeText(m.Message))
	case Received:
		if m.Refused {
			n.note("   %s  refuses %s of term %d", m.Node, toNodeText(m.Message), m.Message.LeaderTerm())
		}
	case Heard:
		if text := fromNodeText(m.From); text != "" {
			n.note("%s <- %s  %s", m.Coordinator, m.Node, text)
		}
	case ManifestWritten:
		n.note("%s  has stored the manifest", m.Coordinator)
	}
	n.spring(m)
}

// noteLog writes down what the log has committed meanwhile.
func (n *narrator) noteLog() {
	for ; n.logged < len(n.world.check.log); n.logged++ {
		n.note("%s", n.world.entryText(n.logged+1))
	}
}

func (n *narrator) spring(m Moment) {
	if n.trap.spring == nil || momentName(m) != n.trap.on {
		return
	}
	if n.trap.count--; n.trap.count > 0 {
		return
	}
	spring := n.trap.spring
	n.trap = trap{}
	spring()
}

// momentName names a moment for crash on=….
func momentName(m Moment) string {
	switch m.Kind {
	case Proposed:
		return "propose:" + commandName(m.Command)
	case Applied:
		if m.Command != nil {
			return "apply:" + commandName(m.Command)
		}
	case Sent:
		return "send:" + firstWord(toNodeText(m.Message))
	case Heard:
		return "hear:" + firstWord(fromNodeText(m.From))
	case ManifestWritten:
		return "manifest"
	}
	return ""
}
