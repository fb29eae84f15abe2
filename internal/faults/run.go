package faults

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/dataflow"
)

// Scenario is a job and what is done to it.
type Scenario struct {
	Seed    uint64
	Program dataflow.Program
	Params  map[string]string
	// Config holds keys of the job's configuration that go before those of the scenario.
	Config map[string]string
	// Rescale lists what the parallelism of all operators is changed to, one after the other, while faults strike.
	Rescale []int
	// Slots is how many each of the four nodes has. A job that needs more than one node can have its channels cut.
	Slots int
	// WorkDir is a directory for what nodes keep on disk, with state.backend pebble.
	WorkDir string
}

// Result is what came of a run.
type Result struct {
	// Happened counts the faults that have struck, by kind.
	Happened map[Fault]int
	// Rescaled are the changes of the parallelism that have taken place.
	Rescaled []int
	// Job is the job at its end.
	Job api.JobDetail
	// Statistics are those of its checkpoints.
	Statistics api.CheckpointStatistics
	// Timeline is what was done, and when, in virtual time; Log what all processes have logged.
	Timeline []string
	Log      []byte
}

// Total returns how many faults have struck.
func (r Result) Total() int {
	total := 0
	for _, n := range r.Happened {
		total += n
	}
	return total
}

// jobName is the name that the job is submitted by.
const jobName = "job"

// jobPatience is how long a job may take that should come to its end, in virtual time: far more than any does.
const jobPatience = 10 * time.Minute

// config makes checkpoints and restarts follow each other quickly.
func config(own map[string]string) map[string]string {
	all := map[string]string{
		"checkpointing.interval":                       "100ms",
		"checkpointing.timeout":                        "600ms",
		"restart.exponential_delay.initial_backoff":    "50ms",
		"restart.exponential_delay.max_backoff":        "300ms",
		"restart.exponential_delay.jitter_factor":      "0.5",
		"restart.exponential_delay.backoff_multiplier": "1.5",
	}
	maps.Copy(all, own)
	return all
}

// Run runs the scenario, in a bubble of testing/synctest, and returns when the job has ended. It returns an error, and
// what is known until then, when the job has failed or hangs, or when a fault that should strike finds nothing to hit.
func Run(s Scenario) (Result, error) {
	book := &logBook{}
	log := slog.New(slog.NewTextHandler(book, &slog.HandlerOptions{Level: slog.LevelInfo}))
	random := rand.New(rand.NewPCG(s.Seed, 0))
	r := &run{scenario: s, random: random, result: Result{Happened: make(map[Fault]int)}, saboteur: newSaboteur(rand.New(rand.NewPCG(s.Seed, 1)))}
	r.timeline = &timeline{start: time.Now(), log: log}
	err := r.chooseVictims()
	if err == nil {
		r.cluster, err = startCluster(log, random, s, r.saboteur.sabotaged(s.Program))
		if err == nil {
			err = r.run(context.Background())
		}
		if r.cluster != nil {
			r.cluster.close()
		}
	}
	r.result.Timeline, r.result.Log = r.timeline.all(), book.content()
	return r.result, err
}

// run is one run of a scenario.
type run struct {
	scenario Scenario
	random   *rand.Rand
	cluster  *Cluster
	saboteur *saboteur
	timeline *timeline
	victims  []checkpoint.OperatorID
	result   Result
}

// chooseVictims finds the operators that may panic, all but the sources, and those that stall, the ones at the end of an
// exchange.
func (r *run) chooseVictims() error {
	graph, err := dataflow.NewRegistry(r.scenario.Program).Build(r.scenario.Program.Name, r.scenario.Params, checkpoint.Overrides{})
	if err != nil {
		return err
	}
	topology := graph.Topology()
	for i, v := range topology.Vertices {
		if slices.ContainsFunc(topology.Edges, func(e checkpoint.Edge) bool { return e.To == i }) {
			r.victims = append(r.victims, v.Operators...)
			r.saboteur.stalling = append(r.saboteur.stalling, v.Operators[0])
		} else {
			r.victims = append(r.victims, v.Operators[1:]...)
		}
	}
	return nil
}

func (r *run) run(ctx context.Context) error {
	if err := r.submit(ctx); err != nil {
		return err
	}
	if err := r.strikeAll(ctx); err != nil {
		return err
	}
	r.timeline.note("no more faults")
	return r.awaitEnd(ctx)
}

// submit waits for the cluster to be there and starts the job.
func (r *run) submit(ctx context.Context) error {
	until := time.Now().Add(clientPatience)
	for {
		status, err := r.cluster.status(ctx)
		if err == nil && len(status.Nodes) == len(nodeIDs) {
			break
		}
		if time.Now().After(until) {
			return fmt.Errorf("the cluster does not come up: %+v, %w", status, err)
		}
		time.Sleep(poll) // virtual time
	}
	_, err := ask(ctx, r.cluster, func(ctx context.Context, s api.Service) (api.Job, error) {
		return s.SubmitJob(ctx, api.SubmitJobRequest{
			Program: r.scenario.Program.Name, Name: jobName, Params: r.scenario.Params, Config: config(r.scenario.Config),
		})
	})
	if err == nil {
		r.timeline.note("job submitted")
	}
	return err
}

// missesAllowed is how often faults may find nothing to hit, because another one is at work. They are tried again then.
const missesAllowed = 20

// strikeAll lets all faults of the deck happen, and changes the parallelism meanwhile.
func (r *run) strikeAll(ctx context.Context) error {
	s := &striker{
		c: r.cluster, random: r.random, saboteur: r.saboteur, timeline: r.timeline, job: jobName, victims: r.victims,
	}
	faults := deck(r.random)
	var rescaling sync.WaitGroup
	defer rescaling.Wait()
	var failed error // of rescaling
	// Between two changes, and before the first one and behind the last, as many faults strike.
	parts := len(r.scenario.Rescale) + 1
	for i, to := range append(slices.Clone(r.scenario.Rescale), 0) {
		rest := len(faults) * (parts - 1 - i) / (parts - i)
		if err := r.strikeUntil(ctx, s, &faults, rest); err != nil {
			return err
		}
		if rescaling.Wait(); failed != nil {
			return failed
		}
		if to != 0 {
			rescaling.Go(func() { failed = r.rescale(ctx, to) })
		}
	}
	return nil
}

// strikeUntil lets faults happen until so many are left.
func (r *run) strikeUntil(ctx context.Context, s *striker, faults *[]Fault, rest int) error {
	for misses := 0; len(*faults) > rest; {
		r.pause()
		f := (*faults)[0]
		*faults = (*faults)[1:]
		if s.strike(f) {
			r.result.Happened[f]++
			continue
		}
		r.timeline.note("%s: nothing to hit", f)
		if ended, err := r.ended(ctx); err != nil {
			return err
		} else if ended {
			return fmt.Errorf("the job has ended before all faults have struck, %d are left", len(*faults)+1)
		}
		if misses++; misses > missesAllowed {
			return fmt.Errorf("the fault %q finds nothing to hit", f)
		}
		*faults = slices.Insert(*faults, r.random.IntN(len(*faults)+1), f)
	}
	return nil
}

// rescale changes the parallelism of all operators. Faults may be the end of one try; a user would try again.
func (r *run) rescale(ctx context.Context, to int) error {
	r.timeline.note("parallelism %d is asked for", to)
	for until := time.Now().Add(clientPatience); ; time.Sleep(poll) { // virtual time
		done, err := ask(ctx, r.cluster, func(ctx context.Context, s api.Service) (api.Rescaled, error) {
			return s.RescaleJob(ctx, jobName, api.Parallelism{All: to})
		})
		switch {
		case err == nil:
			r.timeline.note("parallelism %d from checkpoint %d on", to, done.Checkpoint)
			for _, v := range done.Job.Vertices {
				if v.Parallelism != to {
					return fmt.Errorf("vertex %s has parallelism %d, was to have %d", v.ID, v.Parallelism, to)
				}
			}
			r.result.Rescaled = append(r.result.Rescaled, to)
			return nil
		case api.CodeOf(err) != api.Conflict || time.Now().After(until):
			return fmt.Errorf("changing the parallelism to %d: %w", to, err)
		}
		r.timeline.note("parallelism %d not yet: %s", to, err)
	}
}

// pause lets time pass between two faults: often next to none, so that one strikes amid what another has caused.
func (r *run) pause() {
	most := 600 * time.Millisecond
	if r.random.IntN(3) == 0 {
		most = 50 * time.Millisecond
	}
	time.Sleep(time.Duration(r.random.Int64N(int64(most)))) // virtual time
}

// ended looks whether the job has ended. One that has failed is an error.
func (r *run) ended(ctx context.Context) (bool, error) {
	d, err := r.cluster.job(ctx, jobName)
	if err != nil {
		return false, err
	}
	r.result.Job = d
	switch d.State {
	case "FINISHED":
		return true, nil
	case "FAILED", "CANCELED":
		return true, fmt.Errorf("the job is %s: %s", d.State, d.Reason)
	}
	return false, nil
}

func (r *run) awaitEnd(ctx context.Context) error {
	for until := time.Now().Add(jobPatience); ; time.Sleep(100 * time.Millisecond) { // virtual time
		ended, err := r.ended(ctx)
		if err != nil {
			return err
		}
		if ended {
			break
		}
		if time.Now().After(until) {
			return fmt.Errorf("the job has not ended within %s: %s, %s, %v", jobPatience, r.result.Job.State, r.result.Job.Reason, r.result.Job.Subtasks)
		}
	}
	r.timeline.note("job finished in attempt %d", r.result.Job.Attempt)
	var err error
	r.result.Statistics, err = r.cluster.statistics(ctx, jobName)
	return err
}
