package jobs

import "testing"

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
