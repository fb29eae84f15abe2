package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cairn/dataflow"
	"cairn/jobs/nexmark"
	"cairn/jobs/nexmark/reference"
	"cairn/jobs/wordcount"
)

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
