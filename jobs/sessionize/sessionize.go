// Package sessionize finds the sessions of users in a stream of clicks: clicks of a user that are less than a gap apart
// belong to one session.
//
// The output is one line "user<TAB>start<TAB>end<TAB>clicks<TAB>pages" for each session: start is the time of the first
// click, end that of the last one plus the gap, both in milliseconds since the Unix epoch; pages is how many different
// ones were seen. A session is written when the watermark reaches its end, and again, with what has been added, for each
// click that comes later but within the lateness. What comes even later goes to the late clicks, one line
// "user<TAB>at<TAB>page" each.
//
// Which clicks are late depends on how fast they are read. When none lies further behind than the disorder, none is, and
// the output depends on nothing but the input.
package sessionize

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"cairn/checkpoint"
	"cairn/connector/file"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// Program returns the job "sessionize". Clicks are read as lines {"user": "u1", "at": 1767225600000, "page": "/"}, at in
// milliseconds since the Unix epoch.
func Program() dataflow.Program {
	return dataflow.Program{
		Name: "sessionize",
		Doc:  "finds the sessions of users in clicks, and puts late clicks aside",
		Params: []dataflow.Param{
			{Name: "input", Doc: "the directory of JSON lines to be read, in files named in the order of time; by default clicks are generated"},
			{Name: "events", Doc: "how many clicks are generated; 1,000,000 by default"},
			{Name: "event_rate", Doc: "generated clicks per second of event time; 100 by default"},
			{Name: "rate", Doc: "clicks per second, of the whole job; 0, the default, means no bound"},
			{Name: "output", Doc: "the directory that the sessions are written to; required"},
			{Name: "late", Doc: "the directory that late clicks are written to; required"},
			{Name: "gap", Doc: "between sessions; 30s by default"},
			{Name: "disorder", Doc: "how far clicks may lie behind others; 5s by default"},
			{Name: "lateness", Doc: "for how long a session that has been written may still grow; 0s by default"},
			{Name: "parallelism", Doc: "of reading and of the sessions; 4 by default"},
		},
		Build: build,
	}
}

var lateClicks = dataflow.NewOutputTag("late", ClickCodec)

func build(g *dataflow.Graph, p *dataflow.Params) error {
	o, err := parseOptions(p)
	if err != nil {
		return err
	}
	read := dataflow.From(g, "read", o.source(), ClickCodec, dataflow.Parallelism(o.parallelism))
	timed := dataflow.AssignTimestampsAndWatermarks(read, "times", dataflow.BoundedOutOfOrderness(o.disorder), Click.When)
	byUser := dataflow.KeyBy(timed, codec.String, func(c Click) string { return c.User })
	windows := dataflow.Window(byUser, dataflow.SessionWindows(o.gap), dataflow.AllowedLateness(o.lateness), dataflow.LateData(lateClicks))
	sessions := dataflow.AggregateWindow(windows, "sessions", sessionCodec, visitCodec, visits{}, newSession)
	dataflow.To(sessions, "write", file.NewSink(o.output, formatSession), dataflow.Parallelism(1))
	dataflow.To(dataflow.SideOutput(sessions, lateClicks), "write late", file.NewSink(o.late, formatClick), dataflow.Parallelism(1))
	return nil
}

type options struct {
	input, output, late     string
	events, eventRate       int
	rate                    float64
	gap, disorder, lateness time.Duration
	parallelism             int
}

func parseOptions(p *dataflow.Params) (o options, err error) {
	o.input = p.String("input", "")
	if o.output, err = p.Required("output"); err != nil {
		return o, err
	}
	if o.late, err = p.Required("late"); err != nil {
		return o, err
	}
	if o.events, err = p.Int("events", 1_000_000, 1, 1e15); err != nil {
		return o, err
	}
	if o.eventRate, err = p.Int("event_rate", 100, 1, 1e9); err != nil {
		return o, err
	}
	if o.rate, err = p.Float("rate", 0, 0); err != nil {
		return o, err
	}
	if o.gap, err = p.Duration("gap", 30*time.Second); err != nil {
		return o, err
	}
	if o.disorder, err = p.Duration("disorder", 5*time.Second); err != nil {
		return o, err
	}
	if o.lateness, err = p.Duration("lateness", 0); err != nil {
		return o, err
	}
	o.parallelism, err = p.Int("parallelism", 4, 1, checkpoint.MaxMaxParallelism)
	return o, err
}

func (o options) source() dataflow.Source[Click] {
	if o.input != "" {
		return file.JSONLines[Click](o.input, file.LinesPerSecond(o.rate))
	}
	g := clicks{perSecond: int64(o.eventRate), disorder: o.disorder}
	return generate.New(int64(o.events), g.at, generate.Rate(o.rate))
}

// session is one line of output.
type session struct {
	User       string
	Start, End dataflow.EventTime
	Clicks     int64
	Pages      int64
}

func newSession(user string, w dataflow.TimeWindow, v visited, emit func(session)) {
	emit(session{User: user, Start: w.Start, End: w.End, Clicks: v.Clicks, Pages: int64(len(v.Pages))})
}

// visited is what is kept of a session: how many clicks there were, and the pages, sorted.
type visited struct {
	Clicks int64
	Pages  []string
}

var (
	sessionCodec = codec.MustStruct[session]()
	visitCodec   = codec.MustStruct[visited]()
)

// visits is the aggregate of the clicks of a session.
type visits struct{}

var _ dataflow.Aggregate[Click, visited, visited] = visits{}

// New returns no clicks.
func (visits) New() visited { return visited{} }

// Add counts a click.
func (visits) Add(v visited, c Click) visited {
	v.Clicks++
	if at, seen := slices.BinarySearch(v.Pages, c.Page); !seen {
		v.Pages = slices.Insert(v.Pages, at, c.Page)
	}
	return v
}

// Result returns all that is known.
func (visits) Result(v visited) visited { return v }

// Merge makes one session of two.
func (visits) Merge(a, b visited) visited {
	pages := make(map[string]bool, len(a.Pages)+len(b.Pages))
	for _, page := range slices.Concat(a.Pages, b.Pages) {
		pages[page] = true
	}
	return visited{Clicks: a.Clicks + b.Clicks, Pages: slices.Sorted(maps.Keys(pages))}
}

func formatSession(dst []byte, s session) []byte {
	dst = append(dst, s.User...)
	for _, n := range []int64{int64(s.Start), int64(s.End), s.Clicks, s.Pages} {
		dst = strconv.AppendInt(append(dst, '\t'), n, 10)
	}
	return dst
}

func formatClick(dst []byte, c Click) []byte {
	dst = strconv.AppendInt(append(append(dst, c.User...), '\t'), int64(c.At), 10)
	return append(append(dst, '\t'), c.Page...)
}
