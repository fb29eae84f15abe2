package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

const (
	program     = "simulated"
	fingerprint = checkpoint.Fingerprint("1-simulated")
	// longestBuild is how long a node takes to build a graph: now and then longer than a leader waits.
	longestBuild = 250 * time.Millisecond
	clientWait   = 500 * time.Millisecond // for an answer, and between tries
)

// Job is a job that a client submits, watches and perhaps ends. Times are those of the client's calls; 0 is never.
type Job struct {
	Topology checkpoint.Topology
	Config   checkpoint.Config
	// From is what the job is submitted from, nil for a fresh start.
	From *From
	// Limit is how long the sources read before their input ends, 0 for ever.
	Limit    time.Duration
	SubmitAt time.Duration
	CancelAt time.Duration
	// StopAt is when the client begins to ask that the job stop with a savepoint.
	StopAt time.Duration
	Stop   checkpoint.Stop
	// TriggerEvery and SavepointEvery are how often the client asks for one; DisposeEvery how often it gives up its
	// oldest savepoint; ConfigureEvery how often it changes the configuration.
	TriggerEvery, SavepointEvery, DisposeEvery, ConfigureEvery time.Duration
}

// From names a checkpoint or savepoint of another job: the newest that it has when the client submits.
type From struct {
	Job   int // its place in Config.Jobs
	Kind  checkpoint.Kind
	Claim bool
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
	if job.StopAt > 0 {
		w.after(job.StopAt, c.stop)
	}
	c.every(job.TriggerEvery, func() { c.request(checkpoint.KindCheckpoint, checkpoint.StopNone, clientWait) })
	c.every(job.SavepointEvery, func() { c.request(checkpoint.KindSavepoint, checkpoint.StopNone, clientWait) })
	c.every(job.DisposeEvery, c.dispose)
	c.every(job.ConfigureEvery, c.configure)
}

// every repeats a call from the submission on. It pauses when the world has come to rest: what was completed before
// has to be heard of without being covered by something newer.
func (c *client) every(interval time.Duration, call func()) {
	if interval == 0 {
		return
	}
	var again func()
	again = func() {
		c.w.after(interval, again)
		if !c.w.calm || c.w.now >= c.w.calmSince+notifyLimit {
			call()
		}
	}
	c.w.after(c.job.SubmitAt+interval, again)
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

func (l *leaderLoop) at() checkpoint.Timestamp { return checkpoint.Timestamp(l.c.clock().UnixMilli()) }

func (c *client) submit() {
	c.call(func(l *leaderLoop) fsm.Command {
		source, found := c.source(l)
		if !found {
			return nil
		}
		return fsm.SubmitJob{
			Job: c.id, Name: fmt.Sprintf("job-%d", c.id[0]), Program: program, Params: c.params(),
			Topology: c.job.Topology, Fingerprint: fingerprint, Config: c.job.Config,
			Source: source, At: l.at(),
		}
	})
}

// params tell the jobs apart, which are all of one program.
func (c *client) params() map[string]string { return map[string]string{"job": fmt.Sprint(c.id[0])} }

// source chooses what to submit from, as the leader lists it. It reports false while there is nothing.
func (c *client) source(l *leaderLoop) (fsm.Source, bool) {
	if c.job.From == nil {
		return fsm.Source{}, true
	}
	owner := l.c.raft.state.Jobs[c.w.clients[c.job.From.Job].id]
	if owner == nil {
		return fsm.Source{}, false
	}
	among := owner.Completed
	if c.job.From.Kind == checkpoint.KindSavepoint {
		among = owner.Savepoints
	}
	if len(among) == 0 {
		return fsm.Source{}, false
	}
	newest := among[len(among)-1]
	return fsm.Source{
		Job: owner.ID, Checkpoint: newest.ID, Kind: c.job.From.Kind, Manifest: newest.Manifest, Claim: c.job.From.Claim,
	}, true
}

func (c *client) cancel() {
	c.call(func(l *leaderLoop) fsm.Command { return fsm.CancelJob{Job: c.id, Term: l.term, At: l.at()} })
}

// stop asks for the savepoint that the job is to end with, again until it has ended.
func (c *client) stop() {
	if j := c.w.check.state.Jobs[c.id]; j != nil && j.Status.Terminal() {
		return
	}
	c.w.after(2*clientWait, c.stop)
	c.request(checkpoint.KindSavepoint, c.job.Stop, clientWait)
}

// dispose gives up the oldest savepoint. That may be refused: the savepoint is in use, or gone.
func (c *client) dispose() {
	l := c.w.leaderLoop()
	if l == nil {
		return
	}
	j := l.c.raft.state.Jobs[c.id]
	if j == nil || len(j.Savepoints) == 0 {
		return
	}
	l.call(fsm.DisposeSavepoint{Job: c.id, Savepoint: j.Savepoints[0].ID, At: l.at()}, func(fsm.Response, bool) {})
}

// configure changes what may be changed of a job that has not ended.
func (c *client) configure() {
	l := c.w.leaderLoop()
	if l == nil {
		return
	}
	j := l.c.raft.state.Jobs[c.id]
	if j == nil || j.Status.Terminal() {
		return
	}
	next := j.Config
	next.Retain = 1 + (next.Retain+c.w.index(3))%4
	next.MinPause = 0
	next.Timeout = []time.Duration{300 * time.Millisecond, time.Second}[c.w.index(2)]
	if next.Interval > 0 {
		next.Interval = []time.Duration{50 * time.Millisecond, 200 * time.Millisecond}[c.w.index(2)]
	}
	l.call(fsm.ConfigureJob{Job: c.id, Config: next, At: l.at()}, func(fsm.Response, bool) {})
}

// premature are the answers that a client does not take for an answer: it may be different yet.
var premature = []error{fsm.ErrUnknownJob, fsm.ErrUnknownCheckpoint, fsm.ErrInUse}

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
	proposed := command(l)
	if proposed == nil {
		return
	}
	l.call(proposed, func(r fsm.Response, ok bool) {
		early := slices.ContainsFunc(premature, func(err error) bool { return errors.Is(r.Err, err) })
		if claim, is := proposed.(fsm.SubmitJob); is && claim.Source.Claim && errors.Is(r.Err, fsm.ErrWrongStatus) {
			early = true // the owner of the checkpoint has not ended
		}
		if ok && !early {
			answered = true
		}
	})
}

// request asks the leader, if there is one, for a checkpoint or savepoint, and takes that back when it has not begun
// within a time.
func (c *client) request(kind checkpoint.Kind, stop checkpoint.Stop, within time.Duration) {
	l := c.w.leaderLoop()
	if l == nil {
		return
	}
	l.post(func() {
		j := l.c.raft.state.Jobs[c.id]
		if j == nil || j.Status != fsm.JobRunning {
			return
		}
		id := l.view.OnRequest(j, kind, stop, l.at())
		l.after(within, func() { l.post(func() { l.view.OnWithdrawn(c.id, id) }) })
	})
}
