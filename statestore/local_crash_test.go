package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
)

const crashDir = "/data/node/store"

// crashChunks are the contents that the crash tests store. The first byte of the fifth one's ID equals the
// first one's, so that two chunks share a shard.
var crashChunks = func() [][]byte {
	chunks := [][]byte{[]byte("alpha"), bytes.Repeat([]byte("beta"), 300), {}, []byte("delta")}
	shard := RefOf(chunks[0]).ID[0]
	for i := 0; ; i++ {
		if data := fmt.Appendf(nil, "epsilon %d", i); RefOf(data).ID[0] == shard {
			return append(chunks, data)
		}
	}
}()

// crashScript uses a store as a node does over two process lives, and returns the chunks that it was told
// are durable and did not ask to delete. It stops at the first error.
func crashScript(t *testing.T, fsys *crashFS) (acked [][]byte, err error) {
	for life, puts := range [][]int{{0, 1, 0, 2}, {3, 4, 1}} {
		s, err := openLocal(fsys, crashDir, LocalOptions{})
		if err != nil {
			return acked, err
		}
		for _, i := range puts {
			if _, err := s.Put(t.Context(), crashChunks[i]); err != nil {
				return acked, err
			}
			acked = append(acked, crashChunks[i])
		}
		if life == 0 {
			doomed := []byte("deleted")
			if _, err := s.Put(t.Context(), doomed); err != nil {
				return acked, err
			}
			if _, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(doomed).ID}, keepNone); err != nil {
				return acked, err
			}
		}
		if err := s.Close(); err != nil {
			return acked, err
		}
	}
	return acked, nil
}

func keepNone(checkpoint.ChunkID) bool { return false }

// A deletion that was reported as done is not undone by a power failure: the leader forgets what it has deleted.
func TestDeletionSurvivesPowerLoss(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	var doomed []checkpoint.ChunkID
	for _, data := range crashChunks {
		ref, err := s.Put(t.Context(), data)
		if err != nil {
			t.Fatal(err)
		}
		doomed = append(doomed, ref.ID)
	}
	if deleted, refused, err := s.Delete(t.Context(), doomed, keepNone); deleted != len(doomed) || refused != 0 || err != nil {
		t.Fatalf("Delete: %d, %d, %v", deleted, refused, err)
	}
	for seed := range uint64(8) {
		after := mustOpenCrashFS(t, fsys.afterPowerLoss(seed))
		for ref, err := range after.List(t.Context()) {
			t.Fatalf("seed %d: chunk %s came back, %v", seed, ref.ID, err)
		}
	}
}

// One file that cannot be removed does not save the others, and the error names it.
func TestDeleteGoesOnBehindAFailure(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	stuck, err := s.Put(t.Context(), crashChunks[0])
	if err != nil {
		t.Fatal(err)
	}
	free, err := s.Put(t.Context(), crashChunks[1])
	if err != nil {
		t.Fatal(err)
	}
	fsys.fault = func(op, path string) error {
		if op == "remove" && path == s.chunk(stuck.ID) {
			return syscall.EIO
		}
		return nil
	}
	deleted, refused, err := s.Delete(t.Context(), []checkpoint.ChunkID{stuck.ID, free.ID}, keepNone)
	if deleted != 1 || refused != 0 || !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), stuck.ID.String()) {
		t.Fatalf("Delete: %d, %d, %v", deleted, refused, err)
	}
	if has, err := s.Has(t.Context(), free); has || err != nil {
		t.Fatalf("the other chunk: %v, %v", has, err)
	}
}

// mustOpenCrashFS opens the store that a crash left behind.
func mustOpenCrashFS(t *testing.T, fsys *crashFS) *Local {
	t.Helper()
	s, err := openLocal(fsys, crashDir, LocalOptions{})
	if err != nil {
		t.Fatalf("open after the crash: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func wantChunks(t *testing.T, s *Local, chunks [][]byte) {
	t.Helper()
	for _, data := range chunks {
		if got, err := s.Get(t.Context(), RefOf(data)); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("acknowledged chunk %.12q is lost: %v", data, err)
		}
	}
}

// wantWhole checks that every file with a chunk's name has the chunk's content: it must not be for the hash
// to find out that a write was cut short.
func wantWhole(t *testing.T, s *Local) {
	t.Helper()
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		if _, err := s.Get(t.Context(), ref); err != nil {
			t.Fatalf("a chunk was left half written: %v", err)
		}
	}
}

func wantEmptyDir(t *testing.T, fsys *crashFS, dir string) {
	t.Helper()
	entries, err := fsys.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Fatalf("%s: %v, %v; want it empty", dir, entries, err)
	}
}

// dullShards returns the paths of the shards that eachCrash leaves out.
func dullShards() map[string]bool {
	dull := make(map[string]bool)
	for n := range numShards {
		if n%8 != 0 {
			dull[layout{dir: crashDir}.shard(byte(n))] = true
		}
	}
	for _, data := range crashChunks {
		delete(dull, layout{dir: crashDir}.shard(RefOf(data).ID[0]))
	}
	return dull
}

// eachCrash runs the script once for each of its steps, with the machine going down at that step, and calls
// check with what was acknowledged until then. Of the steps that do no more than prepare a shard which no
// chunk of the script uses it takes every eighth shard's: they are all alike.
func eachCrash(t *testing.T, check func(t *testing.T, fsys *crashFS, acked [][]byte)) {
	t.Helper()
	whole := newCrashFS()
	if _, err := crashScript(t, whole); err != nil {
		t.Fatal(err)
	}
	if len(whole.changes) < 2*numShards {
		t.Fatalf("the script has only %d steps: it does not do what it should", len(whole.changes))
	}
	dull := dullShards()
	for i, path := range whole.changes {
		if dull[path] {
			continue
		}
		fsys := newCrashFS()
		fsys.crashAt = i + 1
		acked, err := crashScript(t, fsys)
		if !errors.Is(err, errCrashed) {
			t.Fatalf("step %d: %v, want a crash", fsys.crashAt, err)
		}
		t.Run(fmt.Sprintf("step %d", fsys.crashAt), func(t *testing.T) { check(t, fsys, acked) })
	}
}

func TestPowerLossBetweenAnyTwoSteps(t *testing.T) {
	const seeds = 4
	eachCrash(t, func(t *testing.T, crashed *crashFS, acked [][]byte) {
		for seed := range uint64(seeds) {
			fsys := crashed.afterPowerLoss(seed)
			s := mustOpenCrashFS(t, fsys)
			wantChunks(t, s, acked)
			wantWhole(t, s)
			wantEmptyDir(t, fsys, s.temp())
			wantEmptyDir(t, fsys, s.quarantine())
			for _, data := range crashChunks {
				if _, err := s.Put(t.Context(), data); err != nil {
					t.Fatalf("seed %d: put after the crash: %v", seed, err)
				}
			}
			wantChunks(t, s, crashChunks)
		}
	})
}

// TestKillThenPowerLoss has the process die at any step and the machine later. In between the next process
// finds files that have their names, but not durably: it must not take them for stored.
func TestKillThenPowerLoss(t *testing.T) {
	const seeds = 3
	eachCrash(t, func(t *testing.T, crashed *crashFS, acked [][]byte) {
		fsys := crashed.afterKill()
		s := mustOpenCrashFS(t, fsys)
		for _, data := range crashChunks {
			if _, err := s.Put(t.Context(), data); err != nil {
				t.Fatalf("put after the kill: %v", err)
			}
		}
		wantEmptyDir(t, fsys, s.temp())
		for seed := range uint64(seeds) {
			wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(seed)), crashChunks)
		}
	})
}

// TestDirectorySyncFails has the sync after a rename fail. The Put must fail and leave nothing behind, and the chunk does
// not count until it was put again.
func TestDirectorySyncFails(t *testing.T) {
	data := crashChunks[0]
	ref := RefOf(data)
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	failing := true
	fsys.fault = func(op, path string) error {
		if failing && op == "syncdir" && path == s.shard(ref.ID[0]) {
			return errors.New("input/output error")
		}
		return nil
	}
	for range 2 {
		if _, err := s.Put(t.Context(), data); err == nil {
			t.Fatal("Put succeeded without its directory synced")
		}
		if has, err := s.Has(t.Context(), ref); has || err != nil {
			t.Fatalf("has %v, %v: its directory was not synced", has, err)
		}
		wantAccounts(t, fsys, s, nil)
	}
	failing = false
	if _, err := s.Put(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(seed)), [][]byte{data})
	}
}

// TestSecondPutWaitsForTheFirst stops a Put between its rename and the sync of the directory. A second Put of
// the same chunk then finds the file in place, and must not call it durable.
func TestSecondPutWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := crashChunks[0]
		fsys := newCrashFS()
		s := mustOpenCrashFS(t, fsys)
		goOn := make(chan struct{}) // closed by the test
		fsys.fault = func(op, path string) error {
			if op == "syncdir" && path == s.shard(RefOf(data).ID[0]) {
				<-goOn
			}
			return nil
		}
		var acked atomic.Int32
		var puts sync.WaitGroup
		for range 2 {
			puts.Go(func() {
				if _, err := s.Put(t.Context(), data); err != nil {
					t.Errorf("Put: %v", err)
				}
				acked.Add(1)
			})
			synctest.Wait()
		}
		if _, err := fsys.Size(s.chunk(RefOf(data).ID)); err != nil {
			t.Fatalf("the first Put has not come as far as it should: %v", err)
		}
		if n := acked.Load(); n != 0 {
			t.Fatalf("%d puts returned before the directory was synced", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Put(ctx, data); !errors.Is(err, context.Canceled) {
			t.Fatalf("a cancelled Put that would have to wait returned %v", err)
		}
		close(goOn)
		puts.Wait()
	})
}
