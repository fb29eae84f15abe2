package statestore

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// resum puts the right checksum under the header of a pack that was changed.
func resum(header []byte) []byte {
	body := header[:len(header)-packSumSize]
	sum := blake3.Sum256(body)
	return append(bytes.Clone(body), sum[:packSumSize]...)
}

// A thousand small chunks that are stored at the same time cost a handful of syncs.
func TestThousandSmallChunksShareTheirSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newCrashFS()
		s := mustOpenCrashFS(t, fsys)
		arrived := make(chan struct{}) // closed by the test
		var syncs atomic.Int64
		fsys.fault = func(op, _ string) error {
			switch op {
			case "create":
				<-arrived // the first write is slow
			case "sync", "syncdir":
				syncs.Add(1)
			}
			return nil
		}
		var puts sync.WaitGroup
		var chunks [][]byte
		for i := range uint64(1000) {
			data := noise(i, 500)
			chunks = append(chunks, data)
			puts.Go(func() {
				if _, err := s.Put(t.Context(), data); err != nil {
					t.Errorf("Put: %v", err)
				}
			})
		}
		synctest.Wait()
		close(arrived)
		puts.Wait()
		fsys.fault = nil
		if n := syncs.Load(); n > 6 {
			t.Errorf("%d syncs for 1000 chunks", n)
		}
		wantAccounts(t, fsys, s, chunks)
		for seed := range uint64(3) {
			wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(seed)), chunks)
		}
	})
}

// What does not fit into one pack goes into the next, and a batch that fails fails all of its callers.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newCrashFS()
		s := mustOpenCrashFS(t, fsys)
		const chunks = 1 + 3*maxPackData/maxPacked
		arrived := make(chan struct{}) // closed by the test
		var packs atomic.Int64
		fsys.fault = func(op, path string) error {
			switch {
			case op == "create":
				<-arrived
			case op == "rename" && path == s.pack(2):
				return errors.New("the second pack fails")
			case op == "rename" && bytes.HasPrefix([]byte(path), []byte(s.packs())):
				packs.Add(1)
			}
			return nil
		}
		var puts sync.WaitGroup
		var failed atomic.Int64
		for i := range uint64(chunks) {
			puts.Go(func() {
				if _, err := s.Put(t.Context(), noise(i, maxPacked)); err != nil {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		close(arrived)
		puts.Wait()
		fsys.fault = nil
		if packs.Load() != 2 || failed.Load() != maxPackData/maxPacked {
			t.Errorf("%d packs of three were written, %d chunks were not stored", packs.Load(), failed.Load())
		}
		wantAccounts(t, fsys, s, nil)
	})
}

// Puts, reads and deletions at the same time: what the change feed says in the end is what is there, and nothing is left
// on disk beside it.
func TestPacksUnderConcurrency(t *testing.T) {
	fsys := newCrashFS()
	var mu sync.Mutex
	told := make(map[checkpoint.ChunkID]ChangeKind)
	s, err := openLocal(fsys, crashDir, LocalOptions{OnChange: func(c Change) {
		mu.Lock()
		defer mu.Unlock()
		told[c.Ref.ID] = c.Kind
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	fsys.fault = func(op, _ string) error {
		if op == "sync" {
			time.Sleep(20 * time.Microsecond) // a disk takes its time, in which others come
		}
		return nil
	}
	var all sync.WaitGroup
	for worker := range uint64(8) {
		all.Go(func() {
			for round := range uint64(60) {
				n := (worker*7 + round*13) % 40
				data := noise(n, int(n)*20)
				ref := RefOf(data)
				if _, err := s.Put(t.Context(), data); err != nil {
					t.Errorf("Put: %v", err)
				}
				if got, err := s.Get(t.Context(), ref); err == nil && !bytes.Equal(got, data) || err != nil && !errors.Is(err, ErrNotFound) {
					t.Errorf("Get: %v", err)
				}
				if round%2 == 0 {
					ids := []checkpoint.ChunkID{ref.ID, RefOf(noise(n+1, int(n+1)*20)).ID}
					if _, _, err := s.Delete(t.Context(), ids, keepNone); err != nil {
						t.Errorf("Delete: %v", err)
					}
				}
			}
		})
	}
	all.Wait()
	listed := make(map[checkpoint.ChunkID]bool)
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		listed[ref.ID] = true
	}
	for id, kind := range told {
		if (kind == ChunkAdded) != listed[id] {
			t.Errorf("chunk %s: last told %s, listed %v", id, kind, listed[id])
		}
	}
	if s.lastPack.Load() < 10 {
		t.Errorf("only %d packs were written", s.lastPack.Load())
	}
	wantAccounts(t, fsys, s, nil)
	wantWhole(t, s)
}

func FuzzPack(f *testing.F) {
	w := newPackWriter()
	for _, data := range [][]byte{noise(1, 20), prose(2, 800), {}} {
		w.add(RefOf(data), Encode(data))
	}
	w.number(1)
	whole := append(appendPackHeader(nil, w.entries), w.data...)
	f.Add(whole)
	f.Add(whole[:60])
	f.Add(appendPackHeader(nil, nil))
	f.Add([]byte(packMagic))
	f.Fuzz(func(t *testing.T, file []byte) {
		checkPackFile(t, file)
		if length, err := packLength(file); err == nil && length <= len(file) {
			checkPackFile(t, append(resum(file[:length]), file[length:]...))
		}
	})
}

// checkPackFile reads whatever it is given as a pack.
func checkPackFile(t *testing.T, file []byte) {
	entries, err := decodePack(file, 1)
	if err != nil {
		return
	}
	if again := appendPackHeader(nil, entries); !bytes.HasPrefix(file, again) {
		t.Fatalf("a header of %d entries is not what was read", len(entries))
	}
	for _, e := range entries {
		if stored, good := storedIn(file, e); good {
			if data, err := stored.Decode(e.at.ref(e.id)); err != nil || RefOf(data) != e.at.ref(e.id) {
				t.Fatalf("good, and not to be read: %v", err)
			}
		}
	}
}
