package dataflow

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/pebblestate"
)

// fillingFS is a file system that has no room for new tables while it is full.
type fillingFS struct {
	vfs.FS
	full atomic.Bool
}

func (s *fillingFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if s.full.Load() && filepath.Ext(path) == ".sst" {
		return nil, &fs.PathError{Op: "create", Path: path, Err: syscall.ENOSPC}
	}
	return s.FS.Create(path, category)
}

// TestFullDiskFailsTheTask: a task that does nothing fails when its state cannot be flushed, and says what of whom there is
// no room for. With room again, the next attempt works.
func TestFullDiskFailsTheTask(t *testing.T) {
	disk := &fillingFS{FS: vfs.Default}
	backend, err := pebblestate.New(pebblestate.Options{BlockCacheSize: 1 << 20, MemTableSize: 256 << 10, Logger: deadLogger, FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	dir := t.TempDir()
	onPebble := func(task *Task) {
		task.spec.Backend, task.deps.Rows = checkpoint.BackendPebble, backend
		task.spec.WorkDir = filepath.Join(dir, string(task.spec.Subtask.Vertex))
	}
	for attempt := checkpoint.Attempt(1); attempt <= 2; attempt++ {
		disk.full.Store(attempt == 1)
		source, out := newGatedSource(), newLedger[int64]()
		g := NewGraph()
		keyed := KeyBy(From(g, "read", source, codec.Int64), codec.Int64, func(v int64) int64 { return v })
		To(Process(keyed, "keep", codec.Int64, func() KeyedProcessor[int64, int64, int64] { return &sum{} }), "write", out)
		if err := g.Seal(); err != nil {
			t.Fatal(err)
		}
		spec := TaskSpec{Attempt: attempt, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true}
		a := startAttemptWith(t, g, newMemoryStore(), spec, nil, onPebble)
		keep := checkpoint.SubtaskID{Vertex: g.Topology().Vertices[1].ID}
		awaitStatus(t, a, keep, checkpoint.SubtaskRunning)
		source.send(1, 2, 3)
		for a.tasks[keep].Stats().RecordsIn < 3 {
			time.Sleep(time.Millisecond)
		}
		a.tasks[readTask].Trigger(barrier(1))
		if attempt == 1 {
			wantDiskFull(t, a, keep)
		} else {
			awaitAcks(t, a, 1, len(a.tasks))
		}
		a.stop()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("attempt %d has left %d directories behind, %v", attempt, len(left), err)
		}
	}
}

// wantDiskFull waits for the failure of the task, and looks what it says of it, and of the checkpoint if it says anything.
func wantDiskFull(t *testing.T, a *attempt, keep checkpoint.SubtaskID) {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case e := <-a.events:
			switch e := e.(type) {
			case checkpoint.Decline:
				wantMessage(t, e.Message, "no space left on device")
			case checkpoint.Ack:
				if e.State.Subtask == keep {
					t.Error("the task acknowledges a checkpoint of a store that has failed")
				}
			case checkpoint.SubtaskReport:
				if e.Subtask == keep && e.Status == checkpoint.SubtaskFailed {
					wantMessage(t, e.Failure.Message, "keep", "on node n1", "no space left on device", ".sst")
					if e.Failure.Permanent || e.Failure.Secondary {
						t.Errorf("the failure is %+v: the job must restart because of it", e.Failure)
					}
					return
				}
			}
		case <-deadline:
			t.Fatal("the task does not fail")
		}
	}
}

// slowStore is a store in which a chunk takes until it is let go, or until it is not wanted any more.
type slowStore struct {
	*memoryStore
	begun chan struct{} // capacity above all that is begun
	mu    sync.Mutex
	puts  int
}

func (s *slowStore) Put(ctx context.Context, _ []byte) (checkpoint.ChunkRef, error) {
	s.mu.Lock()
	s.puts++
	s.mu.Unlock()
	s.begun <- struct{}{}
	<-ctx.Done()
	return checkpoint.ChunkRef{}, ctx.Err()
}

// TestAbortedUploadEndsAtTheChunk: the upload of an aborted checkpoint begins no chunk behind those that are being stored,
// and leaves nothing in the task's directory.
func TestAbortedUploadEndsAtTheChunk(t *testing.T) {
	store := &slowStore{memoryStore: newMemoryStore(), begun: make(chan struct{}, 1000)}
	dir := t.TempDir()
	o, counts := openCounts(t, rowHome{backend: newPebble(t), dir: dir}, store, checkpoint.SubtaskState{})
	for i := range int64(100_000) { // some dozen files
		putCount(t, o, counts, strings.Repeat("k", int(i%7))+string(codec.Int64.Append(nil, i*7919)), i)
	}
	s := captureOperator(t, o, barrier(1))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := s.upload(ctx, store, checkpoint.SubtaskID{})
		done <- err
	}()
	<-store.begun
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the upload ends with %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the upload goes on")
	}
	if store.puts > maxPuts {
		t.Errorf("%d chunks were begun, want at most the %d at hand", store.puts, maxPuts)
	}
	found := 0
	if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, "-capture-") {
			found++
		}
		return err
	}); err != nil || found > 0 {
		t.Errorf("%d files of the capture are left, %v", found, err)
	}
	closeOperator(t, o)
}
