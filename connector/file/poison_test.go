package file

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cairn/dataflow"
)

type number struct{ N int }

func TestPoison(t *testing.T) {
	tests := []struct {
		name, content string
		source        func(input string, opts ...SourceOption) dataflow.Source[string]
		want          []string // with skipping
		before        int      // how many of them come before the first fault
		err           string
	}{
		{"JSON", "{\"N\":1}\n{\"N\":\"x\"}\nnonsense\n\n{\"N\":2}\n",
			func(input string, opts ...SourceOption) dataflow.Source[string] {
				return mapped[number]{JSONLines[number](input, opts...), func(n number) string { return strconv.Itoa(n.N) }}
			}, []string{"1", "2"}, 1, `f:8: record beginning with "{\"N\":\"x\"}": json: cannot unmarshal`},
		{"line too long", "ab\n" + strings.Repeat("long", 100) + "\nc\n" + strings.Repeat("x", 3*readBufferSize) + "\nd\n" + strings.Repeat("y", 99),
			func(input string, opts ...SourceOption) dataflow.Source[string] {
				return NewSource(input, append(opts, MaxLine(8))...)
			}, []string{"ab", "c", "d"}, 1, `f:3: record beginning with "longlong`},
		{"CSV rows", "n\n1\n\n2,3\n\"x\"y\nfour\n5\n",
			func(input string, opts ...SourceOption) dataflow.Source[string] {
				return CSVRows(input, func(row []string) (string, error) {
					if row[0] == "four" {
						return "", fmt.Errorf("no number: %q", row[0])
					}
					return row[0], nil
				}, opts...)
			}, []string{"1", "5"}, 1, `f:5: record beginning with "2,3": wrong number of fields`},
		{"user's error", "n\nfour\n",
			func(input string, opts ...SourceOption) dataflow.Source[string] {
				return CSVRows(input, func(row []string) (string, error) { return "", fmt.Errorf("no number: %q", row[0]) }, opts...)
			}, nil, 0, `f:2: record beginning with "four": no number: "four"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"f": test.content})
			got, err := drainSource(t, test.source(filepath.Join(dir, "f")))
			if !errors.As(err, new(dataflow.PositionedError)) {
				t.Errorf("%v: where it happened will be said twice", err)
			}
			if err == nil || !strings.Contains(err.Error(), test.err) || !dataflow.FailureOf(err).Permanent || !slices.Equal(got, test.want[:test.before]) {
				t.Errorf("read %q, %v; want %q, then %s", got, err, test.want[:test.before], test.err)
			}
			if got, err := drainSource(t, test.source(dir, SkipPoison())); err != nil || !slices.Equal(got, test.want) {
				t.Errorf("skipping: read %q, %v; want %q", got, err, test.want)
			}
		})
	}
}

func drainSource(t *testing.T, s dataflow.Source[string]) (got []string, err error) {
	t.Helper()
	r, err := s.Open(sourceContext(0, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		status, err := r.Next(func(v string) { got = append(got, v) })
		if err != nil || status == dataflow.End() {
			return got, err
		}
	}
}

// A flood of faulty records is counted whole, and not logged whole.
func TestSkippedRecordsAreCounted(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": strings.Repeat("x\n", 1000) + "{}\n"})
	s := JSONLines[number](dir, SkipPoison())
	var log bytes.Buffer
	got, err := drainAll(t, s, func(ctx *dataflow.SourceContext) { ctx.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	if err != nil || len(got) != 1 || s.Skipped() != 1000 {
		t.Errorf("read %v, %v, skipped %d; want 1 and 1000", got, err, s.Skipped())
	}
	if n := strings.Count(log.String(), "skipped a record"); n != 10 || !strings.Contains(log.String(), "skipped=512") {
		t.Errorf("logged %d times, want 10:\n%s", n, log.String())
	}
}

func TestSourceOptionsAreChecked(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "a\n"})
	row := func(row []string) (string, error) { return row[0], nil }
	for want, err := range map[string]error{
		"SplitSize of a CSV":  errorOf(CSVRows(dir, row, SplitSize(5)).Open(sourceContext(0, 1))),
		"leave out SplitSize": errorOf(NewSource(dir, SplitSize(5), Watch(1)).Open(sourceContext(0, 1))),
		"no options of CSV":   errorOf(NewSource(dir, NoHeader()).Open(sourceContext(0, 1))),
		"MaxLine is 0":        errorOf(NewSource(dir, MaxLine(0)).Open(sourceContext(0, 1))),
		"LinesPerSecond is":   errorOf(NewSource(dir, LinesPerSecond(-1)).Open(sourceContext(0, 1))),
		"interval of Watch":   errorOf(NewSource(dir, Watch(-1)).Open(sourceContext(0, 1))),
		"SplitSize is -1":     errorOf(NewSource(dir, SplitSize(-1)).Open(sourceContext(0, 1))),
		"Comma is":            errorOf(CSVRows(dir, row, Comma('"')).Open(sourceContext(0, 1))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
