package nexmark

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/connector/blackhole"
	"cairn/connector/file"
	"cairn/connector/generate"
	"cairn/dataflow"
)

// Program returns the job "nexmark".
func Program() dataflow.Program {
	return dataflow.Program{
		Name: "nexmark",
		Doc:  "runs a query of the NEXMark benchmark over generated events",
		Params: []dataflow.Param{
			{Name: "query", Doc: "q0, q1, q2, q3, q4, q5, q7 or q8; required"},
			{Name: "output", Doc: "the directory that the lines are written to, or \"blackhole\"; required"},
			{Name: "events", Doc: "how many are generated; 1,000,000 by default"},
			{Name: "rate", Doc: "of the generation, in events per second; 0, the default, means no bound"},
			{Name: "event_rate", Doc: "events per second of event time; 10,000 by default"},
			{Name: "disorder", Doc: "the events of each group of so many are shuffled; 1, the default, for none"},
			{Name: "seed", Doc: "of the generator; 0 by default"},
			{Name: "window", Doc: "the length of windows; 10s by default"},
			{Name: "slide", Doc: "of the sliding windows of q5; 2s by default, or the window if that is shorter"},
			{Name: "parallelism", Doc: "of all but the output; 4 by default"},
			{Name: "sinks", Doc: "parallelism of the output; 1 by default"},
		},
		Build: build,
	}
}

// queries add a query's operators behind the events, and write what comes of them.
var queries = map[string]func(dataflow.Stream[Event], options){
	"q0": passThrough, "q1": currencyConversion, "q2": selection, "q3": localItems, "q4": averagePrices, "q5": hotItems,
	"q7": highestBids, "q8": newUsers,
}

func build(g *dataflow.Graph, p *dataflow.Params) error {
	o, err := parseOptions(p)
	if err != nil {
		return err
	}
	source := generate.New(int64(o.events), o.generator.Event, generate.Rate(o.rate))
	events := dataflow.From(g, "generate", source, EventCodec, dataflow.Parallelism(o.parallelism))
	strategy := dataflow.BoundedOutOfOrderness(o.generator.MaxDisorder())
	o.query(dataflow.AssignTimestampsAndWatermarks(events, "times", strategy, Event.At), o)
	return nil
}

// write adds the output, one line for each record.
func write[T any](s dataflow.Stream[T], o options, format func(dst []byte, record T) []byte) {
	var sink dataflow.Sink[T] = file.NewSink(o.output, format)
	if o.output == "blackhole" {
		sink = blackhole.New[T]()
	}
	dataflow.To(s, "write", sink, dataflow.Parallelism(o.sinks))
}

type options struct {
	query                      func(dataflow.Stream[Event], options)
	output                     string
	generator                  Generator
	rate                       float64
	window, slide              time.Duration
	events, parallelism, sinks int
}

// tumbling returns the windows of all queries but q5.
func (o options) tumbling() dataflow.WindowAssigner { return dataflow.TumblingWindows(o.window, 0) }

func parseOptions(p *dataflow.Params) (o options, err error) {
	name, err := p.Required("query")
	if err != nil {
		return o, err
	}
	known := false
	if o.query, known = queries[name]; !known {
		return o, fmt.Errorf("parameter query: %q is not allowed: want one of %s", name, strings.Join(slices.Sorted(maps.Keys(queries)), ", "))
	}
	if o.output, err = p.Required("output"); err != nil {
		return o, err
	}
	if o.rate, err = p.Float("rate", 0, 0); err != nil {
		return o, err
	}
	if err := o.parseNumbers(p); err != nil {
		return o, err
	}
	return o, o.parseWindows(p)
}

func (o *options) parseNumbers(p *dataflow.Params) (err error) {
	c := DefaultConfig()
	seed, eventRate, disorder := 0, 0, 0
	for _, n := range []struct {
		name                   string
		to                     *int
		byDefault, least, most int
	}{
		{"events", &o.events, 1_000_000, 1, 1e15},
		{"event_rate", &eventRate, int(c.EventsPerSecond), 1, 1e9},
		{"disorder", &disorder, int(c.Disorder), 1, shuffle - 1},
		{"seed", &seed, 0, 0, 1e15},
		{"parallelism", &o.parallelism, 4, 1, checkpoint.MaxMaxParallelism},
		{"sinks", &o.sinks, 1, 1, checkpoint.MaxMaxParallelism},
	} {
		if *n.to, err = p.Int(n.name, n.byDefault, n.least, n.most); err != nil {
			return err
		}
	}
	c.Seed, c.EventsPerSecond, c.Disorder = uint64(seed), int64(eventRate), int64(disorder)
	o.generator, err = NewGenerator(c)
	return err
}

func (o *options) parseWindows(p *dataflow.Params) (err error) {
	if o.window, err = p.Duration("window", 10*time.Second); err != nil {
		return err
	}
	if o.slide, err = p.Duration("slide", min(2*time.Second, o.window)); err != nil {
		return err
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"window", o.window}, {"slide", o.slide}} {
		if d.value < time.Millisecond || d.value%time.Millisecond != 0 {
			return fmt.Errorf("parameter %s: %s is not allowed: want whole milliseconds, at least one", d.name, d.value)
		}
	}
	if o.slide > o.window {
		return fmt.Errorf("parameter slide: %s is not allowed: want at most the window, %s", o.slide, o.window)
	}
	return nil
}
