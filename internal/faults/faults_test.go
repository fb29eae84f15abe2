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

	"cairn/dataflow"
	"cairn/dataflow/jobtest"
	"cairn/jobs/nexmark"
	"cairn/jobs/nexmark/reference"
	"cairn/jobs/wordcount"
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

// job is something to be computed, and what it should come to.
type job struct {
	name    string
	program dataflow.Program
	// params returns the parameters but for the output.
	params func(t *testing.T, parallelism int) map[string]string
	want   func(t *testing.T, params map[string]string) []string
}

var jobs = []job{
	{"wordcount", wordcount.Program(), wordcountParams, countWords},
	{"q4", nexmark.Program(), nexmarkParams("q4"), evaluate},
	{"q5", nexmark.Program(), nexmarkParams("q5"), evaluate},
	{"q8", nexmark.Program(), nexmarkParams("q8"), evaluate},
}

// sinks is the parallelism of the output.
const sinks = 2

// text is the input of wordcount: words that are frequent, rare and unique.
const (
	textFiles    = 25
	linesPerFile = 60
	linesRate    = 150 // per second
)

func wordcountParams(t *testing.T, parallelism int) map[string]string {
	t.Helper()
	input := t.TempDir()
	for i := range textFiles {
		var text strings.Builder
		for j := range linesPerFile {
			fmt.Fprintf(&text, "word_%d a%d and x%d, unique%d_%d\n", j%17, j%7, i, i, j)
		}
		if err := os.WriteFile(filepath.Join(input, fmt.Sprintf("f%d.txt", i)), []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"input": input, "rate": strconv.Itoa(linesRate), "parallelism": strconv.Itoa(parallelism), "sinks": strconv.Itoa(sinks)}
}

// countWords is what wordcount promises: a line whenever a word's count reaches a power of two, and for its total.
func countWords(t *testing.T, params map[string]string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(params["input"], "*"))
	if err != nil || len(files) != textFiles {
		t.Fatal(len(files), err)
	}
	counts := make(map[string]int)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return strings.ContainsRune(" ,\n", r) }) {
			counts[word]++
		}
	}
	var lines []string
	for word, total := range counts {
		n := 1
		for ; n < total; n *= 2 {
			lines = append(lines, fmt.Sprintf("%s\t%d", word, n))
		}
		lines = append(lines, fmt.Sprintf("%s\t%d", word, total))
	}
	slices.Sort(lines)
	return lines
}

const (
	eventCount = 5000
	eventRate  = 100 // per second of event time
	generated  = 400 // per second
)

var windows = reference.Windows{Size: 5 * time.Second, Slide: time.Second}

func nexmarkParams(query string) func(*testing.T, int) map[string]string {
	return func(_ *testing.T, parallelism int) map[string]string {
		return map[string]string{
			"query": query, "events": strconv.Itoa(eventCount), "event_rate": strconv.Itoa(eventRate), "rate": strconv.Itoa(generated),
			"disorder": "50", "parallelism": strconv.Itoa(parallelism), "sinks": strconv.Itoa(sinks),
			"window": windows.Size.String(), "slide": windows.Slide.String(),
		}
	}
}

func evaluate(t *testing.T, params map[string]string) []string {
	t.Helper()
	c := nexmark.DefaultConfig()
	c.EventsPerSecond, c.Disorder = eventRate, 50
	g, err := nexmark.NewGenerator(c)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]nexmark.Event, eventCount)
	for i := range events {
		events[i] = g.Event(int64(i))
	}
	lines, err := reference.Evaluate(params["query"], events, windows)
	if err != nil {
		t.Fatal(err)
	}
	return lines
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
