package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readAll(t *testing.T, r *lineReader, s split) (lines []string, offsets []int64, err error) {
	t.Helper()
	if err := r.open(s); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return lines, offsets, nil
		}
		if err != nil {
			return lines, offsets, err
		}
		lines = append(lines, string(line))
		offsets = append(offsets, r.split.offset)
	}
}

func TestLines(t *testing.T) {
	long := strings.Repeat("l", 3*readBufferSize+17)
	exact := strings.Repeat("e", readBufferSize-1) // with its line end it fills the buffer
	tests := []struct {
		name, content string
		want          []string
	}{
		{"empty", "", nil},
		{"usual", "a\nbc\n", []string{"a", "bc"}},
		{"no line end at the end", "a\nbc", []string{"a", "bc"}},
		{"empty lines", "\n\na\n\n", []string{"", "", "a", ""}},
		{"carriage returns", "a\r\nb\rc\r\n\r", []string{"a", "b\rc", ""}},
		{"not text", "\x00\xff\n\xfe", []string{"\x00\xff", "\xfe"}},
		{"longer than the buffer", "a\n" + long + "\nb\n" + long, []string{"a", long, "b", long}},
		{"as long as the buffer", exact + "\n" + exact + "x\n", []string{exact, exact + "x"}},
	}
	dir := t.TempDir()
	r := newLineReader(dir, 1<<20)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			writeFiles(t, dir, map[string]string{"f": test.content})
			s := wholeFile("f", int64(len(test.content)))
			all, offsets, err := readAll(t, r, s)
			if err != nil || !slices.Equal(all, test.want) {
				t.Fatalf("read %d lines, %v, want %d", len(all), err, len(test.want))
			}
			// From each offset on, reading goes on with the next line: what a restore relies on.
			for i, offset := range offsets {
				s.offset = offset
				if rest, _, err := readAll(t, r, s); err != nil || !slices.Equal(rest, test.want[i+1:]) {
					t.Errorf("from offset %d: %d lines, %v, want %d", offset, len(rest), err, len(test.want)-i-1)
				}
			}
		})
	}
}

func TestLineTooLong(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int{11, readBufferSize + 11, 4 * readBufferSize} {
		writeFiles(t, dir, map[string]string{"f": "ok\n" + strings.Repeat("x", size) + "\n"})
		all := wholeFile("f", int64(size)+4)
		lines, _, err := readAll(t, newLineReader(dir, size), all) // the line end is one too many
		if len(lines) != 1 || err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "f")) ||
			!strings.Contains(err.Error(), "f:3: ") {
			t.Errorf("size %d: read %d lines, %v", size, len(lines), err)
		}
		if lines, _, err := readAll(t, newLineReader(dir, size+1), all); len(lines) != 2 || err != nil {
			t.Errorf("size %d, just allowed: read %d lines, %v", size, len(lines), err)
		}
	}
}

func TestFileChangedSinceListing(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"f": "one\ntwo\n"})
	r := newLineReader(dir, 1<<20)
	if lines, _, err := readAll(t, r, wholeFile("f", 4)); err != nil || !slices.Equal(lines, []string{"one"}) {
		t.Errorf("a file that has grown: %q, %v; want what was there when it was listed", lines, err)
	}
	if lines, _, err := readAll(t, r, wholeFile("f", 6)); err != nil || !slices.Equal(lines, []string{"one", "tw"}) {
		t.Errorf("a file whose last line has grown: %q, %v; want what was there when it was listed", lines, err)
	}
	for _, size := range []int64{9, 100} {
		if _, _, err := readAll(t, r, wholeFile("f", size)); err == nil || !strings.Contains(err.Error(), "ends at offset 8") {
			t.Errorf("a file that has shrunk from %d: %v", size, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if err := r.open(wholeFile("f", 8)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that has gone: %v", err)
	}
}

func TestLinesReuseMemory(t *testing.T) {
	dir := t.TempDir()
	content := strings.Repeat("some words on a line\n", 2000)
	writeFiles(t, dir, map[string]string{"f": content})
	r := newLineReader(dir, 1<<20)
	if err := r.open(wholeFile("f", int64(len(content)))); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.close() }()
	if allocs := testing.AllocsPerRun(1000, func() {
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations per line, want none", allocs)
	}
}
