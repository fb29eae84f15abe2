package blackhole

import (
	"log/slog"
	"strings"
	"sync"
	"testing"

	"cairn/dataflow"
)

func TestCountsAllSubtasks(t *testing.T) {
	s := New[string]()
	var log strings.Builder
	ctx := dataflow.SinkContext{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	var writing sync.WaitGroup
	for range 4 {
		w, err := s.Open(ctx)
		if err != nil {
			t.Fatal(err)
		}
		writing.Go(func() {
			for range 1000 {
				if err := w.Write("x"); err != nil {
					t.Error(err)
				}
			}
			if handle, err := w.PreCommit(t.Context(), 1); handle != nil || err != nil {
				t.Errorf("it has the transaction %q, %v", handle, err)
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	if got := s.Records(); got != 4000 {
		t.Errorf("counted %d, want 4000", got)
	}
	if got := strings.Count(log.String(), "records=1000"); got != 4 {
		t.Errorf("the log tells %d counts, want 4:\n%s", got, log.String())
	}
}

func TestNoAllocationPerRecord(t *testing.T) {
	w, err := New[string]().Open(dataflow.SinkContext{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if allocs := testing.AllocsPerRun(1000, func() { _ = w.Write("x") }); allocs != 0 {
		t.Errorf("%v allocations per record, want none", allocs)
	}
}
