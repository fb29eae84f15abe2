package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"time"

	"cairn/checkpoint"
)

// epoch is the wall-clock time at which every world begins.
var epoch = time.UnixMilli(1_700_000_000_000)

// World is a cluster: coordinators, task nodes, clients and what is between them. It is not safe for concurrent
// use; worlds share nothing.
type World struct {
	schedule
	cfg          Config
	rng          *rand.Rand
	trace        trace
	net          network
	check        *checker
	coordinators []*coord
	hosts        []*host
	clients      []*client
	calm         bool // nothing goes wrong any more
	calmSince    time.Duration
	stats        Stats
	watch        func(Moment)
	// linger says how long a deposed leader's loop goes on before it hears of that.
	linger func() time.Duration
	// gate is passed by every snapshot that is stored: answer acknowledges or declines it.
	gate   func(t *task, b checkpoint.Barrier, answer func())
	failed *Failure
}

// Stats counts what happened in a world, so that tests can see that their seeds reach what they are meant to.
type Stats struct {
	Elections, CoordinatorCrashes, NodeCrashes int
	UnknownOutcomes                            int
	Attempts, Ended                            int
	Completed, Aborted                         int
	Adopted                                    int // completed in another term than they began in
	ChunksDeleted, CopiesTrimmed               int
	Savepoints, Stopped                        int // savepoints completed; jobs that ended with one
	Resubmitted                                int // from a checkpoint or savepoint
	HandOvers                                  int
	Kept, RegionRestarts                       int // subtasks that went on; attempts in which only some did
}

// Failure is a violated invariant, with the last events before it.
type Failure struct {
	Invariant Invariant
	Text      string
	Seed      uint64
	At        time.Duration
	Trace     []string
}

// Error gives everything that is needed to see the failure again.
func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d at %s: %s violated: %s\nthe last events:\n  %s",
		f.Seed, f.At, f.Invariant, f.Text, strings.Join(f.Trace, "\n  "))
}

// New returns the world before its first event.
func New(cfg Config) *World {
	w := &World{
		cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0xca1c)), watch: func(Moment) {},
		gate: func(_ *task, _ checkpoint.Barrier, answer func()) { answer() },
	}
	w.linger = w.usualLinger
	w.net = newNetwork(w, cfg.Coordinators+len(cfg.Slots))
	w.check = newChecker(w)
	for i := range cfg.Coordinators {
		c := &coord{w: w, self: i, id: checkpoint.NodeID(fmt.Sprintf("c%d", i+1)), skew: w.between(-cfg.Skew, cfg.Skew)}
		c.raft = newReplica(w, c, i)
		w.coordinators = append(w.coordinators, c)
	}
	for i, slots := range cfg.Slots {
		w.hosts = append(w.hosts, &host{
			w: w, self: cfg.Coordinators + i, id: checkpoint.NodeID(fmt.Sprintf("n%d", i+1)), slots: slots,
			disk: make(map[checkpoint.ChunkID][]byte),
		})
	}
	for i, job := range cfg.Jobs {
		w.addClient(i, job)
	}
	return w
}

// Run lives through faults, then lets the world come to rest, and returns what happened. The error is a
// *Failure.
func (w *World) Run() (stats Stats, err error) {
	defer func() {
		if r := recover(); r != nil {
			w.violate(harness, "panic: %v\n%s", r, debug.Stack())
			stats, err = w.stats, w.failed
		}
	}()
	w.begin()
	w.runUntil(w.cfg.Faulty, func() bool { return false })
	w.rest()
	if w.failed != nil {
		return w.stats, w.failed
	}
	return w.stats, nil
}

// begin starts all processes.
func (w *World) begin() {
	w.net.loss, w.net.duplicate = w.cfg.Loss, w.cfg.Duplicate
	for _, c := range w.coordinators {
		c.start()
	}
	for _, h := range w.hosts {
		w.after(w.between(0, 100*time.Millisecond), h.start)
	}
	w.after(w.cfg.FaultEvery, w.haveFaults)
}

// runUntil lives until done says so, or for a time, or until something is violated. It reports whether done was
// reached.
func (w *World) runUntil(limit time.Duration, done func() bool) bool {
	end := w.now + limit
	for w.failed == nil && len(w.events) > 0 && w.events[0].at <= end {
		w.step()
		if done() {
			return true
		}
	}
	if w.failed == nil {
		w.now = end
	}
	return false
}

// calmDown ends all faults and repairs everything.
func (w *World) calmDown() {
	w.trace.add(w.now, "CALM")
	w.calm, w.calmSince = true, w.now
	w.net.heal()
	w.net.loss, w.net.duplicate, w.net.slowUntil = 0, 0, 0
	for _, c := range w.coordinators {
		c.start()
	}
	for _, h := range w.hosts {
		h.start()
	}
}

// violate ends the run.
func (w *World) violate(i Invariant, format string, args ...any) {
	if w.failed == nil {
		w.failed = &Failure{Invariant: i, Text: fmt.Sprintf(format, args...), Seed: w.cfg.Seed, At: w.now, Trace: w.trace.last()}
	}
}

// usualLinger is a moment, and now and then much longer, as after a pause of the process.
func (w *World) usualLinger() time.Duration {
	if w.chance(0.1) {
		return w.between(0, 2*time.Second)
	}
	return w.between(0, 30*time.Millisecond)
}

func (w *World) chance(p float64) bool {
	if w.cfg.Steady {
		return p >= 0.5
	}
	return p > 0 && w.rng.Float64() < p
}

func (w *World) between(low, high time.Duration) time.Duration {
	if high <= low || w.cfg.Steady {
		return low
	}
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

func (w *World) hostOf(id checkpoint.NodeID) *host {
	for _, h := range w.hosts {
		if h.id == id {
			return h
		}
	}
	panic(fmt.Sprintf("sim: no host %q", id))
}
