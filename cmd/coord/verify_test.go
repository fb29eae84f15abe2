package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"cairn/api"
	"cairn/checkpoint"
)

// twoNodes is a cluster in which n1, n2 are alive.
func twoNodes() *bench {
	b := newBench()
	status := exampleStatus()
	status.Nodes[1].State = "alive"
	b.service.status = statusOf(status)
	return b
}

// TestVerifyFindings walks what can be found, and what becomes of the command.
func TestVerifyFindings(t *testing.T) {
	for _, c := range []struct {
		name  string
		found map[string]error
		args  string
		code  int
		want  []string // of the output
		err   string
	}{
		{"nothing wrong", nil, "", 0, []string{"Savepoint 41 of job wordcount: 5 chunks, 3.0 MiB, 10 copies on 2 nodes: all good.\n"}, ""},
		{
			"a damaged copy", map[string]error{"n1 02": errDamaged}, "", 1,
			[]string{"10 copies on 2 nodes: 9 good, 1 corrupt.\n", "Under-replicated: 1 chunk with fewer than 2 good copies.\n", "corrupt  n1    0200000000000000  1.0 MiB  count[1], operator count"},
			"savepoint 41 of job wordcount has 1 damaged copy; it can be restored from others",
		},
		{
			"a copy that is not there", map[string]error{"n2 aa": errMissing}, "", 0,
			[]string{"9 good, 1 missing.\n", "missing  n2    aa11bb22cc33dd44  2.1 KiB  manifest"}, "",
		},
		{
			"and that matters", map[string]error{"n2 aa": errMissing}, "--replicated", 1, nil,
			"savepoint 41 of job wordcount is under-replicated: 1 chunk with fewer than 2 good copies",
		},
		{
			"no good copy", map[string]error{"n1 01": errDamaged, "n2 01": errMissing}, "", 1,
			[]string{"10 copies on 2 nodes: 8 good, 1 chunk lost, 1 corrupt, 1 missing.\n", "lost           0100000000000000  1.0 MiB  count[0], operator count"},
			"savepoint 41 of job wordcount cannot be restored: 1 chunk without a good copy",
		},
		{
			"a disk that fails", map[string]error{"n1 de": errors.New("input/output error"), "n2 de": errors.New("input/output error")}, "", 1,
			[]string{"8 good, 2 not read.\n", "unread  n1    de00000000000000  2.9 KiB  statistics  input/output error"},
			"savepoint 41 of job wordcount was not verified as a whole: 2 copies were not read",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := twoNodes()
			b.replicas.found = c.found
			r := b.run(t, strings.Fields("checkpoint verify wordcount 41 "+c.args)...)
			want := ""
			if c.err != "" {
				want = "Error: " + c.err + "\n"
			}
			if r.code != c.code || r.stderr != want {
				t.Errorf("exit code %d, %q; want %d, %q", r.code, r.stderr, c.code, want)
			}
			for _, line := range c.want {
				if !strings.Contains(r.stdout, line) {
					t.Errorf("%q is not in\n%s", line, r.stdout)
				}
			}
			var v verification
			r = b.run(t, strings.Fields("checkpoint verify wordcount 41 --json "+c.args)...)
			if err := json.Unmarshal([]byte(r.stdout), &v); err != nil || r.code != c.code || len(v.Bad) < len(c.found) {
				t.Errorf("JSON: %v, %+v", err, r)
			}
		})
	}
}

// A node that breaks off has not read the rest; what it lost is not lost as long as nobody knows.
func TestVerifyOfANodeThatBreaksOff(t *testing.T) {
	b := twoNodes()
	b.replicas.broke = map[string]int{"n2": 3}
	r := b.run(t, "checkpoint", "verify", "wordcount", "41")
	if r.code != 1 || !strings.Contains(r.stdout, "7 good, 3 not read.") || !strings.Contains(r.stdout, "connection reset") {
		t.Errorf("%+v", r)
	}
	b = newBench() // n2 is lost: its copies are not asked for
	r = b.run(t, "checkpoint", "verify", "wordcount", "41")
	if r.code != 0 || !strings.Contains(r.stdout, "5 copies on 1 node: all good.") || b.replicas.asked["n2"] != 0 {
		t.Errorf("%+v, asked %v", r, b.replicas.asked)
	}
}

// While the leader does not know who has what, everybody is asked, and need not have it. The same goes for chunks of which
// it knows no holder.
func TestVerifyWithoutLocations(t *testing.T) {
	nothing := func(chunks []checkpoint.ChunkRef) api.ChunkLocations {
		return api.ChunkLocations{Complete: true, Holders: make([][]int, len(chunks))}
	}
	unknown := func(chunks []checkpoint.ChunkRef) api.ChunkLocations {
		l := onBoth(chunks)
		l.Complete = false
		return l
	}
	for name, locate := range map[string]func([]checkpoint.ChunkRef) api.ChunkLocations{"no holder is known": nothing, "inventories are missing": unknown} {
		t.Run(name, func(t *testing.T) {
			b := twoNodes()
			b.service.locate = locate
			b.service.location.Replicas = 1
			b.replicas.found = map[string]error{"n1 01": errMissing, "n2 02": errMissing, "n1 03": errMissing, "n2 aa": errMissing, "n1 de": errMissing}
			r := b.run(t, "checkpoint", "verify", "wordcount", "41")
			if r.code != 0 || !strings.Contains(r.stdout, "5 chunks, 3.0 MiB, 5 copies on 2 nodes: all good.\n") || b.replicas.asked["n1"] != 5 {
				t.Errorf("%+v, asked %v", r, b.replicas.asked)
			}
			b.replicas.found["n2 01"] = errMissing
			if r = b.run(t, "checkpoint", "verify", "wordcount", "41"); r.code != 1 || !strings.Contains(r.stdout, "1 chunk lost.") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// In a store that all nodes share each chunk is read once, and the nodes share the work.
func TestVerifyOfASharedStore(t *testing.T) {
	b := twoNodes()
	b.service.locate = func([]checkpoint.ChunkRef) api.ChunkLocations {
		return api.ChunkLocations{Complete: true, Shared: true}
	}
	r := b.run(t, "checkpoint", "verify", "wordcount", "41")
	if r.code != 0 || !strings.Contains(r.stdout, "5 copies on 2 nodes: all good.") || b.replicas.asked["n1"] != 3 || b.replicas.asked["n2"] != 2 {
		t.Errorf("%+v, asked %v", r, b.replicas.asked)
	}
}

func TestVerifyWithoutAManifest(t *testing.T) {
	b := twoNodes()
	b.replicas.err = errors.New("no good copy of the chunk")
	b.replicas.found = map[string]error{"n1 aa": errMissing, "n2 aa": errDamaged}
	r := b.run(t, "checkpoint", "verify", "wordcount", "41")
	if r.code != 1 || !strings.Contains(r.stdout, "2 chunks, ") || !strings.Contains(r.stdout, "lost") ||
		r.stderr != "Error: savepoint 41 of job wordcount cannot be restored: its manifest cannot be read: no good copy of the chunk\n" {
		t.Errorf("%+v", r)
	}
}

func TestVerifyOfWhatIsNotThere(t *testing.T) {
	b := twoNodes()
	if r := b.run(t, "checkpoint", "verify", "wordcount", "7"); r.code != 1 || r.stderr != "Error: job wordcount has no checkpoint 7\n" {
		t.Errorf("%+v", r)
	}
	if r := b.run(t, "checkpoint", "verify", "letters", "41"); r.code != 1 || !strings.Contains(r.stderr, `unknown job "letters"`) {
		t.Errorf("%+v", r)
	}
	b.service.location.Incomplete = true
	if r := b.run(t, "checkpoint", "verify", "wordcount", "41"); r.code != 1 || !strings.Contains(r.stderr, "was not imported completely") {
		t.Errorf("%+v", r)
	}
	b = newBench()
	status := exampleStatus()
	status.Nodes = nil
	b.service.status = statusOf(status)
	if r := b.run(t, "checkpoint", "verify", "wordcount", "41"); r.code != 1 || !strings.Contains(r.stderr, "no task node is alive") {
		t.Errorf("%+v", r)
	}
	close(b.interrupt)
	b.replicas.hang = true
	b.service.status = statusOf(exampleStatus())
	if r := b.run(t, "checkpoint", "verify", "wordcount", "41"); r.code != 1 || r.stderr != "Error: interrupted\n" {
		t.Errorf("%+v", r)
	}
}
