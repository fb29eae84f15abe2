package nexmark

import (
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/jobtest"
)

func TestParameters(t *testing.T) {
	for _, test := range []struct {
		params map[string]string
		want   string // part of the error; empty for none
	}{
		{map[string]string{"query": "q0", "output": "blackhole"}, ""},
		{map[string]string{
			"query": "q5", "output": "out", "events": "10", "rate": "0.5", "event_rate": "1", "disorder": "1000", "seed": "7",
			"window": "1m", "slide": "1m", "parallelism": "2", "sinks": "2",
		}, ""},
		{map[string]string{"output": "out"}, "query"},
		{map[string]string{"query": "q6", "output": "out"}, `"q6" is not allowed: want one of q0, q1, q2, q3, q4, q5, q7, q8`},
		{map[string]string{"query": "q0"}, "output"},
		{map[string]string{"query": "q0", "output": "out", "events": "0"}, "events"},
		{map[string]string{"query": "q0", "output": "out", "rate": "-1"}, "rate"},
		{map[string]string{"query": "q0", "output": "out", "event_rate": "0"}, "event_rate"},
		{map[string]string{"query": "q0", "output": "out", "disorder": "1000003"}, "disorder"},
		{map[string]string{"query": "q0", "output": "out", "seed": "x"}, "seed"},
		{map[string]string{"query": "q0", "output": "out", "window": "0s"}, "window"},
		{map[string]string{"query": "q0", "output": "out", "slide": "1500us"}, "slide"},
		{map[string]string{"query": "q0", "output": "out", "slide": "11s"}, "at most the window"},
		{map[string]string{"query": "q0", "output": "out", "parallelism": "0"}, "parallelism"},
		{map[string]string{"query": "q0", "output": "out", "sinks": "0"}, "sinks"},
		{map[string]string{"query": "q0", "output": "out", "windows": "1s"}, "windows"},
	} {
		err := jobtest.Build(Program(), test.params)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.params, err)
		}
	}
}

// TestShapes: what goes through the network is bids that are counted, not all events.
func TestShapes(t *testing.T) {
	for query, want := range map[string]string{
		"q0": "generate -> times -> bids|write",
		"q1": "generate -> times -> bids -> convert|write",
		"q2": "generate -> times -> bids -> select|write",
		"q3": "generate -> times -> sellers -> items|join|write",
		"q4": "generate -> times -> trade|close|average|write",
		"q5": "generate -> times -> bids|count|compare|write",
		"q7": "generate -> times -> bids|highest of auction|highest|write",
		"q8": "generate -> times -> arrivals -> sellers|join|write",
	} {
		graph, err := dataflow.NewRegistry(Program()).Build("nexmark", map[string]string{"query": query, "output": "out"}, checkpoint.Overrides{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, v := range graph.Topology().Vertices {
			names = append(names, v.Name)
		}
		if got := strings.Join(names, "|"); got != want {
			t.Errorf("%s is %s, want %s", query, got, want)
		}
	}
}
