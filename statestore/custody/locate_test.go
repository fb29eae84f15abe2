package custody

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// located is what Locate has returned.
type located struct {
	holders [][]checkpoint.NodeRef
	err     error
	took    time.Duration
}

// locate asks where chunks are, in a goroutine of its own.
func locate(c *Custodian, ids ...checkpoint.ChunkID) <-chan located {
	done := make(chan located, 1)
	go func() {
		began := time.Now()
		holders, err := c.Locate(context.Background(), ids)
		done <- located{holders, err, time.Since(began)}
	}()
	return done
}

// asked takes the next question.
func (l *fakeLeader) asked() checkpoint.LocateChunks {
	l.t.Helper()
	for _, m := range l.take() {
		if q, is := m.(checkpoint.LocateChunks); is {
			return q
		}
	}
	l.t.Fatal("the leader was not asked")
	return checkpoint.LocateChunks{}
}

func TestLocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := newCustodian(t, newDisk(0), 2, nil), newLeader(t, 2)
		l.setBusy(true) // a session that is slow with lists is asked all the same
		end := serve(c, l)
		defer end()
		synctest.Wait()
		done := locate(c, chunk(1), chunk(2), chunk(3)) // more than one message takes
		q := l.asked()
		if !slices.Equal(q.Chunks, []checkpoint.ChunkID{chunk(1), chunk(2)}) {
			t.Fatalf("asked for %v", q.Chunks)
		}
		n2, n3 := checkpoint.NodeRef{ID: "n2"}, checkpoint.NodeRef{ID: "n3"}
		c.Located(checkpoint.ChunksLocated{Request: q.Request + 7, Holders: make([][]int, 2)}) // somebody else's
		answer := checkpoint.ChunksLocated{Request: q.Request, Nodes: []checkpoint.NodeRef{n2, n3}, Holders: [][]int{{1, 0}, nil}}
		c.Located(answer)
		c.Located(answer) // again
		q = l.asked()
		if !slices.Equal(q.Chunks, []checkpoint.ChunkID{chunk(3)}) {
			t.Fatalf("asked for %v", q.Chunks)
		}
		c.Located(checkpoint.ChunksLocated{Request: q.Request, Nodes: []checkpoint.NodeRef{n2}, Holders: [][]int{{0}}})
		got := <-done
		if got.err != nil || len(got.holders) != 3 || !slices.Equal(got.holders[0], []checkpoint.NodeRef{n3, n2}) ||
			len(got.holders[1]) != 0 || !slices.Equal(got.holders[2], []checkpoint.NodeRef{n2}) {
			t.Errorf("located %+v", got)
		}
		if n := len(c.questions.waiting); n != 0 {
			t.Errorf("%d questions are remembered", n)
		}
	})
}

// Without an answer Locate returns soon: when nobody leads, when the leader goes, and when it says nothing or nonsense.
func TestLocateWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, l := newCustodian(t, newDisk(0), 2, nil), newLeader(t, 2)
		want := func(what string, got located, took time.Duration, err error, text string) {
			t.Helper()
			if got.took != took || err != nil && !errors.Is(got.err, err) || got.err == nil || !strings.Contains(got.err.Error(), text) {
				t.Errorf("%s: %v after %s", what, got.err, got.took)
			}
		}
		want("before a leader", <-locate(c, chunk(1)), 0, ErrNoLeader, "1 chunks")
		end := serve(c, l)
		synctest.Wait()
		want("no answer", <-locate(c, chunk(1)), locateTimeout, nil, "within 1s")
		l.asked()
		for _, nonsense := range []checkpoint.ChunksLocated{
			{Holders: make([][]int, 2)}, {Holders: [][]int{{0}}}, {Nodes: make([]checkpoint.NodeRef, 1), Holders: [][]int{{-1}}},
		} {
			done := locate(c, chunk(1))
			nonsense.Request = l.asked().Request
			c.Located(nonsense)
			want("nonsense", <-done, 0, nil, "the leader")
		}
		done := locate(c, chunk(1))
		question := l.asked()
		end()
		want("the leader goes", <-done, 0, ErrNoLeader, "no leader")
		c.Located(checkpoint.ChunksLocated{Request: question.Request, Holders: make([][]int, 1)}) // late
		want("behind the leader", <-locate(c, chunk(1)), 0, ErrNoLeader, "no leader")
		end = serve(c, newLeader(t, 2))
		defer end()
		c.Located(checkpoint.ChunksLocated{Request: question.Request, Holders: make([][]int, 1)}) // later still
	})
}
