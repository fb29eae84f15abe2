package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/api"
	"cairn/coordinator"
)

// exampleSnapshot is a snapshot as a coordinator writes it, and what is to be said of it.
func exampleSnapshot(t *testing.T) ([]byte, api.SnapshotInfo) {
	t.Helper()
	file, err := os.ReadFile("../../coordinator/testdata/snapshot_file_v1.bin")
	if err != nil {
		t.Fatal(err)
	}
	info, err := coordinator.InspectSnapshot(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	return file, info
}

func TestSnapshotSaveInspectRestore(t *testing.T) {
	file, info := exampleSnapshot(t)
	b := newBench()
	b.service.snapshotOf, b.service.snapshot = file, info
	path := filepath.Join(t.TempDir(), "state.snap")
	for _, args := range []string{"save", "inspect", "restore"} {
		r := b.run(t, "operator", "snapshot", args, path, "--json")
		var got api.SnapshotInfo
		if err := json.Unmarshal([]byte(r.stdout), &got); r.code != 0 || err != nil || got != info {
			t.Fatalf("%s: exit code %d, %+v, %v, stderr %q", args, r.code, got, err, r.stderr)
		}
		r = b.run(t, "operator", "snapshot", args, path)
		if r.code != 0 || !strings.Contains(r.stdout, path) || !strings.Contains(r.stdout, info.SHA256) {
			t.Errorf("%s: exit code %d and %q", args, r.code, r.stdout)
		}
	}
	if onDisk, err := os.ReadFile(path); err != nil || !bytes.Equal(onDisk, file) || !bytes.Equal(b.service.restored, file) {
		t.Errorf("on disk %d bytes, restored %d, saved %d; %v", len(onDisk), len(b.service.restored), len(file), err)
	}
}

func TestSnapshotInspectNeedsNoCluster(t *testing.T) {
	b := newBench()
	if r := b.run(t, "operator", "snapshot", "inspect", "../../coordinator/testdata/snapshot_file_v1.bin"); r.code != 0 || b.dialed != nil {
		t.Errorf("exit code %d, dialled %v, stderr %q", r.code, b.dialed, r.stderr)
	}
}

// A save that fails leaves what was there, and nothing else.
func TestSnapshotSaveIsAllOrNothing(t *testing.T) {
	file, info := exampleSnapshot(t)
	for name, spoil := range map[string]func(*fakeService){
		"refused":      func(f *fakeService) { f.err = api.Errorf(api.Unavailable, "no leader") },
		"cut short":    func(f *fakeService) { f.snapshotOf = file[:len(file)-1] },
		"another file": func(f *fakeService) { f.snapshot.SHA256 = strings.Repeat("0", 64) },
	} {
		b := newBench()
		b.service.snapshotOf, b.service.snapshot = file, info
		spoil(b.service)
		dir := t.TempDir()
		path := filepath.Join(dir, "state.snap")
		if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := b.run(t, "operator", "snapshot", "save", path)
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if r.code != 1 || r.stderr == "" || len(left) != 1 || err != nil || string(content) != "older" {
			t.Errorf("%s: exit code %d, stderr %q, files %v, content %q", name, r.code, r.stderr, left, content)
		}
	}
}

// A file that is no whole snapshot is refused before the cluster hears of it.
func TestSnapshotRestoreRefusesABadFile(t *testing.T) {
	file, _ := exampleSnapshot(t)
	path := filepath.Join(t.TempDir(), "state.snap")
	flipped := slices.Clone(file)
	flipped[len(file)/2] ^= 1
	for want, content := range map[string][]byte{"it is damaged": flipped, "it is not a snapshot": []byte("older")} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"inspect", "restore"} {
			b := newBench()
			r := b.run(t, "operator", "snapshot", command, path)
			if r.code != 1 || !strings.Contains(r.stderr, want) || !strings.Contains(r.stderr, path) || b.service.restored != nil {
				t.Errorf("%s: exit code %d, stderr %q", command, r.code, r.stderr)
			}
		}
	}
	if r := newBench().run(t, "operator", "snapshot", "restore", path+".none"); r.code != 1 || !strings.Contains(r.stderr, path+".none") {
		t.Errorf("a file that is not there: exit code %d, stderr %q", r.code, r.stderr)
	}
}

func TestRemovePeer(t *testing.T) {
	b := newBench()
	r := b.run(t, "operator", "raft", "remove-peer", "c4")
	if r.code != 0 || !slices.Equal(b.service.removed, []string{"c4"}) || !strings.Contains(r.stdout, "Warning") {
		t.Errorf("exit code %d, removed %v, %q", r.code, b.service.removed, r.stdout) // c3 is failed: no more may
	}
	b.service.peers[2].State = "follower"
	if r := b.run(t, "operator", "raft", "remove-peer", "c4"); strings.Contains(r.stdout, "Warning") || !strings.Contains(r.stdout, "3 voters left") {
		t.Errorf("with three healthy voters: %q", r.stdout)
	}
	b.service.err = errors.New("no coordinator is named c4")
	if r := b.run(t, "operator", "raft", "remove-peer", "c4"); r.code != 1 || !strings.Contains(r.stderr, "c4") {
		t.Errorf("refused: exit code %d, stderr %q", r.code, r.stderr)
	}
}
