package statestore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"cairn/checkpoint"
)

// storedFiles returns the paths of all files with chunks.
func storedFiles(t *testing.T, fsys *crashFS, s *Local) (paths []string) {
	t.Helper()
	dirs := []string{s.packs()}
	for n := range numShards {
		dirs = append(dirs, s.shard(byte(n)))
	}
	for _, dir := range dirs {
		entries, err := fsys.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			paths = append(paths, filepath.Join(dir, e.name))
		}
	}
	return paths
}

// rot flips one bit in each of n files.
func rot(t *testing.T, fsys *crashFS, s *Local, n int) {
	t.Helper()
	paths := storedFiles(t, fsys, s)
	if len(paths) < n {
		t.Fatalf("only %d files", len(paths))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
	for _, path := range paths[:n] {
		node, err := fsys.lookupLocked(path)
		if err != nil {
			t.Fatal(err)
		}
		data := bytes.Clone(node.data)
		data[rng.IntN(len(data))] ^= 1 << rng.IntN(8)
		node.data, node.synced = data, data
	}
}

// rotten is a store of which one bit has flipped in each of 100 files, of every kind.
func rotten(t *testing.T) (fsys *crashFS, s *Local, chunks [][]byte, changes map[checkpoint.ChunkID]ChangeKind) {
	t.Helper()
	fsys, changes = newCrashFS(), make(map[checkpoint.ChunkID]ChangeKind)
	s, err := openLocal(fsys, crashDir, LocalOptions{OnChange: func(c Change) { changes[c.Ref.ID] = c.Kind }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range uint64(50) {
		for _, data := range [][]byte{noise(i, 40_000), prose(i, 200_000)} {
			if _, err := s.Put(t.Context(), data); err != nil {
				t.Fatal(err)
			}
			chunks = append(chunks, data)
		}
		together := [][]byte{noise(100+i, 200), prose(100+i, 2000), noise(200+i, 300), {byte(i)}}
		if err := putTogether(s, together...); err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, together...)
	}
	rot(t, fsys, s, 100)
	return fsys, s, chunks, changes
}

// One bit flips in each of 100 files. A scrub finds every one of them, all chunks that are hit are reported and none is
// there any more, and the others in the same pack stay.
func TestScrubFindsEveryFlippedBit(t *testing.T) {
	fsys, s, chunks, changes := rotten(t)
	if err := s.Scrub(t.Context(), newFakeClock().options(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if found := s.ScrubProgress().Corrupt; found != 100 {
		t.Errorf("%d of 100 found", found)
	}
	var good [][]byte
	for _, data := range chunks {
		ref := RefOf(data)
		got, err := s.Get(t.Context(), ref)
		switch {
		case changes[ref.ID] == ChunkCorrupt && errors.Is(err, ErrNotFound):
		case changes[ref.ID] == ChunkAdded && err == nil && bytes.Equal(got, data):
			good = append(good, data)
		default:
			t.Errorf("chunk %s of %d bytes: %s, and reading it: %v", ref.ID, len(data), changes[ref.ID], err)
		}
	}
	if lost := len(chunks) - len(good); lost < 70 || lost > 100 {
		t.Errorf("%d chunks lost", lost) // where the directory of a pack is hit none is
	}
	wantAccounts(t, fsys, s, good)

	// Copies from elsewhere heal the store, for good.
	for _, data := range chunks {
		if _, err := s.Put(t.Context(), data); err != nil {
			t.Fatal(err)
		}
	}
	after := mustOpenCrashFS(t, fsys.afterPowerLoss(1))
	wantChunks(t, after, chunks)
	wantAccounts(t, fsys, s, chunks)
	clock := newFakeClock()
	clock.now = clock.now.Add(2 * time.Hour)
	if err := s.Scrub(t.Context(), clock.options(time.Hour)); err != nil || s.ScrubProgress().Corrupt != 0 {
		t.Errorf("the second pass: %v, %+v", err, s.ScrubProgress())
	}
}

// Nothing of it is ever served, whichever way it is asked for; nor is it after another opening.
func TestNoFlippedBitIsServed(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		fsys, s, chunks, _ := rotten(t)
		if reopen {
			s = mustOpenCrashFS(t, fsys.afterKill())
		}
		missing := 0
		for i, data := range chunks {
			ref := RefOf(data)
			var got []byte
			var err error
			switch i % 3 {
			case 0:
				got, err = s.Get(t.Context(), ref)
			case 1:
				var e Encoded
				if e, err = s.GetEncoded(t.Context(), ref); err == nil {
					got, err = e.Decode(ref)
				}
			case 2:
				if err = s.Verify(t.Context(), ref); err == nil {
					got, err = s.Get(t.Context(), ref)
				}
			}
			switch {
			case err == nil && !bytes.Equal(got, data):
				t.Fatalf("chunk %s was served with other content", ref.ID)
			case err != nil && !errors.Is(err, ErrCorrupt) && !(reopen && errors.Is(err, ErrNotFound)):
				t.Errorf("chunk %s: %v", ref.ID, err)
			case err != nil:
				missing++
				if has, err := s.Has(t.Context(), ref); has || err != nil {
					t.Errorf("chunk %s counts although it is bad: %v", ref.ID, err)
				}
			}
		}
		if missing < 70 || missing > 150 {
			t.Errorf("%d chunks are missing", missing)
		}
	}
}

// A pack that was cut short, or whose directory cannot be read when the store is opened, loses what is damaged and
// nothing else.
func TestDamagedPacksWhenOpening(t *testing.T) {
	chunks := [][]byte{noise(1, 100), noise(2, 100), noise(3, 100)}
	for _, tc := range []struct {
		name   string
		damage func([]byte) []byte
		want   int // of the chunks are left
		kept   int // files in the quarantine
	}{
		{"last byte missing", func(b []byte) []byte { return b[:len(b)-1] }, 2, 0},
		{"two chunks missing", func(b []byte) []byte { return b[:len(b)-150] }, 1, 0},
		{"no chunk left", func(b []byte) []byte { return b[:len(b)-300] }, 0, 0},
		{"something behind it", func(b []byte) []byte { return append(b, 1, 2, 3) }, 3, 0},
		{"directory cut short", func(b []byte) []byte { return b[:len(b)-301] }, 0, 1},
		{"nothing", func([]byte) []byte { return nil }, 0, 1},
		{"bit in the directory", func(b []byte) []byte { b[30] ^= 4; return b }, 0, 1},
		{"length", func(b []byte) []byte { b[10] = 0xff; return b }, 0, 1},
		{"version, by damage", func(b []byte) []byte { b[7] = 9; return b }, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fsys := newCrashFS()
			s := mustOpenCrashFS(t, fsys)
			if err := putTogether(s, chunks...); err != nil {
				t.Fatal(err)
			}
			node, err := fsys.lookupLocked(s.pack(1))
			if err != nil {
				t.Fatal(err)
			}
			node.data = tc.damage(bytes.Clone(node.data))
			again := fsys.afterKill()
			s = mustOpenCrashFS(t, again)
			wantChunks(t, s, chunks[:tc.want])
			wantAccounts(t, again, s, append([][]byte{}, chunks[:tc.want]...))
			if stats, err := s.Stats(); err != nil || stats.Quarantined != int64(tc.kept) {
				t.Errorf("%d files in quarantine, %v", stats.Quarantined, err)
			}
		})
	}
}

// A pack of a later version is not touched: the store is not opened.
func TestNewerPackIsRefused(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	header := appendPackHeader(nil, []packEntry{})
	header[len(packMagic)] = packVersion + 1
	writeUnsynced(t, fsys, s.pack(7), resum(header))
	if _, err := openLocal(fsys.afterKill(), crashDir, LocalOptions{}); !errors.Is(err, errPackNewer) {
		t.Fatalf("open: %v", err)
	}
	if _, err := fsys.Size(s.pack(7)); err != nil {
		t.Error(err)
	}
}
