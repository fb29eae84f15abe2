package sim

import (
	"time"

	"cairn/checkpoint"
)

// channel carries frames from one task to one input of another, which may be on another node. It breaks with
// either of the two, and both then fail.
type channel struct {
	from *task
	to   int // ordinal of the receiver
	at   int // its input
	pipe *pipe
}

func newChannel(t *task, to, at int) *channel {
	c := &channel{from: t, to: to, at: at}
	c.pipe = &pipe{w: t.w, from: t.a.n.host.self, to: t.w.hostOf(c.receiverRef().ID).self, broken: c.broke}
	return c
}

func (c *channel) receiverRef() checkpoint.NodeRef { return c.from.a.deploy.Assignment.Node(c.to) }

func (t *task) broadcast(f frame) {
	for _, c := range t.outputs {
		c.pipe.send(func() { c.deliver(f, t.w.now+connectLimit) })
	}
}

// receiver returns the task at the other end. It reports refused when there will never be one: that process, or
// that attempt in it, is gone.
func (c *channel) receiver() (t *task, refused bool) {
	ref, deploy := c.receiverRef(), c.from.a.deploy
	n := c.from.w.hostOf(ref.ID).proc
	if n == nil || n.ref != ref {
		return nil, true
	}
	j := n.jobs[deploy.Job]
	switch {
	case j == nil || j.seen < c.from.deployed:
		return nil, false
	case j.current == nil:
		return nil, true
	}
	t = j.current.task(c.to)
	switch {
	case t == nil, t.ending && !t.ended(), t.deployed != c.from.deployed && !n.w.broken(IgnoresAttempts):
		return nil, true
	case !t.started:
		return nil, false
	}
	return t, false
}

// deliver hands a frame over, waiting in front of it while the other side has not been deployed yet.
func (c *channel) deliver(f frame, until time.Duration) {
	if !c.from.a.n.up || c.from.ending && c.from.last.Status != checkpoint.SubtaskFinished {
		return
	}
	t, refused := c.receiver()
	switch {
	case refused || t == nil && c.from.w.now > until:
		c.broke()
	case t == nil:
		c.pipe.retry(func() { c.deliver(f, until) })
	case t.last.Status == checkpoint.SubtaskFinished:
	case t.ended():
		c.broke()
	default:
		c.from.w.check.handed(c.from, t)
		t.receive(c.at, f)
	}
}

// broke fails both ends.
func (c *channel) broke() {
	c.pipe.close()
	if t, _ := c.receiver(); t != nil {
		t.fail("a channel to its input broke", true)
	}
	if c.from.a.n.up {
		c.from.fail("a channel to its output broke", true)
	}
}

// breakChannels is how the neighbours of a task that is gone find out.
func (t *task) breakChannels() {
	job, number := t.a.deploy.Job, t.deployed
	neighbours := make([]int, 0, len(t.outputs)+len(t.inputs))
	for _, c := range t.outputs {
		neighbours = append(neighbours, c.to)
	}
	for _, in := range t.inputs {
		neighbours = append(neighbours, in.from)
	}
	for _, ordinal := range neighbours {
		ref := t.a.deploy.Assignment.Node(ordinal)
		t.w.after(t.w.between(time.Millisecond, 200*time.Millisecond), func() { t.w.breakTask(ref, job, number, ordinal, t.id) })
	}
}

// breakTask fails a task because of a neighbour's end, if it is still there.
func (w *World) breakTask(ref checkpoint.NodeRef, job checkpoint.JobID, number checkpoint.Attempt, ordinal int, neighbour checkpoint.SubtaskID) {
	n := w.hostOf(ref.ID).proc
	if n == nil || n.ref != ref {
		return
	}
	j := n.jobs[job]
	if j == nil || j.current == nil {
		return
	}
	if t := j.current.task(ordinal); t != nil && t.deployed == number {
		t.fail("the channel to "+neighbour.String()+" broke", true)
	}
}
