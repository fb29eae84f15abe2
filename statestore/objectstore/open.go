package objectstore

import (
	"fmt"
	"log/slog"
	"os"
	"sync"

	"cairn/statestore"
)

// Open opens the store at a location. It does not look whether a bucket can be reached: statestore.OpenShared does. log
// may be nil.
func Open(l Location, log *slog.Logger) (statestore.Objects, error) {
	switch l.scheme {
	case "file":
		return statestore.OpenDirectory(l.dir, log)
	case "s3":
		return openBucket(l)
	case "mem":
		return memories.open(l)
	}
	return nil, fmt.Errorf("location %q has not been parsed", l)
}

// memories are the stores in the memory of this process, by name. They live as long as it does.
var memories memoryStores

type memoryStores struct {
	mu     sync.Mutex
	byName map[string]*statestore.MemoryObjects
}

func (m *memoryStores) open(l Location) (statestore.Objects, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if store := m.byName[l.memory]; store != nil {
		return store, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	if m.byName == nil {
		m.byName = make(map[string]*statestore.MemoryObjects)
	}
	// Whose memory it is belongs to the name: two processes do not share theirs.
	store := statestore.NewMemoryObjects(fmt.Sprintf("%s of process %d on %s", l, os.Getpid(), host))
	m.byName[l.memory] = store
	return store, nil
}
