package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// writeFiles creates files, given by path below dir and content.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		path = filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func paths(splits []split) []string {
	var all []string
	for _, s := range splits {
		all = append(all, filepath.ToSlash(s.path))
	}
	return all
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"b/x.go": "bb", "a.go": "a", "b/y.txt": "y", "b/c/z.go": "", "outside": "o"})
	if err := os.Symlink(filepath.Join(dir, "a.go"), filepath.Join(dir, "link.go")); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, input, suffix string
		want                []string
	}{
		{"suffix", dir, ".go", []string{"a.go", "b/c/z.go", "b/x.go"}},
		{"all files", dir, "", []string{"a.go", "b/c/z.go", "b/x.go", "b/y.txt", "outside"}},
		{"nothing matches", dir, ".java", nil},
		{"one file, whatever its name", filepath.Join(dir, "b", "y.txt"), ".go", []string{"y.txt"}},
		{"input is a link", linked, ".txt", []string{"b/y.txt"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root, got, err := scan(test.input, test.suffix)
			if err != nil || !slices.Equal(paths(got), test.want) {
				t.Fatalf("scan = %v, %v, want %v", paths(got), err, test.want)
			}
			if again, err := rootOf(test.input); err != nil || again != root {
				t.Errorf("rootOf = %q, %v, scan found %q", again, err, root)
			}
			for _, s := range got {
				if info, err := os.Stat(filepath.Join(root, s.path)); err != nil || info.Size() != s.size {
					t.Errorf("split %+v: file is %v, %v", s, info, err)
				}
			}
		})
	}
	if _, _, err := scan(filepath.Join(dir, "missing"), ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing input: %v", err)
	}
}

func TestAssign(t *testing.T) {
	all := []split{wholeFile("a", 5), wholeFile("b", 9), wholeFile("c", 5), wholeFile("d", 0), wholeFile("e", 3)}
	// b(9) -> 0, a(5) -> 1, c(5) -> 2, e(3) -> 1; d is empty.
	want := [][]string{{"b"}, {"a", "e"}, {"c"}}
	for index, paths1 := range want {
		if got := paths(assign(all, len(want), index)); !slices.Equal(got, paths1) {
			t.Errorf("subtask %d reads %v, want %v", index, got, paths1)
		}
	}
}

// Every file with content goes to exactly one subtask, and no subtask is given more than the least loaded
// one and one file besides.
func TestAssignProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 1000), 0, 60).Draw(t, "sizes")
		parallelism := rapid.IntRange(1, 9).Draw(t, "parallelism")
		var all []split
		content := 0
		for i, size := range sizes {
			all = append(all, wholeFile(strings.Repeat("f", i+1), size))
			if size > 0 {
				content++
			}
		}
		seen := make(map[string]bool)
		loads := make([]int64, parallelism)
		largest := int64(0)
		for index := range parallelism {
			for _, s := range assign(all, parallelism, index) {
				if seen[s.path] {
					t.Fatalf("%s is assigned twice", s.path)
				}
				seen[s.path] = true
				loads[index] += s.size
				largest = max(largest, s.size)
			}
		}
		if len(seen) != content {
			t.Fatalf("%d files assigned, want %d", len(seen), content)
		}
		if slices.Max(loads)-slices.Min(loads) > largest {
			t.Fatalf("loads %v differ by more than the largest file, %d", loads, largest)
		}
	})
}

func TestSplitRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Min(0).Draw(t, "size")
		want := split{path: filepath.Join("d", rapid.StringMatching(`[a-zé ]{1,20}`).Draw(t, "path")),
			size: size, offset: rapid.Int64Range(0, size).Draw(t, "offset"), end: rapid.Int64Range(0, size).Draw(t, "end")}
		want.cut = want.offset > 0 && rapid.Bool().Draw(t, "cut")
		form := rapid.SampledFrom([]byte{formSplit, formWatched}).Draw(t, "form")
		if _, err := decodeSplit(want.appendTo(nil, form), form^3); err == nil {
			t.Fatal("a form is taken for the other")
		}
		if got, err := decodeSplit(want.appendTo(nil, form), form); err != nil || got != want {
			t.Fatalf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

func TestDecodeSplitRefuses(t *testing.T) {
	for name, entry := range map[string][]byte{
		"empty":              nil,
		"no form":            {0},
		"an older build's":   {5, 0, 'a'},
		"unknown form":       {0, 9, 5, 0, 5, 0, 'a'},
		"no offset":          {0, formSplit, 5},
		"no path":            {0, formSplit, 5, 0, 5, 0},
		"offset beyond size": split{path: "a", size: 1, offset: 2}.appendTo(nil, formSplit),
		"end beyond size":    split{path: "a", size: 1, end: 2}.appendTo(nil, formSplit),
		"cut at the begin":   split{path: "a", size: 1, end: 1, cut: true}.appendTo(nil, formSplit),
		"path leaves root":   wholeFile("../etc/passwd", 1).appendTo(nil, formSplit),
		"absolute path":      wholeFile("/etc/passwd", 1).appendTo(nil, formSplit),
		"size too large":     append([]byte{0, formSplit, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0, 0, 0}, 'a'),
		"bad flag":           {0, formSplit, 5, 1, 5, 2, 'a'},
	} {
		if s, err := decodeSplit(entry, formSplit); err == nil {
			t.Errorf("%s: decoded as %+v", name, s)
		}
	}
}

func FuzzDecodeSplit(f *testing.F) {
	f.Add(split{path: "a/b.go", size: 300, offset: 7, end: 300, cut: true}.appendTo(nil, formSplit))
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, entry []byte) {
		s, err := decodeSplit(entry, formSplit)
		if err != nil {
			return
		}
		if again, err := decodeSplit(s.appendTo(nil, formSplit), formSplit); err != nil || again != s {
			t.Errorf("%+v comes back as %+v, %v", s, again, err)
		}
	})
}
