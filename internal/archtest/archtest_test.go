// Package archtest holds the rules of the source tree's structure, as a test: which package may import
// which, and which files are pure.
package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "cairn"

// mayImport lists, for each top-level package of ours, the others that it and its subfolders may import.
// What a package's own subfolders offer it may always use. cmd is not listed: it may import everything.
var mayImport = map[string][]string{
	"checkpoint":  {},
	"api":         {"checkpoint"},
	"fsm":         {"checkpoint"},
	"coordinator": {"checkpoint", "fsm", "api", "placement"},
	"dataflow":    {"checkpoint"},
	"placement":   {"checkpoint"},
	"statestore":  {"checkpoint", "placement"},
	"transport":   {"checkpoint", "api"},
	"membership":  {"checkpoint"},
	"connector":   {"dataflow", "checkpoint"},
	"jobs":        {"dataflow", "checkpoint", "connector"},
	"node":        {"checkpoint", "dataflow", "placement", "statestore", "transport", "membership", "internal"},
	"internal":    {"api", "checkpoint", "coordinator", "dataflow", "fsm", "membership", "placement", "statestore", "transport"},
}

// mayImportAlone lists, for folders that stand for themselves, all packages of ours that their files may import: what the
// layers of a package are. The rule of the top-level package holds besides.
var mayImportAlone = map[string][]string{
	"dataflow/aligner":  {"checkpoint"},
	"dataflow/exchange": {"checkpoint", "dataflow/aligner"},
}

// pureFiles are patterns of files that decide and compute only: time comes in as an argument, effects go
// out as values.
var pureFiles = []string{
	"checkpoint/*.go",
	"fsm/state*.go", "fsm/command*.go", "fsm/step*.go", "fsm/summary*.go",
	"coordinator/decide*.go",
	"dataflow/aligner/*.go",
	"placement/*.go",
}

// impure are the imports that a pure file may not have.
var impure = []string{
	"os", "net", "sync", "math/rand", "math/rand/v2", "crypto/rand", "context", "log", "log/slog",
	"github.com/hashicorp/raft", "google.golang.org/grpc",
}

// clock are the functions of package time that read or wait for a clock.
var clock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

type source struct {
	path string // relative to the module's root, with slashes
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "tools" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		all = append(all, source{path: filepath.ToSlash(rel), file: file})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found only %d source files below %s: the walk is broken", len(all), root)
	}
	return all
}

func imports(f *ast.File) []string {
	var paths []string
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			panic(err) // the parser accepted it
		}
		paths = append(paths, path)
	}
	return paths
}

func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		owner := top(s.path)
		if owner == "cmd" || owner == "scripts" || owner == "examples" {
			continue
		}
		allowed, known := mayImport[owner]
		if !known {
			t.Errorf("%s: top-level folder %q has no rule; add one to mayImport", s.path, owner)
			continue
		}
		for _, path := range imports(s.file) {
			ours, found := strings.CutPrefix(path, module+"/")
			if !found || top(ours) == owner || slices.Contains(allowed, top(ours)) {
				continue
			}
			t.Errorf("%s imports %s: %s may import only %v", s.path, path, owner, allowed)
		}
	}
}

func TestImportsWithinPackages(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range sources(t) {
		folder := path.Dir(s.path)
		allowed, ruled := mayImportAlone[folder]
		if !ruled {
			continue
		}
		seen[folder] = true
		for _, imported := range imports(s.file) {
			ours, found := strings.CutPrefix(imported, module+"/")
			if found && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: %s may import only %v", s.path, imported, folder, allowed)
			}
		}
	}
	for folder := range mayImportAlone {
		if !seen[folder] {
			t.Errorf("mayImportAlone has a rule for %s, where no source file is", folder)
		}
	}
}

func isPure(path string) bool {
	return slices.ContainsFunc(pureFiles, func(pattern string) bool {
		matched, err := filepath.Match(pattern, path)
		return err == nil && matched
	})
}

func TestPureFiles(t *testing.T) {
	checked := make(map[string]int)
	for _, s := range sources(t) {
		if !isPure(s.path) {
			continue
		}
		checked[top(s.path)]++
		for _, path := range imports(s.file) {
			if slices.Contains(impure, path) || strings.HasPrefix(path, "google.golang.org/grpc") {
				t.Errorf("%s is pure but imports %s", s.path, path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s is pure but starts a goroutine", s.path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s is pure but calls time.%s", s.path, n.Sel.Name)
				}
			}
			return true
		})
	}
	for _, folder := range []string{"checkpoint", "fsm", "coordinator", "dataflow", "placement"} {
		if checked[folder] == 0 {
			t.Errorf("no pure file found in %s: a pattern in pureFiles is out of date", folder)
		}
	}
}
