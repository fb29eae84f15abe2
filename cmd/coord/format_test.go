package main

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	for _, c := range []struct {
		ago  time.Duration
		want string
	}{
		{-time.Minute, "0s ago"}, // the clock of the other host is ahead
		{0, "0s ago"},
		{999 * time.Millisecond, "0s ago"},
		{time.Second, "1s ago"},
		{time.Minute - 1*time.Millisecond, "59s ago"},
		{time.Minute, "1m ago"},
		{time.Hour - time.Second, "59m ago"},
		{time.Hour, "1h ago"},
		{47*time.Hour + 59*time.Minute, "47h ago"},
		{48 * time.Hour, "2d ago"},
		{400 * 24 * time.Hour, "400d ago"},
	} {
		if got := age(exampleNow, ago(c.ago)); got != c.want {
			t.Errorf("age of %s: %q, want %q", c.ago, got, c.want)
		}
	}
	if got := age(exampleNow, 0); got != "never" {
		t.Errorf("age of the zero time: %q, want never", got)
	}
}

func TestDuration(t *testing.T) {
	for ms, want := range map[int64]string{
		0: "0ms", 1: "1ms", 999: "999ms", 1000: "1.0s", 1250: "1.2s", 59_999: "59.9s", 60_000: "1m00s", 61_500: "1m01s",
		3_599_999: "59m59s", 3_600_000: "1h00m", 90_000_000: "25h00m",
	} {
		if got := duration(ms); got != want {
			t.Errorf("duration(%d) = %q, want %q", ms, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 20: "1.0 MiB",
		64 << 20: "64.0 MiB", 5 << 30: "5.0 GiB", 3 << 40: "3.0 TiB", math.MaxInt64: "8.0 EiB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}

func TestLastContact(t *testing.T) {
	for _, c := range []struct {
		state string
		ms    int64
		want  string
	}{
		{"leader", 0, "-"}, {"follower", 0, "0ms ago"}, {"follower", 1500, "1.5s ago"}, {"failed", -1, "unknown"},
	} {
		if got := lastContact(c.state, c.ms); got != c.want {
			t.Errorf("lastContact(%s, %d) = %q, want %q", c.state, c.ms, got, c.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"plain, ünïcode → fine": "plain, ünïcode → fine",
		"first\n  second\r\n":   "first; second",
		"a\tb":                  "a b",
		"\x1b[2Jgone":           "[2Jgone", // without its escape it clears no screen
	} {
		if got := oneLine(text); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestWriteFactsLeavesOutTheEmpty(t *testing.T) {
	var b bytes.Buffer
	if err := writeFacts(&b, say("A", ""), say("Bcd", "1", "2"), say("E"), say("F", "3")); err != nil {
		t.Fatal(err)
	}
	if want := "Bcd  1\n     2\nF    3\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestWriteTableLeavesOutEmptyColumns(t *testing.T) {
	var b bytes.Buffer
	err := writeTable(&b, "none", []column{left("NAME"), left("WHY"), right("N")}, [][]string{{"long name", "", "1"}, {"x", "", "10"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "NAME        N\nlong name   1\nx          10\n"; b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}
