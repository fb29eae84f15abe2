package file

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cairn/dataflow"
)

func TestGzip(t *testing.T) {
	dir := t.TempDir()
	w := openWriter(t, NewSink(dir, appendString, Gzip(), RollSize(1<<10)), 1)
	var want []string
	for i := range 20_000 {
		want = append(want, fmt.Sprint("record ", i*i*7919))
	}
	write(t, w, want...)
	if err := w.Close(); err != nil { // half-written ones are given back whole
		t.Fatal(err)
	}
	wantTree(t, dir)
	w = openWriter(t, NewSink(dir, appendString, Gzip(), RollSize(1<<10)), 2)
	write(t, w, want...)
	commit(t, w, preCommit(t, w, 1))
	var got []string
	names := tree(t, dir)
	for _, name := range names {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || !strings.HasSuffix(name, ".gz") {
			t.Fatalf("%s: %v", name, err)
		}
		_ = f.Close()
		got = append(got, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(names) < 2 {
		t.Errorf("%d records in %d files, want %d in some", len(got), len(names), len(want))
	}
}

type sale struct {
	Shop string `csv:"shop"`
	Note string `csv:"note"`
	Sum  int    `csv:"sum" json:"sum"`
}

func TestFormats(t *testing.T) {
	records := []sale{{"a", "x,\"y\"", 1}, {"b", "<&>", 2}}
	row := func(dst []string, s sale) []string { return append(dst, s.Shop, strconv.Itoa(s.Sum)) }
	for name, test := range map[string]struct {
		sink  func(dir string) *Sink[sale]
		files map[string]string
	}{
		"CSV": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir) },
			map[string]string{"part-01020304-0-1-0.csv": "shop,note,sum\na,\"x,\"\"y\"\"\",1\nb,<&>,2\n"}},
		"CSV, each file with its header": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir, RollSize(1)) },
			map[string]string{"part-01020304-0-1-0.csv": "shop,note,sum\na,\"x,\"\"y\"\"\",1\n", "part-01020304-0-1-1.csv": "shop,note,sum\nb,<&>,2\n"}},
		"CSV without header": {func(dir string) *Sink[sale] { return NewCSVSink[sale](dir, WithoutHeader()) },
			map[string]string{"part-01020304-0-1-0.csv": "a,\"x,\"\"y\"\"\",1\nb,<&>,2\n"}},
		"CSV rows": {func(dir string) *Sink[sale] { return NewCSVRowSink(dir, []string{"s", "n"}, row) },
			map[string]string{"part-01020304-0-1-0.csv": "s,n\na,1\nb,2\n"}},
		"JSON lines": {func(dir string) *Sink[sale] { return NewJSONSink[sale](dir) },
			map[string]string{"part-01020304-0-1-0.jsonl": "{\"Shop\":\"a\",\"Note\":\"x,\\\"y\\\"\",\"sum\":1}\n{\"Shop\":\"b\",\"Note\":\"<&>\",\"sum\":2}\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			w := openWriter(t, test.sink(dir), 1)
			for _, r := range records {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Commit(t.Context(), errorless(t)(w.PreCommit(t.Context(), 1))); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for _, name := range tree(t, dir) {
				content, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				got[name] = string(content)
			}
			if fmt.Sprint(got) != fmt.Sprint(test.files) {
				t.Errorf("wrote %q, want %q", got, test.files)
			}
		})
	}
}

func errorless(t *testing.T) func([]byte, error) []byte {
	return func(handle []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return handle
	}
}

func TestRecordThatCannotBeEncoded(t *testing.T) {
	dir := t.TempDir()
	json := openWriter(t, NewJSONSink[any](dir), 1)
	if err := json.Write(make(chan int)); err == nil || !dataflow.FailureOf(err).Permanent {
		t.Errorf("JSON of a channel: %v", err)
	}
	csv := openWriter(t, NewCSVRowSink(dir, []string{"a", "b"}, func(dst []string, s string) []string { return append(dst, s) }), 1)
	if err := csv.Write("x"); err == nil || !strings.Contains(err.Error(), "1 fields, the header 2") {
		t.Errorf("a row that is too short: %v", err)
	}
	wantTree(t, dir)
}

func TestSinkOptionsAreChecked(t *testing.T) {
	dir := t.TempDir()
	for want, err := range map[string]error{
		"RollSize is -1":    errorOf(NewJSONSink[int](dir, RollSize(-1)).Open(sinkContext(0, 1, false))),
		"RollEvery is -1ns": errorOf(NewJSONSink[int](dir, RollEvery(-1)).Open(sinkContext(0, 1, false))),
		"MaxOpenParts is 0": errorOf(NewJSONSink[int](dir, MaxOpenParts(0)).Open(sinkContext(0, 1, false))),
		"want a struct":     errorOf(NewCSVSink[int](dir).Open(sinkContext(0, 1, false))),
		"has no columns":    errorOf(NewCSVRowSink[int](dir, nil, nil).Open(sinkContext(0, 1, false))),
	} {
		if err == nil || !strings.Contains(err.Error(), want) || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
