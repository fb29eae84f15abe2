package executor

import (
	"errors"
	"testing"

	"cairn/checkpoint"
)

func TestFence(t *testing.T) {
	s1, s2 := &fakeSession{}, &fakeSession{}
	leading := func(term checkpoint.Term, leader checkpoint.NodeID) checkpoint.ToNode {
		return checkpoint.Leading{Term: term, Leader: leader}
	}
	deploy := func(term checkpoint.Term) checkpoint.ToNode { return checkpoint.Deploy{Term: term} }
	type step struct {
		on   Session
		msg  checkpoint.ToNode // nil closes the session
		want error
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"nobody has led", []step{{s1, deploy(1), errNotLeader}}},
		{"the leader is obeyed", []step{{s1, leading(3, "c1"), nil}, {s1, deploy(3), nil}}},
		{"an older term is rejected", []step{
			{s1, leading(3, "c1"), nil}, {s2, leading(4, "c2"), nil}, {s1, deploy(3), errStaleTerm}, {s1, leading(3, "c1"), errStaleTerm},
			{s2, deploy(4), nil},
		}},
		{"another leader of the same term is rejected", []step{
			{s1, leading(3, "c1"), nil}, {s2, leading(3, "c2"), errNotLeader}, {s2, deploy(3), errNotLeader}, {s1, deploy(3), nil},
		}},
		{"a leader must say so first", []step{{s1, leading(3, "c1"), nil}, {s1, deploy(4), errNotLeader}, {s2, deploy(3), errNotLeader}}},
		{"the same leader on a new session", []step{
			{s1, leading(3, "c1"), nil}, {s1, nil, nil}, {s2, leading(3, "c1"), nil}, {s2, deploy(3), nil}, {s1, deploy(3), errNotLeader},
		}},
		{"a closed session does not lower the term", []step{
			{s2, leading(4, "c2"), nil}, {s2, nil, nil}, {s1, leading(3, "c1"), errStaleTerm}, {s2, deploy(4), errNotLeader},
		}},
		{"closing another session changes nothing", []step{{s1, leading(3, "c1"), nil}, {s2, nil, nil}, {s1, deploy(3), nil}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var f fence
			for i, step := range test.steps {
				if step.msg == nil {
					f.closed(step.on)
					continue
				}
				before := f
				err := f.admit(step.on, step.msg)
				if !errors.Is(err, step.want) {
					t.Fatalf("step %d, %s: %v, want %v", i, step.msg, err, step.want)
				}
				if err != nil && f != before {
					t.Fatalf("step %d: the rejected %s moved the fence from %+v to %+v", i, step.msg, before, f)
				}
			}
		})
	}
}

func TestFenceTellsWhetherTheLeaderIsGone(t *testing.T) {
	s1, s2 := &fakeSession{}, &fakeSession{}
	var f fence
	if f.closed(s1) || f.closed(nil) {
		t.Error("the leader is gone before there was one")
	}
	if err := f.admit(s1, checkpoint.Leading{Term: 1, Leader: "c1"}); err != nil {
		t.Fatal(err)
	}
	if f.closed(s2) {
		t.Error("the leader is taken for gone with another's session")
	}
	if !f.closed(s1) || f.closed(s1) {
		t.Error("want the leader to be gone, once")
	}
}
