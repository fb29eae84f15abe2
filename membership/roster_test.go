package membership

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

// rosterScript drives a roster of the member "self" (incarnation 1, address s) in lines such as
//
//	alive n1 2 b     process 2 of n1, at address b, is alive (it started at second 2)
//	failed n1 2      memberlist has given it up
//	left n1 2        it has said goodbye
//	settle
//
// and returns the events, each line's joined by spaces.
func rosterScript(t *testing.T, r *roster, script string) string {
	t.Helper()
	now := time.Unix(0, 0)
	var out []string
	for line := range strings.Lines(strings.TrimSpace(script)) {
		now = now.Add(time.Second)
		var verb, id, addr string
		var inc uint64
		fmt.Sscan(line, &verb, &id, &inc, &addr)
		p := process{ID: checkpoint.NodeID(id), Incarnation: checkpoint.Incarnation(inc)}
		var events []Event
		switch verb {
		case "alive":
			events = r.alive(Member{
				ID: p.ID, Role: RoleNode, Incarnation: p.Incarnation, Started: checkpoint.Timestamp(inc),
				GossipAddr: addr, State: StateAlive,
			}, now)
		case "failed":
			events = r.gone(p, StateFailed, now)
		case "left":
			events = r.gone(p, StateLeft, now)
		case "settle":
			r.settled = true
		default:
			t.Fatalf("unknown line %q", line)
		}
		for _, e := range events {
			if want := map[EventKind]State{
				EventJoined: StateAlive, EventUpdated: StateAlive, EventFailed: StateFailed, EventLeft: StateLeft,
			}[e.Kind]; e.Member.State != want {
				t.Errorf("%s carries state %s", e, e.Member.State)
			}
			out = append(out, fmt.Sprintf("%s(%s#%d)", e.Kind, e.Member.ID, e.Member.Incarnation))
		}
	}
	return strings.Join(out, " ")
}

func testRoster() *roster {
	self := Member{ID: "self", Role: RoleNode, Incarnation: 1, Started: 1, GossipAddr: "s", State: StateAlive}
	return newRoster(self, time.Unix(0, 0))
}

func TestRoster(t *testing.T) {
	for name, test := range map[string]struct{ script, want string }{
		"news once": {`
			alive n1 2 a
			alive n1 2 a`, "joined(n1#2)"},
		"update": {`
			alive n1 2 a
			alive n1 2 b`, "joined(n1#2) updated(n1#2)"},
		"failure once": {`
			alive n1 2 a
			failed n1 2
			failed n1 2`, "joined(n1#2) failed(n1#2)"},
		"failure of a stranger": {`
			failed n1 2`, ""},
		"wrong accusation": {`
			alive n1 2 a
			failed n1 2
			alive n1 2 a`, "joined(n1#2) failed(n1#2) joined(n1#2)"},
		"goodbye, then memberlist's notice and stale news": {`
			alive n1 2 a
			left n1 2
			failed n1 2
			alive n1 2 b`, "joined(n1#2) left(n1#2)"},
		"goodbye heard late": {`
			alive n1 2 a
			failed n1 2
			left n1 2
			left n1 2`, "joined(n1#2) failed(n1#2) left(n1#2)"},
		"successor waits for the failure": {`
			alive n1 2 a
			alive n1 3 b
			failed n1 2
			failed n1 2
			left n1 2`, "joined(n1#2) failed(n1#2) joined(n1#3)"},
		"successor waits for the goodbye": {`
			alive n1 2 a
			alive n1 3 b
			left n1 2`, "joined(n1#2) left(n1#2) joined(n1#3)"},
		"successor after the failure": {`
			alive n1 2 a
			failed n1 2
			alive n1 3 b`, "joined(n1#2) failed(n1#2) joined(n1#3)"},
		"latest of several successors": {`
			alive n1 2 a
			alive n1 3 b
			alive n1 4 c
			failed n1 2
			failed n1 3`, "joined(n1#2) failed(n1#2) joined(n1#4)"},
		"second process unseen": {`
			alive n1 2 a
			alive n1 3 b
			alive n1 3 c
			left n1 3
			failed n1 3`, "joined(n1#2)"},
		"second process described anew while it waits": {`
			alive n1 2 a
			alive n1 3 b
			alive n1 3 c
			failed n1 2
			alive n1 3 c`, "joined(n1#2) failed(n1#2) joined(n1#3)"},
		"same address": {`
			alive n1 2 a
			alive n1 3 a
			failed n1 2`, "joined(n1#2) failed(n1#2) joined(n1#3)"},
		"same address, stale news of the old process": {`
			alive n1 3 a
			alive n1 2 a
			failed n1 2`, "joined(n1#3)"},
		"same address, clock set back": {`
			alive n1 3 a
			alive n1 2 a
			failed n1 3`, "joined(n1#3) failed(n1#3) joined(n1#2)"},
		"same address, clock set back, old news last": {`
			alive n1 2 a
			alive n1 3 a
			failed n1 3`, "joined(n1#2) failed(n1#2) joined(n1#3) failed(n1#3) joined(n1#2)"},
		"this process is not news": {`
			alive self 1 s
			failed self 1
			left self 1
			alive self 2 b
			failed self 2`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rosterScript(t, testRoster(), test.script); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestRosterRivals(t *testing.T) {
	r := testRoster()
	rosterScript(t, r, `
		alive self 2 s
		alive self 3 b
		settle
		alive self 4 c
		alive n1 5 d`)
	var got []string
	for _, c := range r.rivals() {
		got = append(got, fmt.Sprint(c.member.process(), c.preceded))
	}
	want := "self#0000000000000003 true, self#0000000000000004 false" // 2 is the predecessor at this address
	if strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	rosterScript(t, r, "failed self 3\nleft self 4")
	if rivals := r.rivals(); len(rivals) != 0 {
		t.Errorf("rivals that are gone: %+v", rivals)
	}
	if m := r.members(); len(m) != 2 || m[1].Incarnation != 1 {
		t.Errorf("members %+v", m)
	}
}

func TestRosterForgets(t *testing.T) {
	r := testRoster()
	rosterScript(t, r, `
		alive n1 2 a
		alive n2 3 b
		alive n3 4 c
		left n1 2
		failed n2 3`) // at second 5
	if got := fmt.Sprint(r.left(5), r.failedAddrs()); got != "[n1#0000000000000002] [b]" {
		t.Errorf("left and failed: %s", got)
	}
	r.forget(time.Unix(5, 0))
	var ids []checkpoint.NodeID
	for _, m := range r.members() {
		ids = append(ids, m.ID)
	}
	if got := fmt.Sprint(ids); got != "[n2 n3 self]" {
		t.Errorf("members %s", got)
	}
}

func TestRosterLatestDepartures(t *testing.T) {
	r := testRoster()
	rosterScript(t, r, `
		alive n1 2 a
		alive n2 3 b
		alive n3 4 c
		left n2 3
		left n1 2
		left n3 4`)
	if got := fmt.Sprint(r.left(2)); got != "[n3#0000000000000004 n1#0000000000000002]" {
		t.Errorf("got %s", got)
	}
}

func TestEventQueueMerges(t *testing.T) {
	event := func(kind EventKind, inc checkpoint.Incarnation, addr string) Event {
		return Event{Kind: kind, Member: Member{ID: "n1", Incarnation: inc, RPCAddr: addr}}
	}
	var q eventQueue
	for range 2 { // the second time, after it has been drained
		q.push(event(EventJoined, 1, "a"))
		q.push(event(EventUpdated, 1, "b"))
		q.push(event(EventJoined, 2, "c"))
		q.push(event(EventUpdated, 3, "d"))
		q.push(event(EventFailed, 3, "d"))
		q.push(event(EventLeft, 2, "c"))
		var got []string
		for e, found := q.pop(); found; e, found = q.pop() {
			got = append(got, e.String()+e.Member.RPCAddr)
		}
		want := "joined(n1#0000000000000001)b failed(n1#0000000000000003)d left(n1#0000000000000002)c"
		if strings.Join(got, " ") != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestDisplaces(t *testing.T) {
	self := Member{ID: "n1", Incarnation: 5, Started: 100, GossipAddr: "a"}
	start := time.Unix(0, 0)
	for name, test := range map[string]struct {
		preceded bool
		started  checkpoint.Timestamp
		inc      checkpoint.Incarnation
		age      time.Duration
		answers  bool
		want     bool
	}{
		"first and alive":                       {true, 200, 6, 0, true, true},
		"first and silent":                      {true, 50, 1, rivalPatience - 1, false, false},
		"first, silent to this process only":    {true, 200, 6, rivalPatience, false, true},
		"second, may still give way":            {false, 50, 1, rivalGrace - 1, true, false},
		"neither first, started earlier":        {false, 50, 6, rivalGrace, true, true},
		"neither first, started earlier, quiet": {false, 50, 6, rivalGrace, false, false},
		"neither first, started later":          {false, 200, 1, rivalPatience, true, false},
		"started together, lower incarnation":   {false, 100, 4, rivalGrace, true, true},
		"started together, higher incarnation":  {false, 100, 6, rivalPatience, true, false},
	} {
		c := claim{
			member:   Member{ID: "n1", Incarnation: test.inc, Started: test.started, GossipAddr: "b"},
			since:    start,
			preceded: test.preceded,
		}
		if got := c.displaces(self, start.Add(test.age), func() bool { return test.answers }); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
