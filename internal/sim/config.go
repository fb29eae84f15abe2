package sim

import (
	"math/rand/v2"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
)

// Config is a world before it begins. Together with the code it determines every event.
type Config struct {
	Seed          uint64
	Coordinators  int
	Slots         []int // of each task node
	Jobs          []Job
	Timing        coordinator.Timing
	OrphanTimeout time.Duration
	Skew          time.Duration // the clocks of coordinators differ from the true time by up to this
	// Faulty is how long things go wrong, FaultEvery how often on average; 0 means that none do.
	Faulty, FaultEvery time.Duration
	Sharp              float64 // chance that a leadership ends right at a moment (see Moment)
	Loss, Duplicate    float64 // of datagrams between coordinators
	Declines           float64 // of snapshots
	StoreErrors        float64 // of manifests written and read
	// Steady makes everything take as little time as it can, and leaves the elections to the lowest number: what
	// happens then depends on no random number, and reads the same however the simulation changes inside.
	Steady   bool
	Mutation Mutation
}

// timing is what a leader judges nodes by in a simulation: as in earnest, but for the last resort, which would
// only make runs longer.
func timing() coordinator.Timing {
	t := coordinator.DefaultTiming()
	t.HeartbeatTimeout, t.AdoptionGrace, t.LoadRetry = 3*time.Second, 2*time.Second, 200*time.Millisecond
	t.PlanAnswer = 200 * time.Millisecond
	t.SweepPause, t.SweepRetry, t.SweepAnswer = 100*time.Millisecond, 500*time.Millisecond, 400*time.Millisecond
	t.FullSweepPause, t.FullSweepSoon = 2*time.Second, 200*time.Millisecond
	return t
}

// Random draws a world: its size, its jobs, and how bad it is.
func Random(seed uint64) Config {
	rng := rand.New(rand.NewPCG(seed, 0xc0f))
	between := func(low, high time.Duration) time.Duration { return low + time.Duration(rng.Int64N(int64(high-low))) }
	c := Config{
		Seed: seed, Coordinators: []int{3, 3, 3, 4, 5}[rng.IntN(5)], Slots: make([]int, 2+rng.IntN(3)), Timing: timing(),
		OrphanTimeout: []time.Duration{2 * time.Second, time.Minute}[rng.IntN(2)],
		Skew:          []time.Duration{0, 0, 50 * time.Millisecond, time.Second}[rng.IntN(4)],
		Faulty:        between(3*time.Second, 8*time.Second), FaultEvery: between(150*time.Millisecond, time.Second),
		Sharp: []float64{0, 0.002, 0.01}[rng.IntN(3)],
		Loss:  []float64{0, 0.01, 0.1}[rng.IntN(3)], Duplicate: []float64{0, 0.05}[rng.IntN(2)],
		Declines: []float64{0, 0.01}[rng.IntN(2)], StoreErrors: []float64{0, 0.05}[rng.IntN(2)],
	}
	needed := 0
	for range 1 + rng.IntN(2) {
		c.Jobs = append(c.Jobs, randomJob(rng, between, c.Faulty))
	}
	if rng.IntN(3) == 0 {
		c.Jobs = append(c.Jobs, successor(rng, &c.Jobs[0], between, c.Faulty))
	}
	for _, job := range c.Jobs {
		needed += job.Topology.SlotsNeeded()
	}
	for i := range c.Slots {
		c.Slots[i] = (needed+len(c.Slots)-1)/len(c.Slots) + rng.IntN(3)
	}
	return c
}

func randomJob(rng *rand.Rand, between func(low, high time.Duration) time.Duration, faulty time.Duration) Job {
	c := checkpoint.DefaultConfig()
	c.Interval = []time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond, 20 * time.Second}[rng.IntN(4)]
	c.Timeout = []time.Duration{300 * time.Millisecond, time.Second}[rng.IntN(2)]
	c.MinPause = []time.Duration{0, min(c.Interval/2, 200*time.Millisecond)}[rng.IntN(2)]
	c.MaxConcurrent = 1 + rng.IntN(3)
	c.TolerableFailures = []int{0, 3, 1000}[rng.IntN(3)]
	c.Retain = 1 + rng.IntN(3)
	c.RetainOnCancel, c.AfterTasksFinish = rng.IntN(2) == 0, rng.IntN(6) > 0
	c.Restart = randomRestart(rng)
	job := Job{Topology: Topologies[rng.IntN(len(Topologies))], Config: c, SubmitAt: between(0, faulty/4)}
	if rng.IntN(3) > 0 {
		job.Limit = between(200*time.Millisecond, 4*time.Second)
	}
	if rng.IntN(4) == 0 {
		job.CancelAt = between(faulty/4, faulty)
	}
	if c.Interval == 0 || c.Interval > time.Second || rng.IntN(4) == 0 {
		job.TriggerEvery = between(50*time.Millisecond, 500*time.Millisecond)
	}
	if rng.IntN(4) == 0 {
		job.SavepointEvery = between(200*time.Millisecond, time.Second)
		job.DisposeEvery = []time.Duration{0, 700 * time.Millisecond}[rng.IntN(2)]
	}
	if rng.IntN(5) == 0 {
		job.StopAt = between(faulty/4, faulty)
		job.Stop = []checkpoint.Stop{checkpoint.StopSuspend, checkpoint.StopDrain}[rng.IntN(2)]
	}
	if rng.IntN(4) == 0 {
		job.ConfigureEvery = between(200*time.Millisecond, time.Second)
	}
	return job
}

// successor is a job that goes on from another one's checkpoint or savepoint.
func successor(rng *rand.Rand, of *Job, between func(low, high time.Duration) time.Duration, faulty time.Duration) Job {
	job := randomJob(rng, between, faulty)
	job.Topology, job.Limit, job.SubmitAt = of.Topology, 0, between(faulty/4, faulty)
	job.From = &From{Kind: checkpoint.KindSavepoint, Claim: rng.IntN(2) == 0}
	if rng.IntN(3) == 0 {
		job.From = &From{Kind: checkpoint.KindCheckpoint}
	} else if of.SavepointEvery == 0 {
		of.SavepointEvery = between(200*time.Millisecond, time.Second)
	}
	return job
}

// randomRestart draws what follows the failure of an attempt, nearly always without an end.
func randomRestart(rng *rand.Rand) checkpoint.RestartConfig {
	r := checkpoint.DefaultRestartConfig()
	r.InitialBackoff, r.MaxBackoff, r.Delay = 50*time.Millisecond, 400*time.Millisecond, 100*time.Millisecond
	switch rng.IntN(12) {
	case 0:
		r.Strategy, r.Attempts = checkpoint.FixedDelay, 2
	case 1:
		r.Strategy, r.MaxFailures, r.FailureInterval = checkpoint.FailureRate, 3, time.Second
	case 2:
		r.Strategy = checkpoint.NoRestart
	}
	return r
}

// Topologies are the shapes of jobs that Random chooses from: a single vertex, a forwarding chain, a shuffle with
// a sink, a join of two sources of different width, two pipelines that have nothing to do with each other, and a wide
// forwarding chain, which is four of them.
var Topologies = []checkpoint.Topology{
	{Vertices: vertices(2)},
	{Vertices: vertices(2, 2), Edges: []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Forward}}},
	{Vertices: vertices(2, 2, 1), Edges: []checkpoint.Edge{
		{From: 0, To: 1, Partitioning: checkpoint.Hash}, {From: 1, To: 2, Partitioning: checkpoint.Rebalance},
	}},
	{Vertices: vertices(1, 3, 2), Edges: []checkpoint.Edge{
		{From: 0, To: 2, Partitioning: checkpoint.Hash}, {From: 1, To: 2, Partitioning: checkpoint.Hash},
	}},
	{Vertices: vertices(1, 2, 2, 2), Edges: []checkpoint.Edge{
		{From: 0, To: 2, Partitioning: checkpoint.Hash}, {From: 1, To: 3, Partitioning: checkpoint.Forward},
	}},
	{Vertices: vertices(4, 4), Edges: []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Forward}}},
}

func vertices(parallelism ...int) []checkpoint.Vertex {
	var all []checkpoint.Vertex
	for i, p := range parallelism {
		id := string(rune('a' + i))
		all = append(all, checkpoint.Vertex{
			ID: checkpoint.VertexID(id), Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: p, MaxParallelism: 128,
		})
	}
	return all
}
