package main

import (
	"strings"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"64MiB": 64 << 20, "1 GiB": 1 << 30, "0B": 0, "512B": 512, " 3KiB ": 3 << 10, "2TiB": 2 << 40,
	} {
		got, err := parseSize(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
		if again, err := parseSize(sizeFlag(want)); err != nil || again != want {
			t.Errorf("%d is written as %s, which is %d, %v", want, sizeFlag(want), again, err)
		}
	}
	for text, want := range map[string]string{
		"": "no unit", "64": "no unit", "64MB": "not a whole number", "-1MiB": "not a whole number", "1.5GiB": "not a whole number",
		"MiB": "not a whole number", "9999999999TiB": "too large", "64mib": "no unit",
	} {
		if got, err := parseSize(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %v, want an error with %q", text, got, err, want)
		}
	}
}
