package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"cairn/checkpoint"
)

const (
	smallChunks = 1000
	smallSize   = 1 << 10 // bytes
	// smallFiles is how many plain files are written at a time. Each takes a thread while it is being synced.
	smallFiles = 64
)

// measureSmall stores many small chunks at the same time, as many subtasks with little state do, and writes as many
// plain files beside it.
func measureSmall(ctx context.Context, b *bench) (err error) {
	own, err := openStore(filepath.Join(b.dir, "store"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, own.close()) }()
	s := &storingSmall{own: own, dir: filepath.Join(b.dir, "plain")}
	chunks, files, err := alternate(ctx, choose(b, 5, 21), s.chunks, s.files)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d chunks of %d KiB at a time", smallChunks, smallSize>>10)
	b.add(ratioOf(name, chunks, "ms", "as many plain files", files).with(ratioAtMost(0.5)))
	return nil
}

// storingSmall stores the same number of chunks and files.
type storingSmall struct {
	own    *ownStore
	dir    string // of the files
	rounds uint64 // so far: no chunk is stored twice
}

func (s *storingSmall) chunks(ctx context.Context) (float64, error) {
	store := s.own.alone()
	s.rounds++
	first := s.rounds * smallChunks
	ids := make([]checkpoint.ChunkID, smallChunks)
	start := time.Now()
	err := atATime(smallChunks, smallChunks, func(i int) error {
		ref, err := store.Put(ctx, noise(first+uint64(i), smallSize))
		ids[i] = ref.ID
		return err
	})
	took := milliseconds(time.Since(start))
	if err != nil {
		return 0, err
	}
	_, _, err = s.own.local.Delete(ctx, ids, func(checkpoint.ChunkID) bool { return false })
	return took, err
}

// files writes a file for each chunk and syncs it. Neither is it renamed, nor the directory synced.
func (s *storingSmall) files(context.Context) (float64, error) {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return 0, err
	}
	start := time.Now()
	err := atATime(smallChunks, smallFiles, func(i int) error {
		f, err := os.Create(filepath.Join(s.dir, fmt.Sprint(i)))
		if err != nil {
			return err
		}
		_, err = f.Write(noise(uint64(i), smallSize))
		return errors.Join(err, f.Sync(), f.Close())
	})
	return milliseconds(time.Since(start)), errors.Join(err, os.RemoveAll(s.dir))
}

// atATime calls do with the numbers below n, so many at a time, and returns their errors.
func atATime(n, most int, do func(int) error) error {
	errs := make([]error, n)
	free := make(chan struct{}, most) // holds one for each call under way
	var calls sync.WaitGroup
	for i := range n {
		free <- struct{}{}
		calls.Go(func() {
			errs[i] = do(i)
			<-free
		})
	}
	calls.Wait()
	return errors.Join(errs...)
}
