package dataflow

import "time"

// maxStint is about how long a task works on records before it looks at its mail, its timers and its outputs again: as long
// as records wait in an output at most.
const maxStint = flushInterval

// stint is a run of records that a task works on without looking at anything else.
type stint struct {
	began time.Time // when the first record was done
	done  int       // records
}

// looksAtClock says behind which records of a stint that is done: the first, the second, the fourth and so on, and every
// 64th. So it happens soon enough where records take long, and costs next to nothing where they do not.
func looksAtClock(done int) bool { return done&63 == 0 || done&(done-1) == 0 }

// stintOver reports whether the task has been at it for long enough when so many records are done. It is asked behind the
// first one, too.
func (c *chain) stintOver(done int) bool {
	switch {
	case c.now == nil: // in tests of its parts
		return false
	case done == 1:
		c.stint.began = c.now()
		return false
	}
	return c.now().Sub(c.stint.began) >= maxStint
}

// sourceStintOver is stintOver for a source, which says nothing but that a further record is done.
func (c *chain) sourceStintOver() bool {
	c.stint.done++
	return looksAtClock(c.stint.done) && c.stintOver(c.stint.done)
}
