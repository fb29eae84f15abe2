package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func contextOf(parallelism int) dataflow.SourceContext {
	return dataflow.SourceContext{
		Subtask: checkpoint.SubtaskID{Vertex: "read"}, Parallelism: parallelism, Logger: slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, s *Source) dataflow.SourceReader[string] {
	t.Helper()
	r, err := s.Open(contextOf(1))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read calls Next until n lines or the end have come, waiting as the runtime does.
func read(t *testing.T, r dataflow.SourceReader[string], n int) (lines []string, ended bool) {
	t.Helper()
	for len(lines) < n {
		status, err := r.Next(func(line string) { lines = append(lines, line) })
		switch {
		case err != nil:
			t.Fatal(err)
		case status == dataflow.End():
			return lines, true
		case len(lines) < n && status == dataflow.IdleOn(r.(*reader).ready):
			<-r.(*reader).ready
		}
	}
	return lines, false
}

func TestReadsLinesOverTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var want []string
	content := ""
	for i := range 3000 { // more than are queued
		want = append(want, fmt.Sprint("line ", i))
		content += fmt.Sprintf("line %d\r\n", i)
	}
	want = append(want, "", "without a line end")
	content += "\nwithout a line end"
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = conn.Write([]byte(content))
			err = errors.Join(err, conn.Close())
		}
		served <- err
	}()
	r := open(t, New(l.Addr().String(), UntilClosed()))
	got, ended := read(t, r, len(want)+1)
	if !ended || !slices.Equal(got, want) {
		t.Errorf("read %d lines, ended %v, want %d", len(got), ended, len(want))
	}
	if entries, err := r.Snapshot(); err != nil || len(entries) != 0 {
		t.Errorf("the state holds %q, %v", entries, err)
	}
	if got, want := r.Position(), fmt.Sprintf("%s line %d", l.Addr(), len(want)); got != want {
		t.Errorf("the position is %q, want %q", got, want)
	}
	if err := errors.Join(r.Close(), <-served); err != nil {
		t.Error(err)
	}
}

// dialler is a network: each element of script is what one attempt to connect finds. An empty string is refused.
type dialler struct {
	script []string
	at     []time.Duration // of the attempts
	start  time.Time
}

func (d *dialler) dial(ctx context.Context, _ string) (net.Conn, error) {
	d.at = append(d.at, time.Since(d.start))
	if len(d.script) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	content := d.script[0]
	d.script = d.script[1:]
	if content == "" {
		return nil, errors.New("refused")
	}
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Write([]byte(content))
		_ = theirs.Close()
	}()
	return ours, nil
}

func TestConnectsAgainWithBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("host:1", Backoff(time.Second, 5*time.Second))
		d := &dialler{start: time.Now(), script: []string{"a\nb\n", "", "", "", "", "c\n", ""}}
		s.dial = d.dial
		r := open(t, s)
		lines, _ := read(t, r, 3)
		if !slices.Equal(lines, []string{"a", "b", "c"}) {
			t.Errorf("read %q", lines)
		}
		time.Sleep(10 * time.Second) // in the bubble
		synctest.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		var seconds []int
		for _, at := range d.at {
			seconds = append(seconds, int(at/time.Second))
		}
		// 1, 2, 4, 5, 5 between failures, and 1 again after the connection that gave a line.
		if want := []int{0, 1, 3, 7, 12, 17, 18, 20}; !slices.Equal(seconds, want) {
			t.Errorf("connected at %v, want %v", seconds, want)
		}
	})
}

// What is not read stays in the connection: the queue is bounded, and closing does not wait for the task.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("host:1")
		d := &dialler{start: time.Now(), script: []string{strings.Repeat("x\n", 10*queuedLines)}}
		s.dial = d.dial
		r := open(t, s)
		synctest.Wait()
		if got := len(r.(*reader).lines); got != queuedLines {
			t.Errorf("%d lines wait, want %d", got, queuedLines)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestLineTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("host:1", MaxLine(8))
		d := &dialler{start: time.Now(), script: []string{"1234567\n12345678\n"}}
		s.dial = d.dial
		r := open(t, s)
		defer func() { _ = r.Close() }()
		synctest.Wait() // everything has been read
		var lines []string
		_, err := r.Next(func(line string) { lines = append(lines, line) })
		if !slices.Equal(lines, []string{"1234567"}) {
			t.Errorf("read %q", lines)
		}
		if err == nil || !dataflow.FailureOf(err).Permanent || !strings.Contains(err.Error(), `"12345678`) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOpenChecks(t *testing.T) {
	for name, test := range map[string]struct {
		source      *Source
		parallelism int
		want        string
	}{
		"parallelism":     {New("host:1"), 2, "parallelism is 2: want 1"},
		"no port":         {New("host"), 1, "host:port"},
		"no length":       {New("host:1", MaxLine(0)), 1, "MaxLine is 0"},
		"backoff of zero": {New("host:1", Backoff(0, 1)), 1, "Backoff"},
		"backoff turned":  {New("host:1", Backoff(2, 1)), 1, "Backoff"},
	} {
		if _, err := test.source.Open(contextOf(test.parallelism)); err == nil || !strings.Contains(err.Error(), test.want) || !dataflow.FailureOf(err).Permanent {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
