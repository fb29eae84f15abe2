package faults

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/connector/file"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/dataflow/jobtest"
)

// lanes is a job whose subtasks are connected one by one: subtask i of each of its two vertices are a pipelined region,
// which may lie on two nodes.
func lanes(source dataflow.Source[int64], parallelism int) func(*dataflow.Graph, *dataflow.Params) error {
	return func(g *dataflow.Graph, p *dataflow.Params) error {
		output, err := p.Required("output")
		if err != nil {
			return err
		}
		numbers := dataflow.From(g, "read", source, codec.Int64, dataflow.Parallelism(parallelism))
		doubled := dataflow.Map(dataflow.Forward(numbers), "double", codec.Int64, func(n int64) int64 { return 2 * n },
			dataflow.Parallelism(parallelism), dataflow.SlotSharingGroup("rest"))
		sink := file.NewSink(output, func(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) })
		dataflow.To(dataflow.Forward(doubled), "write", sink, dataflow.Parallelism(parallelism))
		return nil
	}
}

const laneRate = 1000 // per second

// laneSource makes numbers for some seconds.
func laneSource(seconds int64) dataflow.Source[int64] {
	return generate.New(seconds*laneRate, func(n int64) int64 { return n }, generate.Rate(laneRate))
}

// evenNumbers are what lanes come to in some seconds.
func evenNumbers(seconds int) []string {
	var lines []string
	for n := range seconds * laneRate {
		lines = append(lines, strconv.Itoa(2*n))
	}
	slices.Sort(lines)
	return lines
}

// TestI7_RegionsDoNotDependOnFaults: what is restarted by itself, while other regions go on, comes to the same.
func TestI7_RegionsDoNotDependOnFaults(t *testing.T) {
	const seconds = 40 // what does not fail does not wait
	for i, c := range []cell{
		{alignment: "aligned", backend: "memory"}, {alignment: "unaligned", backend: "pebble"}, {alignment: "adaptive", backend: "memory"},
	} {
		c.parallelism = 3 // over four nodes, so that regions lie on two of them
		c.job = job{
			name:    "lanes",
			program: dataflow.Program{Name: "lanes", Doc: "doubles numbers (output)", Build: lanes(laneSource(seconds), c.parallelism)},
			params:  func(*testing.T, int) map[string]string { return make(map[string]string) },
			want:    func(*testing.T, map[string]string) []string { return evenNumbers(seconds) },
		}
		for seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/%s/seed %d", c.alignment, c.backend, seed), func(t *testing.T) {
				t.Parallel()
				live(t, c, randomOf(t, seed+uint64(i)*1000))
			})
		}
	}
}

// watched is a source that notes how often each subtask is opened.
type watched struct {
	dataflow.Source[int64]
	mu     sync.Mutex
	opened map[int]int
}

func (w *watched) Open(c dataflow.SourceContext) (dataflow.SourceReader[int64], error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened[c.Subtask.Index]++
	return w.Source.Open(c)
}

func (w *watched) times() map[int]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	times := make(map[int]int)
	for index, n := range w.opened {
		times[index] = n
	}
	return times
}

// counted counts what each subtask's first operator has taken in.
type counted struct {
	mu    sync.Mutex
	of    map[checkpoint.SubtaskID]int
	panic checkpoint.SubtaskID // that is to panic on its next record; empty for none
}

func (c *counted) tap(s checkpoint.SubtaskID, _ checkpoint.OperatorID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[s]++; c.panic == s {
		c.panic = checkpoint.SubtaskID{}
		panic("sabotage")
	}
}

func (c *counted) let(panics checkpoint.SubtaskID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.panic = panics
}

func (c *counted) counts() map[int]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := make(map[int]int)
	for s, n := range c.of {
		if s.Vertex == "double" {
			counts[s.Index] = n
		}
	}
	return counts
}

// lanesRun is a run of lanes on a whole cluster, of which the test does the rest.
type lanesRun struct {
	*run
	t       *testing.T // of the bubble
	source  *watched
	counted *counted
}

// lanesLast is how long the input of a run goes on, in seconds.
const lanesLast = 20

// inLanes runs a job of four regions, each on a node of its own, and lets the test do something to it. Restarts take
// five seconds.
func inLanes(t *testing.T, test func(*lanesRun)) {
	t.Helper()
	book := &logBook{}
	l := &lanesRun{
		counted: &counted{of: make(map[checkpoint.SubtaskID]int)},
		source:  &watched{Source: laneSource(lanesLast), opened: make(map[int]int)},
	}
	build := lanes(l.source, 4)
	program := dataflow.Program{Name: "lanes", Doc: "doubles numbers (output)", Build: func(g *dataflow.Graph, p *dataflow.Params) error {
		g.SetTap(l.counted.tap)
		return build(g, p)
	}}
	output := filepath.Join(t.TempDir(), "out")
	s := Scenario{
		Program: program, Params: map[string]string{"output": output}, Slots: 2, WorkDir: t.TempDir(),
		Config: map[string]string{
			"restart.strategy": "fixed_delay", "restart.fixed_delay.attempts": "9", "restart.delay": "5s",
			"checkpointing.timeout": "1m",
		},
	}
	synctest.Test(t, func(t *testing.T) {
		l.t = t
		log := slog.New(slog.NewTextHandler(book, nil))
		random := rand.New(rand.NewPCG(1, 0))
		l.run = &run{scenario: s, random: random, timeline: &timeline{start: time.Now(), log: log}}
		var err error
		if l.cluster, err = startCluster(log, random, s, program); err == nil {
			err = l.submit(t.Context())
		}
		if err == nil {
			l.until("it runs", func(d api.JobDetail) bool { return d.State == "RUNNING" && len(l.counted.counts()) == 4 })
			test(l)
			err = l.awaitEnd(context.WithoutCancel(t.Context()))
		}
		l.cluster.close()
		if err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.Logf("%s", book.content())
		return
	}
	jobtest.SameLines(t, jobtest.Output(t, output), evenNumbers(lanesLast))
}

// until waits for the job to be as the test wants it.
func (l *lanesRun) until(what string, done func(api.JobDetail) bool) api.JobDetail {
	l.t.Helper()
	var d api.JobDetail
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(poll) { // virtual time
		var err error
		if d, err = l.cluster.job(l.t.Context(), jobName); err == nil && done(d) {
			return d
		}
	}
	l.t.Fatalf("%s: not so: %+v", what, d)
	return d
}

// goOn demands that the lanes go on, but for those that do not, while the job waits for its next attempt, and that they are
// the same executions once it has begun.
func (l *lanesRun) goOn(stopped ...int) {
	l.t.Helper()
	restarting := l.until("it waits for its next attempt", func(d api.JobDetail) bool { return d.State == "RESTARTING" })
	if want := fmt.Sprintf("restarting %d of 8 subtasks (region", 2*len(stopped)); !strings.Contains(restarting.Reason, want) {
		l.t.Errorf("the reason is %q, want %q in it", restarting.Reason, want)
	}
	time.Sleep(time.Second) // virtual time, for what is stopped to stop
	before := l.counted.counts()
	time.Sleep(3 * time.Second) // virtual time, still within the delay
	after := l.counted.counts()
	for index := range 4 {
		got, isStopped := after[index]-before[index], slices.Contains(stopped, index)
		if isStopped && got != 0 || !isStopped && got < 3*laneRate/4/2 {
			l.t.Errorf("lane %d took in %d records while the job was restarting; it is stopped: %t", index, got, isStopped)
		}
	}
	l.until("it runs again", func(d api.JobDetail) bool {
		return d.State == "RUNNING" && d.Attempt == 2 && !slices.ContainsFunc(d.Subtasks, func(s api.Subtask) bool { return s.Status != "RUNNING" })
	})
	for index, times := range l.source.times() {
		want := 1
		if slices.Contains(stopped, index) {
			want = 2
		}
		if times != want {
			l.t.Errorf("lane %d was opened %d times, want %d", index, times, want)
		}
	}
	newest := l.completed()
	l.until("a checkpoint completes", func(api.JobDetail) bool { return l.completed() > newest })
}

func (l *lanesRun) completed() uint64 {
	d, err := l.cluster.job(l.t.Context(), jobName)
	if err != nil {
		return 0
	}
	return d.Checkpoints.LastCompletedID
}

// A task that panics takes its region with it, and nothing else.
func TestI7_RegionsGoOnBesideAPanic(t *testing.T) {
	inLanes(t, func(l *lanesRun) {
		l.counted.let(checkpoint.SubtaskID{Vertex: "double", Index: 3})
		l.goOn(3)
	})
}

// So does a node that dies.
func TestI7_RegionsGoOnBesideALostNode(t *testing.T) {
	inLanes(t, func(l *lanesRun) {
		d := l.until("it runs", func(d api.JobDetail) bool { return d.State == "RUNNING" })
		victim := d.Subtasks[2].Node // of read[2]
		var stopped []int
		for index := range 4 {
			for _, s := range d.Subtasks {
				if strings.HasSuffix(s.ID, fmt.Sprintf("[%d]", index)) && s.Node == victim && !slices.Contains(stopped, index) {
					stopped = append(stopped, index)
				}
			}
		}
		if len(stopped) == 4 {
			l.t.Fatalf("all lanes are on node %s: %+v", victim, d.Subtasks)
		}
		l.cluster.killNode(checkpoint.NodeID(victim))
		if err := l.cluster.startNode(checkpoint.NodeID(victim)); err != nil {
			l.t.Fatal(err)
		}
		l.goOn(stopped...)
	})
}

// The leader may die meanwhile: its successor sees in the reports what goes on.
func TestI7_RegionsGoOnBesideADeadLeader(t *testing.T) {
	inLanes(t, func(l *lanesRun) {
		l.counted.let(checkpoint.SubtaskID{Vertex: "double", Index: 1})
		l.until("it waits for its next attempt", func(d api.JobDetail) bool { return d.State == "RESTARTING" })
		s := &striker{c: l.cluster}
		leader, found := s.awaitLeader()
		if !found {
			l.t.Fatal("nobody leads")
		}
		l.cluster.killCoordinator(l.cluster.coordinatorOf(leader))
		l.goOn(1)
	})
}
