package jobtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Output returns the lines that a file sink has committed to a directory, sorted. Files that have not been committed
// are an error, and so is a directory that is not there.
func Output(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".inprogress" || ext == ".pending" {
			t.Errorf("the output holds %s", e.Name())
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

// SameLines compares sorted lines, and names the first that differ.
func SameLines(t *testing.T, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%d lines, want %d; the first difference is %q, want %q", len(got), len(want), got[i], want[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(got), len(want))
}
