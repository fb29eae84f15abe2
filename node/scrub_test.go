package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// Passes follow each other, one that fails after a pause, and end with the node, also amid one.
func TestScrubGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Duration
		began := time.Now()
		err := scrubForever(ctx, func(ctx context.Context) error {
			at = append(at, time.Since(began))
			switch len(at) {
			case 1:
				return nil
			case 2:
				return errors.New("disk on fire")
			}
			time.AfterFunc(time.Hour, cancel)
			<-ctx.Done()
			return ctx.Err()
		})
		if err != nil || len(at) != 3 || at[1] != 0 || at[2] != scrubPause || time.Since(began) != scrubPause+time.Hour {
			t.Errorf("passes began at %v, all ended after %s: %v", at, time.Since(began), err)
		}
	})
}

// A running node finds a damaged copy by itself, and tells the leader.
func TestAgentFindsADamagedCopy(t *testing.T) {
	leader := startLeader(t)
	dir := t.TempDir()
	local, err := statestore.OpenLocal(dir, statestore.LocalOptions{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 1<<20) // larger than what goes into packs
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	ref, err := local.Put(t.Context(), data)
	if err == nil {
		err = local.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	startAgentIn(t, leader, "n1", dir, func(c *Config) { c.ScrubInterval = minScrubInterval })
	eventually(t, "the inventory", func() bool { return leader.of("n1").complete && leader.of("n1").chunks[ref.ID] == ref.Size })
	damage(t, dir, ref)
	eventually(t, "the damage to be told", func() bool { return leader.of("n1").corrupt[ref.ID] })
}

// damage flips a bit of the file that a chunk is in.
func damage(t *testing.T, dir string, ref checkpoint.ChunkRef) {
	found, err := filepath.Glob(filepath.Join(dir, "chunks", "*", "*"+ref.ID.String()[8:]+"*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the files of chunk %s are %v: %v", ref.ID, found, err)
	}
	data, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Chmod(found[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
}
