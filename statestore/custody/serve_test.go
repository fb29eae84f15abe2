package custody

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// Whatever is stored, deleted and damaged while lists are sent, however slow the leader is and how often there is another:
// when all is quiet, the leader knows exactly what is on the disk.
func TestLeadersPictureIsTheDisk(t *testing.T) {
	var relisted, corrupt int
	for seed := range uint64(300) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				again, damaged := playStory(t, rand.New(rand.NewPCG(seed, 5)))
				relisted, corrupt = relisted+again, corrupt+damaged
			})
		})
	}
	if relisted < 20 || corrupt < 100 {
		t.Errorf("%d lists were sent anew, %d corrupt copies told of: the stories prove little", relisted, corrupt)
	}
}

// playStory returns how often a leader got a second list, and how many corrupt copies were told of.
func playStory(t *testing.T, random *rand.Rand) (relisted, corrupt int) {
	const piece = 7
	names := 3 + random.IntN(60)
	d := newDisk(random.IntN(names))
	d.feed.limit = 1 + random.IntN(30)
	waits := rand.New(rand.NewPCG(random.Uint64(), 0))
	d.step = func() { time.Sleep(time.Duration(waits.IntN(20)) * time.Millisecond) }
	c := newCustodian(t, d, piece, nil)
	var leaders []*fakeLeader
	end := func() {}
	lead := func() {
		end()
		l := newLeader(t, piece)
		leaders, end = append(leaders, l), serve(c, l)
	}
	lead()
	var changing sync.WaitGroup
	for range 3 {
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		pace := 1 + own.IntN(40) // milliseconds
		changing.Go(func() {
			for range 150 {
				time.Sleep(time.Duration(own.IntN(pace)) * time.Millisecond)
				changeSomething(d, own, names)
			}
		})
	}
	for range random.IntN(12) {
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
		present := leaders[len(leaders)-1]
		switch random.IntN(5) {
		case 0:
			lead()
		case 1:
			present.setBusy(true)
		case 2:
			select {
			case present.lists <- 1 + random.Uint64N(9):
			default:
			}
		default:
			present.setBusy(false)
		}
	}
	changing.Wait()
	last := leaders[len(leaders)-1]
	last.setBusy(false)
	time.Sleep(time.Minute) // virtual
	last.wantPicture(d)
	end()
	for _, l := range leaders {
		first := 0
		for _, m := range l.take() {
			if piece, is := m.(checkpoint.Inventory); is && piece.First {
				first++
			}
		}
		relisted, corrupt = relisted+max(0, first-1), corrupt+l.corrupt
	}
	return relisted, corrupt
}

func changeSomething(d *disk, random *rand.Rand, names int) {
	n := random.IntN(names)
	id := chunk(n)
	switch random.IntN(5) {
	case 0, 1:
		d.add(id, int64(n)) // a name has one content
	case 2, 3:
		d.remove(id, statestore.ChunkRemoved)
	case 4:
		d.remove(id, statestore.ChunkCorrupt)
	}
}

// A removal that was told of is not taken back by a piece of a list that began before it.
func TestPieceDoesNotOvertakeAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(6)
		c, l := newCustodian(t, d, 2, nil), newLeader(t, 2)
		d.step = func() { time.Sleep(time.Millisecond) }
		end := serve(c, l)
		defer end()
		time.Sleep(time.Millisecond / 2) // the list has begun
		d.remove(chunk(5), statestore.ChunkRemoved)
		d.remove(chunk(4), statestore.ChunkCorrupt)
		d.add(chunk(4), 4)
		d.add(chunk(9), 9)
		time.Sleep(soon)
		l.wantPicture(d)
		pieces, corrupt := 0, 0
		for _, m := range l.take() {
			switch m := m.(type) {
			case checkpoint.Inventory:
				pieces++
			case checkpoint.InventoryChange:
				corrupt += len(m.Corrupt)
				if pieces == 3 {
					t.Errorf("%+v was told of behind the whole list", m)
				}
			}
		}
		if corrupt != 1 {
			t.Errorf("%d corrupt copies were told of, want one, though it was replaced", corrupt)
		}
	})
}

func TestEmptyStoreSendsOnePiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeader(t, 2)
		end := serve(newCustodian(t, newDisk(0), 2, nil), l)
		defer end()
		if got := l.take(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(checkpoint.Inventory{First: true, Last: true}) {
			t.Errorf("sent %+v", got)
		}
	})
}

func TestPiecesAreMarked(t *testing.T) {
	for chunks, want := range map[int]string{1: "first+last 1", 2: "first+last 2", 3: "first 2, last 1", 4: "first 2, last 2", 5: "first 2, 2, last 1"} {
		synctest.Test(t, func(t *testing.T) {
			l := newLeader(t, 2)
			end := serve(newCustodian(t, newDisk(chunks), 2, nil), l)
			defer end()
			if got := pieces(l.take()); got != want {
				t.Errorf("%d chunks: sent %s, want %s", chunks, got, want)
			}
		})
	}
}

// The last piece of a list names those who own what is in a shared store, and no other piece does.
func TestOwnersAreInTheLastPiece(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := newDisk(3), newLeader(t, 2)
		d.owners = []checkpoint.NodeRef{{ID: "n1", Incarnation: 1}, {ID: "n2", Incarnation: 7}}
		end := serve(newCustodian(t, d, 2, nil), l)
		defer end()
		got := l.take()
		if len(got) != 2 || len(got[0].(checkpoint.Inventory).Owners) != 0 || !slices.Equal(got[1].(checkpoint.Inventory).Owners, d.owners) {
			t.Errorf("sent %+v", got)
		}
	})
}

func pieces(messages []checkpoint.FromNode) (text string) {
	for i, m := range messages {
		if i > 0 {
			text += ", "
		}
		p := m.(checkpoint.Inventory)
		switch {
		case p.First && p.Last:
			text += "first+last "
		case p.First:
			text += "first "
		case p.Last:
			text += "last "
		}
		text += fmt.Sprint(len(p.Chunks))
	}
	return text
}

// Nothing is put on a session on which something waits. What changes meanwhile is gathered within bounds.
func TestSlowLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(5)
		d.feed.limit = 3
		c, l := newCustodian(t, d, 2, nil), newLeader(t, 2)
		l.setBusy(true)
		end := serve(c, l)
		defer end()
		for i := range 100 {
			d.add(chunk(100+i), 1)
		}
		time.Sleep(time.Hour)
		if got := l.take(); len(got) != 0 {
			t.Errorf("sent %+v to a leader that does not keep up", got)
		}
		if n := len(d.feed.mu.changes); n > 3 {
			t.Errorf("%d changes are gathered, at most 3 are allowed", n)
		}
		l.setBusy(false)
		time.Sleep(soon * 10)
		l.wantPicture(d)
	})
}

// Changes that come in one go are told of in one message, soon.
func TestChangesAreGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(1)
		l := newLeader(t, 100)
		end := serve(newCustodian(t, d, 100, nil), l)
		defer end()
		l.take()
		for i := range 50 {
			d.add(chunk(10+i), 1)
		}
		time.Sleep(gatherTime - time.Millisecond)
		if got := l.take(); len(got) != 0 {
			t.Errorf("told %+v at once", got)
		}
		time.Sleep(2 * time.Millisecond)
		got := l.take()
		if len(got) != 1 || len(got[0].(checkpoint.InventoryChange).Added) != 50 {
			t.Errorf("told %+v, want 50 additions in one message", got)
		}
	})
}

// Flush returns when what has changed before has been sent, also when that takes the whole list, or when nobody is served.
func TestFlushSendsWhatHasChanged(t *testing.T) {
	for name, limit := range map[string]int{"changes": 100, "the list anew": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk(5)
				d.feed.limit = limit
				l := newLeader(t, 2)
				c := newCustodian(t, d, 2, nil)
				end := serve(c, l)
				defer end()
				l.wantPicture(d)
				l.setBusy(true)
				d.remove(chunk(1), statestore.ChunkRemoved)
				d.remove(chunk(2), statestore.ChunkRemoved)
				flushed := make(chan struct{})
				go func() {
					c.Flush(t.Context())
					close(flushed)
				}()
				time.Sleep(time.Minute)
				select {
				case <-flushed:
					t.Fatal("flushed before anything was sent")
				default:
				}
				l.setBusy(false)
				<-flushed
				l.wantPicture(d)
				c.Flush(t.Context()) // nothing has changed since
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		newCustodian(t, newDisk(1), 2, nil).Flush(ctx)
		if ctx.Err() == nil {
			t.Error("flushed to nobody")
		}
	})
}

// Between leaders nothing is gathered: the next one gets everything.
func TestNothingIsGatheredWithoutALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(3)
		c := newCustodian(t, d, 2, nil)
		d.add(chunk(7), 7)
		if d.feed.mu.changes != nil {
			t.Error("gathered before the first leader")
		}
		end := serve(c, newLeader(t, 2))
		time.Sleep(soon)
		end()
		d.remove(chunk(7), statestore.ChunkRemoved)
		if d.feed.mu.changes != nil {
			t.Error("gathered after a leader")
		}
		next := newLeader(t, 2)
		end = serve(c, next)
		defer end()
		time.Sleep(soon)
		next.wantPicture(d)
	})
}

// A leader may ask for the list, and gets it under the number of its request.
func TestListOnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, shared := range []bool{false, true} {
			d := newDisk(3)
			l := newLeader(t, 2)
			end := serve(newCustodian(t, d, 2, func(cfg *Config) {
				if shared {
					cfg.Feed = nil
				}
			}), l)
			if got := l.take(); shared != (len(got) == 0) {
				t.Errorf("shared %v: sent %+v unasked", shared, got)
			}
			l.lists <- 7
			got := l.take()
			if text := pieces(got); text != "first 2, last 1" {
				t.Errorf("shared %v: answered %s", shared, text)
			}
			for _, m := range got {
				if m.(checkpoint.Inventory).Request != 7 {
					t.Errorf("shared %v: answered %+v", shared, m)
				}
			}
			end()
		}
	})
}

// A store that cannot be listed is listed again later. No end of the list is sent before that.
func TestListThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(3)
		d.broken = errors.New("disk on fire")
		l := newLeader(t, 2)
		end := serve(newCustodian(t, d, 2, nil), l)
		defer end()
		time.Sleep(soon)
		if l.complete {
			t.Error("a list that failed was sent as complete")
		}
		d.mu.Lock()
		d.broken = nil
		d.mu.Unlock()
		time.Sleep(2 * listPause)
		l.wantPicture(d)
	})
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeader(t, 2)
		end := serve(newCustodian(t, newDisk(0), 2, func(cfg *Config) {
			cfg.Report = func() checkpoint.StoreReport { return checkpoint.StoreReport{Path: "/data"} }
		}), l)
		time.Sleep(time.Minute)
		end()
		reports := 0
		for _, m := range l.messages {
			if r, is := m.(checkpoint.StoreReport); is && r.Path == "/data" {
				reports++
			}
		}
		if reports < 15 || reports > 30 {
			t.Errorf("%d reports in a minute, want one every few seconds", reports)
		}
	})
}
