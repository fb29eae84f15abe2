package statestore

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"

	"cairn/checkpoint"
)

// Whatever two files a crash leaves of a chunk, opening keeps one that is good, and nothing else.
func TestTwoCopiesWhenOpening(t *testing.T) {
	data, other := prose(1, 5000), noise(2, 60)
	ref, packed := RefOf(data), Encode(data)
	raw := func(t *testing.T, fsys *crashFS, s *Local, spoiled bool) {
		content := bytes.Clone(data)
		if spoiled {
			content[9] ^= 1
		}
		writeUnsynced(t, fsys, s.chunk(ref.ID), content)
	}
	compressed := func(t *testing.T, fsys *crashFS, s *Local, spoiled bool) {
		content := bytes.Clone(packed.Data)
		if spoiled {
			content[len(content)/2] ^= 1
		}
		writeUnsynced(t, fsys, s.loose(ref.ID, EncodingZstd, uint32(ref.Size)), content)
	}
	inPack := func(t *testing.T, fsys *crashFS, s *Local, spoiled bool) {
		if err := putTogether(s, data, other); err != nil {
			t.Fatal(err)
		}
		if at, _ := s.index.lookup(ref.ID); spoiled {
			node, err := fsys.lookupLocked(s.pack(at.pack))
			if err != nil {
				t.Fatal(err)
			}
			node.data = bytes.Clone(node.data)
			node.data[at.offset+at.stored/2] ^= 1
		}
	}
	kinds := map[string]func(*testing.T, *crashFS, *Local, bool){"raw": raw, "compressed": compressed, "pack": inPack}
	for one, first := range kinds {
		for two, second := range kinds {
			if one == two && one != "pack" {
				continue
			}
			for _, bad := range []string{"none", "first", "second"} {
				t.Run(one+" and "+two+", bad "+bad, func(t *testing.T) {
					fsys := newCrashFS()
					s := mustOpenCrashFS(t, fsys)
					first(t, fsys, s, bad == "first")
					second(t, fsys, s, bad == "second")
					after := fsys.afterKill()
					opened := mustOpenCrashFS(t, after)
					want := [][]byte{data}
					if one == "pack" || two == "pack" {
						want = append(want, other)
					}
					wantChunks(t, opened, want)
					wantAccounts(t, after, opened, want)
				})
			}
		}
	}
}

// A chunk is deleted while the pack that it is in is written anew for another: it stays deleted, and its bytes go too.
func TestDeleteWhileItsPackIsWrittenAnew(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	chunks := [][]byte{noise(1, 50), noise(2, 60), noise(3, 70)}
	if err := putTogether(s, chunks...); err != nil {
		t.Fatal(err)
	}
	remove := func(data []byte) error {
		_, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(data).ID}, keepNone)
		return err
	}
	second := make(chan error, 1)
	fsys.fault = func(op, _ string) error {
		if op != "rename" {
			return nil
		}
		fsys.fault = nil
		go func() { second <- remove(chunks[1]) }()
		for { // until it has left the index: then it waits for its turn to write the pack anew
			if _, found := s.index.lookup(RefOf(chunks[1]).ID); !found {
				return nil
			}
		}
	}
	if err := errors.Join(remove(chunks[0]), <-second); err != nil {
		t.Fatal(err)
	}
	wantAccounts(t, fsys, s, chunks[2:])
	after := mustOpenCrashFS(t, fsys.afterPowerLoss(1))
	wantChunks(t, after, chunks[2:])
	if stats, err := after.Stats(); err != nil || stats.Chunks != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
}

// A chunk whose pack is written anew between the look into the index and the read is found where it is now.
func TestReadWhileThePackIsWrittenAnew(t *testing.T) {
	chunks := [][]byte{noise(1, 50), noise(2, 60)}
	ref := RefOf(chunks[1])
	for name, read := range map[string]func(*Local) error{
		"get":    func(s *Local) error { _, err := s.Get(t.Context(), ref); return err },
		"verify": func(s *Local) error { return s.Verify(t.Context(), ref) },
		"put":    func(s *Local) error { _, err := s.Put(t.Context(), chunks[1]); return err },
		"examine": func(s *Local) error {
			if bad, err := s.examine(t.Context(), ref.ID); bad {
				return errors.New("it is bad")
			} else if err != nil {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := newCrashFS()
			s := mustOpenCrashFS(t, fsys)
			if err := putTogether(s, chunks...); err != nil {
				t.Fatal(err)
			}
			fsys.fault = func(op, path string) error {
				if op == "read" && path == s.pack(1) {
					fsys.fault = nil
					if _, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(chunks[0]).ID}, keepNone); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			if err := read(s); err != nil {
				t.Error(err)
			}
			if fsys.fault != nil {
				t.Error("the pack was not read")
			}
			wantAccounts(t, fsys, s, chunks[1:])
			wantEmptyDir(t, fsys, s.quarantine())
		})
	}
}

// Of two copies the one that cannot be read at the moment stays when the other is bad: it may be the only good one.
func TestUnreadableCopyStaysWhenOpening(t *testing.T) {
	data := prose(1, 5000)
	ref, packed := RefOf(data), Encode(data)
	packed.Data[len(packed.Data)/2] ^= 1
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	writeUnsynced(t, fsys, s.chunk(ref.ID), data)
	writeUnsynced(t, fsys, s.loose(ref.ID, EncodingZstd, uint32(ref.Size)), packed.Data)
	after := fsys.afterKill()
	after.fault = func(op, path string) error {
		if op == "read" && path == s.chunk(ref.ID) {
			return syscall.EMFILE
		}
		return nil
	}
	opened := mustOpenCrashFS(t, after)
	after.fault = nil
	wantChunks(t, opened, [][]byte{data})
	wantAccounts(t, after, opened, [][]byte{data})
}

// A pack whose file has grown beyond all bounds takes no memory for it, and is put right.
func TestPackThatHasGrown(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenLocal(dir, LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	chunks := [][]byte{noise(1, 50), noise(2, 60)}
	if err := putTogether(s, chunks...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(s.pack(1), 1<<42); err != nil {
		t.Skipf("no file of that size here: %v", err)
	}
	if s, err = OpenLocal(dir, LocalOptions{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantChunks(t, s, chunks)
	if stats, err := s.Stats(); err != nil || stats.StoredBytes > 1<<10 {
		t.Errorf("%+v, %v", stats, err)
	}
}
