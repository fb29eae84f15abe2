package fsm

import (
	"reflect"
	"testing"

	"cairn/checkpoint"
)

// What a job was submitted with comes through the log and through snapshots: its slot sharing groups and fingerprint too.
func TestGraphIsKept(t *testing.T) {
	s := newScript(t)
	c := s.submit(1)
	c.Topology.Vertices[1].SharingGroup, c.Fingerprint = "heavy", "1-0123"
	s.must(c)
	restored, err := DecodeSnapshot(s.bytes())
	if err != nil {
		t.Fatal(err)
	}
	for from, state := range map[string]*State{"log": s.state, "snapshot": restored} {
		if j := state.Jobs[jobID(1)]; j.Fingerprint != "1-0123" || !reflect.DeepEqual(j.Topology, c.Topology) {
			t.Errorf("from the %s: %+v with fingerprint %q", from, j.Topology, j.Fingerprint)
		}
	}
	s.must(s.submit(2))
	if j := s.job(2); j.Topology.Vertices[1].Group() != checkpoint.DefaultSharingGroup || j.Fingerprint != "" {
		t.Errorf("without either: %+v with fingerprint %q", j.Topology, j.Fingerprint)
	}
}
