package main

import (
	"strings"
	"testing"
)

// What keeps nodes from being given tasks of a job is shown with the job, one line each.
func TestJobShowsItsProblems(t *testing.T) {
	b := newBench()
	b.service.job.Problems = []string{
		"node n3 gets no task of job wordcount: its build has parallelism 3 for operator count, the job has 4", "node n4 gets no task of job wordcount: …",
	}
	out := b.run(t, "job", "show", "wordcount").stdout
	for _, p := range b.service.job.Problems {
		if !strings.Contains(out, " "+p+"\n") {
			t.Errorf("%q is not in\n%s", p, out)
		}
	}
}
