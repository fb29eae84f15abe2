package faults

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cairn/dataflow/jobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seedsEach is how many seeds each cell of the matrix is run with.
const seedsEach = 1

// seeds returns how many seeds to run: those of the environment's SEEDS, or the usual ones.
func seeds(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("SEEDS")
	if text == "" {
		return seedsEach
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("SEEDS is %q: want a number", text)
	}
	return n
}

var (
	alignments = []string{"aligned", "unaligned", "adaptive"}
	backends   = []string{"memory", "pebble"}
)

// TestI7_OutputDoesNotDependOnFaults: whatever goes wrong, the output is that of a run in which nothing does.
func TestI7_OutputDoesNotDependOnFaults(t *testing.T) {
	forEachCell(t, jobs, func(t *testing.T, c cell, random *rand.Rand) {
		c.parallelism = 1 + random.IntN(most(c.backend))
		live(t, c, random)
	})
}

// TestI7_OutputDoesNotDependOnRescaling: nor does it if the parallelism changes amid the faults.
func TestI7_OutputDoesNotDependOnRescaling(t *testing.T) {
	forEachCell(t, []job{jobs[0], jobs[2]}, func(t *testing.T, c cell, random *rand.Rand) {
		c.parallelism, c.rescale = 2, []int{5, 3}
		live(t, c, random)
	})
}

// cell is one of the matrix.
type cell struct {
	job                job
	alignment, backend string
	parallelism        int
	rescale            []int
}

// forEachCell runs a test for all combinations and seeds; when nobody has asked for many seeds, for every n-th
// combination.
func forEachCell(t *testing.T, jobs []job, test func(*testing.T, cell, *rand.Rand)) {
	var cells []cell
	for _, j := range jobs {
		for _, alignment := range alignments {
			for _, backend := range backends {
				cells = append(cells, cell{job: j, alignment: alignment, backend: backend})
			}
		}
	}
	for i, c := range cells {
		if i%everyNth != 0 && !thorough() {
			continue
		}
		for seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/%s/%s/seed %d", c.job.name, c.alignment, c.backend, seed), func(t *testing.T) {
				t.Parallel()
				test(t, c, randomOf(t, seed))
			})
		}
	}
}

// thorough reports whether somebody has asked for many seeds.
func thorough() bool { return os.Getenv("SEEDS") != "" }

// most returns the highest parallelism of the jobs. Many stores on disk take a while: there are fewer where nobody has
// asked for many seeds.
func most(backend string) int {
	if backend == "pebble" && !thorough() {
		return 3
	}
	return 8
}

// randomOf returns the numbers of one run.
func randomOf(t *testing.T, seed uint64) *rand.Rand {
	t.Helper()
	name := fnv.New64a()
	if _, err := io.WriteString(name, t.Name()); err != nil {
		t.Fatal(err)
	}
	return rand.New(rand.NewPCG(seed, name.Sum64()))
}

// live runs a job under faults, and compares its output.
func live(t *testing.T, c cell, random *rand.Rand) {
	t.Helper()
	params := c.job.params(t, c.parallelism)
	want := c.job.want(t, params)
	output := filepath.Join(t.TempDir(), "out")
	params["output"] = output
	s := Scenario{
		Seed: random.Uint64(), Program: c.job.program, Params: params, Rescale: c.rescale,
		Slots: (max(c.parallelism, sinks) + 1) / 2, WorkDir: t.TempDir(),
		Config: map[string]string{
			"state.backend":                    c.backend,
			"checkpointing.alignment":          c.alignment,
			"checkpointing.alignment_timeout":  "20ms",
			"checkpointing.tolerable_failures": strconv.Itoa(random.IntN(4)),
		},
	}
	if len(c.rescale) > 0 {
		s.Slots = 2 // for five subtasks three nodes are needed, for two one may do
	}
	var result Result
	var err error
	began := time.Now()
	synctest.Test(t, func(*testing.T) { result, err = Run(s) })
	t.Cleanup(func() {
		if t.Failed() {
			tell(t, result)
		}
	})
	counts, inFlight := result.Statistics.Counts, result.Statistics.Summary.PersistedData.Max
	t.Logf("parallelism %d, then %v; %d faults, attempt %d, checkpoints %+v, at most %d bytes in flight; in %s",
		c.parallelism, result.Rescaled, result.Total(), result.Job.Attempt, counts, inFlight, time.Since(began).Round(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if result.Total() < 20 || counts.Restored < 4 || counts.Completed < 20 || c.alignment == "unaligned" && inFlight == 0 {
		t.Errorf("too little has happened: %v", result.Happened)
	}
	if !slices.Equal(result.Rescaled, c.rescale) {
		t.Errorf("the parallelism has become %v, was to become %v", result.Rescaled, c.rescale)
	}
	jobtest.SameLines(t, jobtest.Output(t, output), want)
}

// tell prints what was done to a cluster that has failed, and keeps its log.
func tell(t *testing.T, r Result) {
	t.Helper()
	t.Logf("what was done, in virtual time:\n%s", strings.Join(r.Timeline, "\n"))
	file, err := os.CreateTemp("", "faults-*.log")
	if err != nil {
		t.Log(err)
		return
	}
	defer file.Close()
	if _, err := file.Write(r.Log); err != nil {
		t.Log(err)
	}
	t.Logf("what everybody has logged: %s", file.Name())
}
