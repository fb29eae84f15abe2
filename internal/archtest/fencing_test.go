package archtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The fencing tables of docs/ARCHITECTURE.md have a row for every message of a session, and none for what is no
// message. What the rows say is tested where it happens: dataflow/executor and coordinator.
func TestI6_FencingTableNamesEveryMessage(t *testing.T) {
	var messages []string
	for _, s := range sources(t) {
		if filepath.Dir(s.path) == "checkpoint" {
			messages = append(messages, sessionMessages(s.file)...)
		}
	}
	if len(messages) < 10 {
		t.Fatalf("found only the messages %v", messages)
	}
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(document), "\n## Fencing\n")
	if !found {
		t.Fatal("docs/ARCHITECTURE.md has no section on fencing")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(section, -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(messages)
	slices.Sort(rows)
	if !slices.Equal(rows, messages) {
		t.Errorf("the fencing tables have the rows %v, the messages are %v", rows, messages)
	}
}

// sessionMessages returns the types that are marked as messages to or from a node.
func sessionMessages(f *ast.File) []string {
	var names []string
	for _, d := range f.Decls {
		method, ok := d.(*ast.FuncDecl)
		if !ok || method.Recv == nil || method.Name.Name != "toNode" && method.Name.Name != "fromNode" {
			continue
		}
		if receiver, ok := method.Recv.List[0].Type.(*ast.Ident); ok {
			names = append(names, receiver.Name)
		}
	}
	return names
}
