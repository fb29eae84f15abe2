package executor

import (
	"errors"
	"fmt"

	"cairn/checkpoint"
)

var (
	// errStaleTerm rejects what a deposed leader still says (I6).
	errStaleTerm = errors.New("message of an older term")
	// errNotLeader rejects a message on a session whose coordinator has not said that it leads the term.
	errNotLeader = errors.New("message from a coordinator that does not lead the term")
)

// fence knows the highest term that the process has seen and who leads it, and lets only that leader's
// messages through (I6). It is pure; the executor's mutex guards it.
type fence struct {
	term    checkpoint.Term   // the highest seen; never decreases
	leader  checkpoint.NodeID // of that term, from its Leading
	session Session           // on which the leader last said that it leads; nil when that session is closed
}

// admit judges a message that came on session s. A Leading of a new term, or of the same leader on a new
// session, moves the fence.
func (f *fence) admit(s Session, m checkpoint.ToNode) error {
	if m.LeaderTerm() < f.term {
		return fmt.Errorf("%w: %s is of term %d, the highest seen is %d", errStaleTerm, m, m.LeaderTerm(), f.term)
	}
	leading, ok := m.(checkpoint.Leading)
	switch {
	case ok && leading.Term == f.term && leading.Leader != f.leader:
		return fmt.Errorf("%w: %s, but term %d is led by %s", errNotLeader, m, f.term, f.leader)
	case ok:
		f.term, f.leader, f.session = leading.Term, leading.Leader, s
		return nil
	case m.LeaderTerm() > f.term || s != f.session:
		return fmt.Errorf("%w: %s of term %d", errNotLeader, m, m.LeaderTerm())
	}
	return nil
}

// closed forgets a session and reports whether it was the leader's. The term stays: a closed session ends
// no term.
func (f *fence) closed(s Session) bool {
	if f.session != s || s == nil {
		return false
	}
	f.session = nil
	return true
}
