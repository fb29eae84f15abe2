package faults

import (
	"maps"

	"cairn/api"
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
	// Nodes is how many task nodes there are, 0 for four, which is the most.
	Nodes int
	// Slots is how many each of the nodes has. A job that needs more than one node can have its channels cut.
	Slots int
	// WorkDir is a directory for what nodes keep on disk, with state.backend pebble.
	WorkDir string
	// Keeping is how the nodes keep state.
	Keeping Keeping
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
