package dataflow_test

import (
	"fmt"
	"time"

	"cairn/connector/blackhole"
	"cairn/connector/generate"
	"cairn/connector/print"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/dataflow/jobtest"
)

// reading is what the examples process.
type reading struct {
	Sensor  string
	Celsius float64
	At      time.Time
}

var readings = codec.MustStruct[reading]()

func (r reading) EventTime() dataflow.EventTime { return dataflow.EventTimeOf(r.At) }

// sensors returns readings with their event times, which may be a minute out of order.
func sensors(g *dataflow.Graph) dataflow.Stream[reading] {
	source := generate.New(1_000_000, func(i int64) reading {
		return reading{Sensor: fmt.Sprint("s", i%100), Celsius: float64(i % 40), At: time.Unix(i, 0)}
	}, generate.Rate(10_000))
	read := dataflow.From(g, "read", source, readings, dataflow.Parallelism(2))
	return dataflow.AssignTimestampsAndWatermarks(read, "times", dataflow.BoundedOutOfOrderness(time.Minute), reading.EventTime)
}

func bySensor(s dataflow.Stream[reading]) dataflow.KeyedStream[string, reading] {
	return dataflow.KeyBy(s, codec.String, func(r reading) string { return r.Sensor })
}

// highest is the accumulator of a window: the highest temperature in it.
type highest struct{}

func (highest) New() float64                       { return -273.15 }
func (highest) Add(acc float64, r reading) float64 { return max(acc, r.Celsius) }
func (highest) Merge(a, b float64) float64         { return max(a, b) }
func (highest) Result(acc float64) float64         { return acc }

// The highest temperature of each sensor in each hour; what comes more than ten minutes late goes to a side output.
func ExampleAggregateWindow() {
	late := dataflow.NewOutputTag("late", readings)
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		perHour := dataflow.Window(bySensor(sensors(g)), dataflow.TumblingWindows(time.Hour, 0),
			dataflow.AllowedLateness(10*time.Minute), dataflow.LateData(late))
		peaks := dataflow.AggregateWindow(perHour, "peak", codec.String, codec.Float64, highest{},
			func(sensor string, w dataflow.TimeWindow, peak float64, emit func(string)) {
				emit(fmt.Sprintf("%s %s %.1f", sensor, w.Start.Time().Format(time.RFC3339), peak))
			})
		dataflow.To(peaks, "print", print.New[string]())
		dataflow.To(dataflow.SideOutput(peaks, late), "drop", blackhole.New[reading]())
		return nil
	}
	program := dataflow.Program{Name: "peaks", Doc: "the highest temperature of each sensor in each hour", Build: build}
	fmt.Println(jobtest.Build(program, nil)) // jobtest.Run runs it in a test
	// Output: <nil>
}

// silence reports sensors from which nothing has come for an hour of event time.
type silence struct {
	ctx  *dataflow.ProcessContext[string]
	last *dataflow.ValueState[string, time.Time]
}

func (s *silence) Open(ctx *dataflow.ProcessContext[string]) error {
	s.ctx = ctx
	s.last = dataflow.NewValueState[string](ctx, "last", codec.Time, dataflow.TTL(24*time.Hour))
	return nil
}

func (s *silence) Process(_ string, r reading, _ func(string)) error {
	if last, known := s.last.Get(); !known || r.At.After(last) {
		s.last.Put(r.At)
		s.ctx.RegisterEventTimer(dataflow.EventTimeOf(r.At.Add(time.Hour)))
	}
	return nil
}

func (s *silence) OnTimer(sensor string, t dataflow.Timer, emit func(string)) error {
	if last, _ := s.last.Get(); dataflow.EventTimeOf(last.Add(time.Hour)) == t.At {
		emit(sensor + " is silent since " + last.Format(time.RFC3339))
	}
	return nil
}

func (s *silence) Finish(func(string)) error { return nil }

// State and timers per key: sensors that have been silent for an hour.
func ExampleProcess() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		silent := dataflow.Process(bySensor(sensors(g)), "silence", codec.String,
			func() dataflow.KeyedProcessor[string, reading, string] { return &silence{} }, dataflow.Parallelism(4))
		dataflow.To(silent, "print", print.New[string]())
		return nil
	}
	program := dataflow.Program{Name: "silence", Doc: "sensors that have been silent for an hour", Build: build}
	fmt.Println(jobtest.Build(program, nil)) // jobtest.Run runs it in a test
	// Output: <nil>
}

// judge compares readings with the latest limit.
type judge struct {
	limits *dataflow.BroadcastState[string, float64]
}

func (j *judge) Open(ctx *dataflow.OperatorContext) error {
	j.limits = dataflow.NewBroadcastState(ctx, "limits", codec.String, codec.Float64)
	return nil
}

func (j *judge) Process(r reading, emit func(reading)) error {
	if limit, known := j.limits.Get("celsius"); known && r.Celsius > limit {
		emit(r)
	}
	return nil
}

func (j *judge) ProcessBroadcast(limit float64, _ func(reading)) error {
	j.limits.Put("celsius", limit)
	return nil
}

func (j *judge) Finish(func(reading)) error { return nil }

// Rules that every subtask knows: readings above a limit that changes while the job runs.
func ExampleProcessNonKeyedBroadcast() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		limits := dataflow.From(g, "limits", generate.New(1000, func(i int64) float64 { return float64(i % 40) }, generate.Rate(1)), codec.Float64)
		above := dataflow.ProcessNonKeyedBroadcast(sensors(g), limits, "judge", readings,
			func() dataflow.NonKeyedBroadcastProcessor[reading, float64, reading] { return &judge{} })
		dataflow.To(above, "drop", blackhole.New[reading]())
		return nil
	}
	program := dataflow.Program{Name: "limits", Doc: "readings above a limit", Build: build}
	fmt.Println(jobtest.Build(program, nil)) // jobtest.Run runs it in a test
	// Output: <nil>
}

// Pairs of readings of one sensor from two streams that are at most a minute apart.
func ExampleIntervalJoin() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		all := sensors(g)
		hot := dataflow.Filter(all, "hot", func(r reading) bool { return r.Celsius > 30 })
		cold := dataflow.Filter(all, "cold", func(r reading) bool { return r.Celsius < 10 })
		jumps := dataflow.IntervalJoin(bySensor(hot), bySensor(cold), -time.Minute, time.Minute, "jump", codec.String,
			func(h, c reading, emit func(string)) {
				emit(fmt.Sprintf("%s from %.1f to %.1f", h.Sensor, h.Celsius, c.Celsius))
			})
		dataflow.To(jumps, "print", print.New[string]())
		return nil
	}
	program := dataflow.Program{Name: "jumps", Doc: "sensors that are hot and cold within a minute", Build: build}
	fmt.Println(jobtest.Build(program, nil)) // jobtest.Run runs it in a test
	// Output: <nil>
}
