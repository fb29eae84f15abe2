package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	logFile = "raft.db"
	// lockTimeout is how long opening waits for another process to let go of the log file.
	lockTimeout = time.Second
	// howToReplace is the advice when the log is lost. An older copy of it would be worse than none: it has forgotten
	// votes, and nobody can tell.
	howToReplace = "move the data directory away and start again: while a majority of the others runs, this coordinator joins them anew"
	// keptSnapshots is how many snapshots of the state machine stay on disk.
	keptSnapshots = 2
)

// OpenStores opens, or creates, a replica's files in dir. It refuses a file that is damaged or not its
// own, names it, and changes nothing.
func OpenStores(dir string, log *slog.Logger) (_ Stores, err error) {
	// bbolt panics on pages that make no sense.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("raft log %s is damaged: %v; %s", filepath.Join(dir, logFile), p, howToReplace)
		}
	}()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return Stores{}, fmt.Errorf("data directory %s: %w", dir, err)
	}
	path := filepath.Join(dir, logFile)
	if err := checkLogFile(path); err != nil {
		return Stores{}, err
	}
	// Not syncing the free list saves a write per append; it is rebuilt from the pages at the next start.
	store, err := raftboltdb.New(raftboltdb.Options{Path: path, BoltOptions: &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, Timeout: lockTimeout,
	}})
	if err != nil {
		return Stores{}, openError(path, err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, keptSnapshots, RaftLogger(log))
	if err != nil {
		return Stores{}, errors.Join(fmt.Errorf("raft snapshots in %s: %w", dir, err), store.Close())
	}
	cache, err := raft.NewLogCache(512, store)
	if err != nil {
		return Stores{}, errors.Join(err, store.Close())
	}
	return Stores{Log: cache, Stable: store, Snapshots: snapshots, Close: store.Close}, nil
}

// checkLogFile looks at an existing log file before anything may write to it. bbolt takes an empty file
// for a new one, and maps a truncated one without complaint until a missing page is touched.
func checkLogFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("raft log %s: %w", path, err)
	}
	if info.Size() == 0 {
		return fmt.Errorf("raft log %s is empty: it was truncated, or never written; %s", path, howToReplace)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return openError(path, err)
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("raft log %s is truncated: it holds %d of %d bytes; %s",
				path, info.Size(), tx.Size(), howToReplace)
		}
		return nil
	})
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("raft log %s is in use by another process: is a coordinator running on this data directory?", path)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("raft log %s is not a Raft log of Cairn's, or is damaged: %w", path, err)
	}
	return fmt.Errorf("raft log %s: %w", path, err)
}
