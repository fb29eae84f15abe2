package print

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func contextOf(index int) dataflow.SinkContext {
	return dataflow.SinkContext{Subtask: checkpoint.SubtaskID{Vertex: "show", Index: index}, Logger: slog.New(slog.DiscardHandler)}
}

// Lines of several subtasks come whole, each with its subtask.
func TestLinesAreWhole(t *testing.T) {
	var out bytes.Buffer // not safe for concurrent use: the sink's lock makes it so
	s := New[int](To(&out))
	var writing sync.WaitGroup
	var want []string
	for index := range 4 {
		w, err := s.Open(contextOf(index))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			want = append(want, fmt.Sprintf("show[%d]> %d", index, i))
		}
		writing.Go(func() {
			for i := range 100 {
				if err := w.Write(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines, want %d whole ones", len(got), len(want))
	}
}

func TestToLog(t *testing.T) {
	var log strings.Builder
	ctx := contextOf(0)
	ctx.Logger = slog.New(slog.NewTextHandler(&log, nil))
	w, err := NewFormat(func(dst []byte, s string) []byte { return append(dst, "<"+s+">"...) }, ToLog()).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"a", "b"} {
		if err := w.Write(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := log.String(); !strings.Contains(got, "record=<a>") || !strings.Contains(got, "record=<b>") {
		t.Errorf("the log is\n%s", got)
	}
}

type broken struct{}

var errBroken = errors.New("broken")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestErrorsAreReported(t *testing.T) {
	w, err := New[int](To(broken{})).Open(contextOf(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(1); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}
