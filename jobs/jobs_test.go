package jobs

import (
	"slices"
	"strings"
	"testing"

	"cairn/dataflow/jobtest"
)

func TestShippedProgramsAreComplete(t *testing.T) {
	programs := Programs()
	if len(programs) == 0 {
		t.Fatal("the binary ships no program")
	}
	for _, p := range programs {
		if p.Name == "" || p.Doc == "" || p.Build == nil {
			t.Errorf("program %+v lacks a name, a line of documentation or a way to build it", p)
		}
	}
}

// Every parameter that a program asks for is documented, and no other.
func TestShippedProgramsDocumentTheirParameters(t *testing.T) {
	given := map[string]string{"input": "/in", "output": "/out", "late": "/late", "query": "q0"}
	for _, p := range Programs() {
		params := map[string]string{"there is no such parameter": ""}
		var documented []string
		for _, d := range p.Params {
			documented = append(documented, d.Name)
			if v := given[d.Name]; v != "" {
				params[d.Name] = v
			}
			if d.Doc == "" {
				t.Errorf("%s: parameter %s is not described", p.Name, d.Name)
			}
		}
		if p.Name == "sessionize" {
			delete(params, "input") // instead of which clicks are generated
		}
		slices.Sort(documented)
		want := ": known are " + strings.Join(documented, ", ")
		if err := jobtest.Build(p, params); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s asks for other parameters: %v, documented: %s", p.Name, err, want)
		}
	}
}
