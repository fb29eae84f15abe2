package custody

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/statestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a store of which only the names of the chunks count. Its list is what was there when it was asked for.
type disk struct {
	feed *Feed
	step func() // called before each chunk of a list

	mu     sync.Mutex
	chunks map[checkpoint.ChunkID]int64
	broken error // of lists
	owners []checkpoint.NodeRef
}

func newDisk(chunks int) *disk {
	d := &disk{feed: NewFeed(), step: func() {}, chunks: make(map[checkpoint.ChunkID]int64)}
	for i := range chunks {
		d.chunks[chunk(i)] = int64(i)
	}
	return d
}

func chunk(i int) checkpoint.ChunkID { return checkpoint.ChunkID{byte(i >> 8), byte(i)} }

func (d *disk) add(id checkpoint.ChunkID, size int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chunks[id] = size
	d.feed.Changed(statestore.Change{Kind: statestore.ChunkAdded, Ref: checkpoint.ChunkRef{ID: id, Size: size}})
}

func (d *disk) remove(id checkpoint.ChunkID, how statestore.ChangeKind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if size, has := d.chunks[id]; has {
		delete(d.chunks, id)
		d.feed.Changed(statestore.Change{Kind: how, Ref: checkpoint.ChunkRef{ID: id, Size: size}})
	}
}

func (d *disk) content() map[checkpoint.ChunkID]int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.chunks)
}

func (d *disk) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return func(yield func(checkpoint.ChunkRef, error) bool) {
		d.mu.Lock()
		broken := d.broken
		d.mu.Unlock()
		all := d.content()
		for _, id := range slices.SortedFunc(maps.Keys(all), func(a, b checkpoint.ChunkID) int { return bytes.Compare(a[:], b[:]) }) {
			d.step()
			if err := errors.Join(ctx.Err(), broken); err != nil {
				yield(checkpoint.ChunkRef{}, err)
				return
			}
			if !yield(checkpoint.ChunkRef{ID: id, Size: all[id]}, nil) {
				return
			}
		}
	}
}

func (d *disk) Owners(context.Context) ([]checkpoint.NodeRef, error) { return d.owners, nil }

func (d *disk) Has(_ context.Context, ref checkpoint.ChunkRef) (bool, error) {
	_, has := d.content()[ref.ID]
	return has, nil
}

func (d *disk) WriteEncoded(_ context.Context, ref checkpoint.ChunkRef, _ statestore.Encoded) error {
	d.add(ref.ID, ref.Size)
	return nil
}

// fakeLeader is a leader with its picture of what the node holds. It takes what is offered while it is not busy.
type fakeLeader struct {
	t     *testing.T
	limit int // of chunks in a message
	lists chan uint64

	mu       sync.Mutex
	busy     bool
	messages []checkpoint.FromNode // taken since the last look
	picture  map[checkpoint.ChunkID]int64
	complete bool // the list has come to its end
	corrupt  int
}

func newLeader(t *testing.T, limit int) *fakeLeader {
	return &fakeLeader{t: t, limit: limit, lists: make(chan uint64, 1)}
}

func (l *fakeLeader) Lists() <-chan uint64 { return l.lists }

func (l *fakeLeader) Tell(m checkpoint.FromNode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages = append(l.messages, m)
}

func (l *fakeLeader) setBusy(busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = busy
}

func (l *fakeLeader) Offer(messages ...checkpoint.FromNode) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy {
		return false
	}
	for _, m := range messages {
		l.messages = append(l.messages, m)
		switch m := m.(type) {
		case checkpoint.Inventory:
			l.inventoryLocked(m)
		case checkpoint.InventoryChange:
			l.changeLocked(m)
		}
	}
	return true
}

func (l *fakeLeader) inventoryLocked(m checkpoint.Inventory) {
	if m.First {
		l.picture, l.complete = make(map[checkpoint.ChunkID]int64), false
	}
	if l.picture == nil || l.complete {
		l.t.Errorf("a piece of %d chunks before the first one, or behind the last", len(m.Chunks))
		return
	}
	if len(m.Chunks) > l.limit {
		l.t.Errorf("a piece of %d chunks, at most %d are allowed", len(m.Chunks), l.limit)
	}
	for _, ref := range m.Chunks {
		l.picture[ref.ID] = ref.Size
	}
	l.complete = m.Last
}

func (l *fakeLeader) changeLocked(m checkpoint.InventoryChange) {
	if l.picture == nil {
		l.t.Error("a change before the list")
		return
	}
	if n := len(m.Added) + len(m.Removed) + len(m.Corrupt); n > l.limit || n == 0 {
		l.t.Errorf("a change of %d chunks, at most %d are allowed", n, l.limit)
	}
	for _, ref := range m.Added {
		l.picture[ref.ID] = ref.Size
	}
	for _, id := range slices.Concat(m.Removed, m.Corrupt) {
		delete(l.picture, id)
	}
	l.corrupt += len(m.Corrupt)
}

// take returns what was taken since the last call, save for reports.
func (l *fakeLeader) take() (all []checkpoint.FromNode) {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.messages {
		if _, is := m.(checkpoint.StoreReport); !is {
			all = append(all, m)
		}
	}
	l.messages = nil
	return all
}

// wantPicture fails the test unless the leader's picture is what is on the disk.
func (l *fakeLeader) wantPicture(d *disk) {
	l.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if want := d.content(); !l.complete || !maps.Equal(l.picture, want) {
		l.t.Errorf("the leader knows of %d chunks (complete: %v), there are %d: %s",
			len(l.picture), l.complete, len(want), differences(l.picture, want))
	}
}

func differences(got, want map[checkpoint.ChunkID]int64) (all string) {
	for id := range got {
		if _, is := want[id]; !is {
			all += fmt.Sprintf(" +%x", id[:2])
		}
	}
	for id := range want {
		if _, is := got[id]; !is {
			all += fmt.Sprintf(" -%x", id[:2])
		}
	}
	return all
}

// newCustodian returns a custodian of d with small pieces.
func newCustodian(t *testing.T, d *disk, piece int, change func(*Config)) *Custodian {
	cfg := Config{
		Self: "n1", Store: d, Feed: d.feed, Source: func(checkpoint.NodeRef) Source { return nil },
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.maxPiece = piece
	return c
}

// serve serves a leader until end is called.
func serve(c *Custodian, l *fakeLeader) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Serve(ctx, l)
	}()
	return func() {
		cancel()
		<-done
	}
}

const soon = time.Second // virtual: longer than anything takes when nothing is in the way
