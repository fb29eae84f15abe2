package statestore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"cairn/checkpoint"
)

// putTogether stores small chunks as one batch, as callers do that come while another batch is being written.
func putTogether(s *Local, chunks ...[]byte) error {
	var items []packItem
	for _, data := range chunks {
		ref := RefOf(data)
		if err := s.locks.lock(context.Background(), ref.ID); err != nil {
			return err
		}
		defer s.locks.unlock(ref.ID)
		items = append(items, packItem{ref: ref, e: Encode(data)})
	}
	if err := s.writeBatch(items); err != nil {
		return err
	}
	for _, item := range items {
		s.onChange(Change{Kind: ChunkAdded, Ref: item.ref})
	}
	return nil
}

// noise returns bytes that cannot be compressed.
func noise(seed uint64, size int) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	data := make([]byte, size)
	rand.NewChaCha8(key).Read(data) // never fails
	return data
}

// digits returns bytes that repeat nothing, but are written with 16 letters.
func digits(seed uint64, size int) []byte { return hex.AppendEncode(nil, noise(seed, size/2)) }

// prose returns bytes that can.
func prose(seed uint64, size int) []byte {
	text := fmt.Appendf(nil, "%d: ", seed)
	for rng := rand.New(rand.NewPCG(seed, 0)); len(text) < size; {
		text = fmt.Appendf(text, "key-%06d has value %d; ", rng.IntN(1_000_000), rng.IntN(100))
	}
	return text[:size]
}

// scripted is a store under a script, with what the script was told.
type scripted struct {
	*Local
	acked, deleted map[string]bool // by content
}

func (s *scripted) ack(err error, chunks ...[]byte) error {
	for _, data := range chunks {
		if err == nil {
			s.acked[string(data)] = true
			delete(s.deleted, string(data))
		}
	}
	return err
}

func (s *scripted) together(chunks ...[]byte) error {
	for _, data := range chunks {
		delete(s.deleted, string(data)) // from now on it may come back
	}
	return s.ack(putTogether(s.Local, chunks...), chunks...)
}

func (s *scripted) put(data []byte) error {
	delete(s.deleted, string(data))
	_, err := s.Put(context.Background(), data)
	return s.ack(err, data)
}

func (s *scripted) remove(chunks ...[]byte) error {
	var ids []checkpoint.ChunkID
	for _, data := range chunks {
		delete(s.acked, string(data))
		ids = append(ids, RefOf(data).ID)
	}
	_, _, err := s.Delete(context.Background(), ids, keepNone)
	for _, data := range chunks {
		if err == nil {
			s.deleted[string(data)] = true
		}
	}
	return err
}

// everyWritePath goes through every way of writing to the directory, until a step fails.
func everyWritePath(s *scripted) error {
	small := make([][]byte, 12)
	for i := range small {
		small[i] = noise(uint64(i), 50+i)
		if i%3 == 0 {
			small[i] = prose(uint64(i), 900)
		}
	}
	large, plain := prose(77, 3*maxPacked), noise(78, maxPacked+1)
	linked, clock := noise(79, 5000), newFakeClock()
	for _, step := range []func() error{
		func() error { return s.together(small[:6]...) },
		func() error { return s.put(large) },
		func() error { return s.put(plain) },
		func() error { return s.remove(small[1], small[2]) }, // the pack is written anew
		func() error { return s.together(small[6:8]...) },
		func() error { return s.remove(small[6:8]...) }, // the pack goes
		func() error { return s.together(small[8:]...) },
		func() error { return s.remove(small[0], small[9], large) }, // two packs become one
		func() error { return s.Scrub(context.Background(), clock.options(time.Hour)) },
		func() error {
			return s.ack(s.writeVerified(context.Background(), RefOf(linked), content{file: linkable + "/0.sst"}), linked)
		},
		func() error { return s.put(small[1]) },
		func() error { return s.remove(linked, plain) },
		func() error { return s.put(large) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// crashedAt runs everyWritePath until the machine goes down at a step, counted from the first behind the opening. It
// reports whether it came to that.
func crashedAt(t *testing.T, step int) (fsys *crashFS, s *scripted, crashed bool) {
	t.Helper()
	fsys = newCrashFS()
	s = &scripted{mustOpenCrashFS(t, fsys), make(map[string]bool), make(map[string]bool)}
	writeUnsynced(t, fsys, linkable+"/0.sst", noise(79, 5000))
	fsys.crashAt = len(fsys.changes) + step
	err := everyWritePath(s)
	if err != nil && !errors.Is(err, errCrashed) {
		t.Fatalf("step %d: %v, want a crash", step, err)
	}
	return fsys, s, err != nil
}

// wantRecovered checks what the next process finds: all that was acknowledged, nothing that was deleted for good, nothing
// that is not whole, and no byte on disk that does not count.
func wantRecovered(t *testing.T, fsys *crashFS, was *scripted) *Local {
	t.Helper()
	s := mustOpenCrashFS(t, fsys)
	for data := range was.acked {
		wantChunks(t, s, [][]byte{[]byte(data)})
	}
	for data := range was.deleted {
		if has, err := s.Has(t.Context(), RefOf([]byte(data))); has || err != nil {
			t.Fatalf("deleted chunk %.12q: %v, %v", data, has, err)
		}
	}
	wantWhole(t, s)
	wantAccounts(t, fsys, s, nil)
	wantEmptyDir(t, fsys, s.quarantine())
	return s
}

func TestPowerLossOnEveryWritePath(t *testing.T) {
	steps := 0
	for step := 1; ; step++ {
		fsys, s, crashed := crashedAt(t, step)
		for seed := range uint64(5) {
			wantRecovered(t, fsys.afterPowerLoss(seed), s)
		}
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
		if !crashed {
			steps = step
			break
		}
	}
	if steps < 60 {
		t.Errorf("only %d steps", steps)
	}
}

// The process is killed at any step and the machine goes down later: what the next process found and took for stored, it
// must have made durable.
func TestKillThenPowerLossOnEveryWritePath(t *testing.T) {
	for step := 1; ; step += 2 {
		fsys, s, crashed := crashedAt(t, step)
		after := fsys.afterKill()
		next := wantRecovered(t, after, s)
		listed := make(map[string]bool)
		for ref, err := range next.List(t.Context()) {
			data, getErr := next.Get(t.Context(), ref)
			if err != nil || getErr != nil {
				t.Fatal(err, getErr)
			}
			listed[string(data)] = true
		}
		for seed := range uint64(3) {
			wantRecovered(t, after.afterPowerLoss(seed), &scripted{acked: listed, deleted: s.deleted})
		}
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
		if !crashed {
			break
		}
	}
}

// The machine goes down again while the store is being opened.
func TestPowerLossWhileOpening(t *testing.T) {
	plain := newCrashFS()
	mustOpenCrashFS(t, plain)
	again := plain.afterKill()
	mustOpenCrashFS(t, again)
	usual := len(again.changes) // what an opening does when there is nothing to tidy up
	tidied := 0
	for step := 1; ; step++ {
		fsys, s, crashed := crashedAt(t, step)
		for seed := range uint64(2) {
			for second := usual - 3; ; second++ {
				after := fsys.afterPowerLoss(seed)
				after.crashAt = second
				opened, err := openLocal(after, crashDir, LocalOptions{})
				if err == nil {
					if err := opened.Close(); err != nil {
						t.Fatal(err)
					}
				}
				if len(after.changes) < second {
					break
				}
				tidied++
				wantRecovered(t, after.afterPowerLoss(seed+7), s)
			}
		}
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
		if !crashed {
			break
		}
	}
	if tidied < 50 {
		t.Errorf("only %d steps while opening", tidied)
	}
}

// A put that fails, on a full disk above all, leaves nothing behind, whichever step fails, and what is there stays.
func TestFailuresOnEveryWritePathLeaveNothing(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename", "syncdir"} {
		for nth := 1; nth <= 4; nth++ {
			fsys := newCrashFS()
			s := mustOpenCrashFS(t, fsys)
			there := [][]byte{noise(1, 40), noise(2, 40), noise(3, 40)}
			if err := putTogether(s, there...); err != nil {
				t.Fatal(err)
			}
			failing, seen := true, 0
			fsys.fault = func(o, _ string) error {
				if failing && o == op {
					if seen++; seen == nth {
						return errors.New("no space")
					}
				}
				return nil
			}
			want := append([][]byte{}, there...)
			for _, chunks := range [][][]byte{{noise(4, 40), prose(5, 700)}, {prose(6, 2*maxPacked)}, {noise(7, maxPacked+9)}} {
				if err := putTogether(s, chunks...); err == nil {
					want = append(want, chunks...)
				}
				wantAccounts(t, fsys, s, want)
			}
			_, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(there[0]).ID}, keepNone)
			if failing = false; err != nil {
				_, _, err = s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(there[0]).ID}, keepNone)
			}
			if err != nil {
				t.Fatal(err)
			}
			wantAccounts(t, fsys, s, want[1:])
			for _, data := range want[1:] {
				if got, err := s.Get(t.Context(), RefOf(data)); err != nil || !bytes.Equal(got, data) {
					t.Fatal(err)
				}
			}
			if t.Failed() {
				t.Fatalf("%s number %d", op, nth)
			}
		}
	}
}
