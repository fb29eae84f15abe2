package faults

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/dataflow"
)

// jobName is the name that the job is submitted by.
const jobName = "job"

// jobPatience is how long a job may take that should come to its end, in virtual time: far more than any does.
const jobPatience = 10 * time.Minute

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
	cluster  *cluster
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
		if err == nil && len(status.Nodes) == len(r.cluster.initial) {
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
