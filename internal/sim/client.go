package sim

import (
	"errors"
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

const (
	program    = "simulated"
	clientWait = 500 * time.Millisecond // for an answer, and between tries
)

// Job is a job that a client submits, watches and perhaps cancels.
type Job struct {
	Topology checkpoint.Topology
	Config   checkpoint.Config
	// Limit is how long the sources read before their input ends, 0 for ever.
	Limit time.Duration
	// SubmitAt and CancelAt are when the client calls; CancelAt 0 means never.
	SubmitAt, CancelAt time.Duration
	// TriggerEvery is how often the client asks for a checkpoint, 0 for never.
	TriggerEvery time.Duration
}

// client is what calls about one job. It repeats its calls until it has an answer; a call whose outcome is
// unknown is repeated as well, which the commands allow.
type client struct {
	w   *World
	id  checkpoint.JobID
	job Job
}

func (w *World) addClient(number int, job Job) {
	c := &client{w: w, id: checkpoint.JobID{byte(number + 1), 15: 0x51}, job: job}
	w.clients = append(w.clients, c)
	w.after(job.SubmitAt, c.submit)
	if job.CancelAt > 0 {
		w.after(job.CancelAt, c.cancel)
	}
	if job.TriggerEvery > 0 {
		w.after(job.SubmitAt+job.TriggerEvery, c.trigger)
	}
}

// limit returns when the input of a job's sources ends, 0 for never.
func (w *World) limit(job checkpoint.JobID) time.Duration {
	for _, c := range w.clients {
		if c.id == job {
			return c.job.Limit
		}
	}
	return 0
}

// leaderLoop returns the loop that takes the client's calls.
func (w *World) leaderLoop() *leaderLoop {
	if c := w.raftLeader(); c != nil {
		return c.loop
	}
	return nil
}

func (c *client) submit() {
	c.call(func(l *leaderLoop) fsm.Command {
		return fsm.SubmitJob{
			Job: c.id, Name: fmt.Sprintf("job-%d", c.id[0]), Program: program, Topology: c.job.Topology, Config: c.job.Config,
			At: checkpoint.Timestamp(l.c.clock().UnixMilli()),
		}
	})
}

func (c *client) cancel() {
	c.call(func(l *leaderLoop) fsm.Command {
		return fsm.CancelJob{Job: c.id, Term: l.term, At: checkpoint.Timestamp(l.c.clock().UnixMilli())}
	})
}

// call proposes a command through whoever leads until one has taken effect, or was rejected.
func (c *client) call(command func(l *leaderLoop) fsm.Command) {
	answered := false
	again := func() {
		if !answered {
			answered = true // a later answer to this try is too late
			c.call(command)
		}
	}
	c.w.after(clientWait, again)
	l := c.w.leaderLoop()
	if l == nil {
		return
	}
	l.call(command(l), func(r fsm.Response, ok bool) {
		if ok && !errors.Is(r.Err, fsm.ErrUnknownJob) { // it may be submitted yet
			answered = true
		}
	})
}

func (c *client) trigger() {
	c.w.after(c.job.TriggerEvery, c.trigger)
	if c.w.calm && c.w.now < c.w.calmSince+notifyLimit {
		return // what was completed before has to be heard of without being covered by something newer
	}
	c.askCheckpoint()
}

// askCheckpoint asks the leader, if there is one, for a checkpoint.
func (c *client) askCheckpoint() {
	l := c.w.leaderLoop()
	if l == nil {
		return
	}
	l.post(func() {
		if j := l.c.raft.state.Jobs[c.id]; j != nil && j.Status == fsm.JobRunning {
			l.view.OnRequest(j, checkpoint.KindCheckpoint, checkpoint.StopNone, checkpoint.Timestamp(l.c.clock().UnixMilli()))
		}
	})
}
