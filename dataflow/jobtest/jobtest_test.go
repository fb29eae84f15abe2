package jobtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/connector/file"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

var errOdd = errors.New("cannot be processed")

// countdown writes n, a second apart, until it comes to bad in the first attempt.
type countdown struct {
	failed *bool
	bad    int64
}

func (c countdown) program() dataflow.Program {
	return dataflow.Program{Name: "countdown", Build: func(g *dataflow.Graph, p *dataflow.Params) error {
		output, err := p.Required("output")
		if err != nil {
			return err
		}
		numbers := generate.New(20, func(i int64) int64 { return i }, generate.Rate(1))
		read := dataflow.From(g, "read", numbers, codec.Int64, dataflow.Parallelism(2))
		byNumber := dataflow.KeyBy(read, codec.Int64, func(n int64) int64 { return n })
		lines := dataflow.Process(byNumber, "check", codec.String, func() dataflow.KeyedProcessor[int64, int64, string] { return c }, dataflow.Parallelism(2))
		dataflow.To(dataflow.Rebalance(lines), "write", file.NewSink(output, func(dst []byte, line string) []byte { return append(dst, line...) }), dataflow.Parallelism(1))
		return nil
	}}
}

func (countdown) Open(*dataflow.ProcessContext[int64]) error { return nil }

func (c countdown) Process(_, n int64, emit func(string)) error {
	if c.failed != nil && n == c.bad && !*c.failed {
		*c.failed = true
		return errOdd
	}
	emit(fmt.Sprintf("n%02d", n))
	return nil
}

func (countdown) Finish(func(string)) error { return nil }

func all() []string {
	var lines []string
	for n := range 20 {
		lines = append(lines, fmt.Sprintf("n%02d", n))
	}
	return lines
}

// A job runs to its end, in virtual time, with a checkpoint now and then.
func TestRunRunsAJobToItsEnd(t *testing.T) {
	out := t.TempDir()
	var checkpoints checkpoint.ID
	Run(t, countdown{}.program(), map[string]string{"output": out}, func(t *testing.T, _ *Cluster, l *Leader) {
		l.Until("three checkpoints have completed", func() bool { return l.Completed.ID >= 3 })
		if l.Finished() || l.Attempt != 1 || l.Restored != 0 {
			t.Errorf("finished %t, attempt %d from checkpoint %d", l.Finished(), l.Attempt, l.Restored)
		}
		checkpoints = l.Completed.ID
	})
	if checkpoints < 3 {
		t.Errorf("%d checkpoints had completed", checkpoints)
	}
	SameLines(t, Output(t, out), all())
}

// Nodes die and come back, leaders change: the next attempt goes on from the last checkpoint, and the output is the same.
func TestFaultsDoNotShow(t *testing.T) {
	out := t.TempDir()
	Run(t, countdown{}.program(), map[string]string{"output": out}, func(t *testing.T, c *Cluster, l *Leader) {
		l.Until("a checkpoint has completed", func() bool { return l.Completed.ID >= 1 })
		l.TakeOver()
		if l.Term != 2 {
			t.Errorf("term %d", l.Term)
		}
		done := l.Completed.ID
		l.Until("the new leader completes one", func() bool { return l.Completed.ID > done })
		c.Kill("n2")
		l.Until("somebody misses it", func() bool { return len(l.Failures) > 0 })
		c.Start("n2")
		l.OpenSession("n2")
		l.Deploy()
		if l.Attempt != 2 || l.Restored == 0 || l.Restored != l.Completed.ID || len(l.Failures) != 0 {
			t.Errorf("attempt %d from checkpoint %d of %d, failures %q", l.Attempt, l.Restored, l.Completed.ID, l.Failures)
		}
	})
	SameLines(t, Output(t, out), all())
}

// What broke by itself comes before what followed from it, whichever is reported first.
func TestFailuresBeginWithTheirCause(t *testing.T) {
	out, failed := t.TempDir(), false
	Run(t, countdown{&failed, 7}.program(), map[string]string{"output": out}, func(t *testing.T, _ *Cluster, l *Leader) {
		l.Until("the culprit and its neighbours have failed", func() bool {
			return slices.ContainsFunc(l.Failures, func(f string) bool { return strings.Contains(f, errOdd.Error()) }) && len(l.Failures) > 1
		})
		if !strings.HasPrefix(l.Failures[0], "check[") || !strings.Contains(l.Failures[0], errOdd.Error()) {
			t.Errorf("failures %q", l.Failures)
		}
		l.Deploy()
	})
	SameLines(t, Output(t, out), all())

	l := &Leader{}
	report := func(index int, message string, secondary bool) {
		l.failed(checkpoint.SubtaskReport{
			Subtask: checkpoint.SubtaskID{Vertex: "v", Index: index}, Failure: checkpoint.Failure{Message: message, Secondary: secondary},
		})
	}
	report(0, "a", true)
	report(1, "b", false)
	report(2, "c", true)
	report(3, "d", false)
	if want := []string{"v[1]: b", "v[3]: d", "v[0]: a", "v[2]: c"}; !slices.Equal(l.Failures, want) {
		t.Errorf("%q, want %q", l.Failures, want)
	}
}

// A savepoint that the job ends with stops it before its end.
func TestJobStopsWithASavepoint(t *testing.T) {
	out := t.TempDir()
	Run(t, countdown{}.program(), map[string]string{"output": out}, func(t *testing.T, _ *Cluster, l *Leader) {
		l.Until("a checkpoint has completed", func() bool { return l.Completed.ID >= 1 && l.Pending == 0 })
		l.Stop = checkpoint.StopSuspend
		l.Until("the savepoint has completed", func() bool { return l.Stopped })
	})
	if got := Output(t, out); len(got) == 0 || len(got) >= 20 || !slices.Equal(got, all()[:len(got)]) {
		t.Errorf("wrote %q", got)
	}
}

func TestBuildReportsWhatANodeWould(t *testing.T) {
	if err := Build(countdown{}.program(), map[string]string{"output": "/out"}); err != nil {
		t.Error(err)
	}
	for params, want := range map[string]string{"": "parameter output is required", "outptu": `unknown parameter "outptu": known are output`} {
		given := map[string]string{}
		if params != "" {
			given = map[string]string{"output": "/out", params: "x"}
		}
		if err := Build(countdown{}.program(), given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", params, err, want)
		}
	}
}

// Only committed files count, and their lines are sorted.
func TestOutputIsWhatIsCommitted(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"part-1": "b\nd\n", "part-2": "a\nc\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Output(t, dir); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("%q", got)
	}
}
