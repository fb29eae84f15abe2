package sim

import (
	"fmt"
	"hash"
	"hash/fnv"
	"time"
)

// traced is how many of the last events a failure shows.
const traced = 300

// trace remembers the last events. Lines are formatted when they are read, since nearly all never are; what is
// passed to add must therefore not change later.
type trace struct {
	lines []traceLine // a ring
	next  int
	sum   hash.Hash64 // over all lines, formatted at once; nil unless somebody wants it
}

type traceLine struct {
	at     time.Duration
	format string
	args   []any
}

func (l traceLine) String() string {
	return fmt.Sprintf("%9.3fms  ", float64(l.at)/float64(time.Millisecond)) + fmt.Sprintf(l.format, l.args...)
}

// summed makes the trace keep a checksum of everything that is ever added.
func (t *trace) summed() { t.sum = fnv.New64a() }

func (t *trace) add(at time.Duration, format string, args ...any) {
	l := traceLine{at, format, args}
	if t.sum != nil {
		fmt.Fprintln(t.sum, l)
	}
	if len(t.lines) < traced {
		t.lines = append(t.lines, l)
		return
	}
	t.lines[t.next] = l
	t.next = (t.next + 1) % traced
}

// last returns the lines that are remembered, oldest first.
func (t *trace) last() []string {
	lines := make([]string, 0, len(t.lines))
	for i := range t.lines {
		lines = append(lines, t.lines[(t.next+i)%len(t.lines)].String())
	}
	return lines
}
