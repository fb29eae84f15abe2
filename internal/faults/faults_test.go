package faults

import (
	"fmt"
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

// TestI7_OutputDoesNotDependOnFaults: whatever goes wrong, the output is that of a run in which nothing does.
func TestI7_OutputDoesNotDependOnFaults(t *testing.T) {
	for _, j := range jobs {
		for _, alignment := range []string{"aligned", "unaligned", "adaptive"} {
			for _, backend := range []string{"memory", "pebble"} {
				for seed := range seeds(t) {
					t.Run(fmt.Sprintf("%s/%s/%s/seed %d", j.name, alignment, backend, seed), func(t *testing.T) {
						t.Parallel()
						live(t, j, seed, alignment, backend)
					})
				}
			}
		}
	}
}

func live(t *testing.T, j job, seed uint64, alignment, backend string) {
	random := rand.New(rand.NewPCG(seed, hashOf(t.Name())))
	parallelism := 1 + random.IntN(8)
	params := j.params(t, parallelism)
	want := j.want(t, params)
	output := filepath.Join(t.TempDir(), "out")
	params["output"] = output
	work := t.TempDir()
	var result Result
	var err error
	began := time.Now()
	synctest.Test(t, func(*testing.T) {
		result, err = Run(Scenario{
			Seed: random.Uint64(), Program: j.program, Params: params,
			Slots: (max(parallelism, sinks) + 1) / 2, WorkDir: work, Config: map[string]string{
				"state.backend":           backend,
				"checkpointing.alignment": alignment, "checkpointing.alignment_timeout": "20ms",
				"checkpointing.tolerable_failures": strconv.Itoa(random.IntN(4)),
			},
		})
	})
	t.Logf("seed %d: parallelism %d, %d faults %v, attempt %d, checkpoints %+v, in flight %d bytes at most, in %s", seed, parallelism, result.Total(), result.Happened,
		result.Job.Attempt, result.Statistics.Counts, result.Statistics.Summary.PersistedData.Max, time.Since(began))
	t.Cleanup(func() {
		if t.Failed() {
			tell(t, result)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	counts, inFlight := result.Statistics.Counts, result.Statistics.Summary.PersistedData.Max
	if result.Total() < 20 || counts.Restored < 4 || counts.Completed < 20 || alignment == "unaligned" && inFlight == 0 {
		t.Error("the test has lost its teeth")
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

// hashOf makes different cells of the matrix draw different numbers.
func hashOf(name string) (h uint64) {
	for _, b := range []byte(name) {
		h = h*31 + uint64(b)
	}
	return h
}
