package dataflow

import (
	"fmt"
	"os"
	"path/filepath"

	"cairn/checkpoint"
	"cairn/dataflow/rowstore"
)

// rowHome is where the operators of a task keep their rows: a directory of the task's own, emptied before and removed
// behind it. backend is nil when the job keeps its state in memory.
type rowHome struct {
	backend rowstore.Backend
	dir     string
	node    checkpoint.NodeID
	fail    func(error) // fails the task; called by any goroutine
}

// openRows opens the operator's store with what the snapshot has as files.
func (o *keyedOperator[K]) openRows(state *operatorState) (err error) {
	home := filepath.Join(o.chain.home.dir, fmt.Sprint("operator-", o.at))
	restore := filepath.Join(home, "restore")
	dir := filepath.Join(home, "rows")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	handles := state.takeFiles()
	parts := make([]rowstore.Part, len(handles))
	for i, h := range handles {
		partDir := filepath.Join(restore, fmt.Sprint(i))
		if err := os.MkdirAll(partDir, 0o755); err != nil {
			return err
		}
		x, err := o.fetchRows(h, partDir)
		if err != nil {
			return err
		}
		from, to := rowSpan(h.handle.KeyGroups)
		parts[i] = rowstore.Part{Dir: partDir, Files: x.files, From: from, To: to, All: x.groups == h.handle.KeyGroups}
		if len(handles) == 1 {
			o.stored.replace(x.fileChunks(h.handle.Chunks)) // the store goes on with these files
		}
	}
	if o.keyed.rows, err = o.chain.home.backend.Open(dir, parts, o.rowsFailed); err != nil {
		return fmt.Errorf("opening the rows of keyed state: %w", err)
	}
	return os.RemoveAll(restore)
}

// rowsFailed fails the task because its store has become unusable.
func (o *keyedOperator[K]) rowsFailed(cause error) {
	c := o.chain
	c.home.fail(fmt.Errorf("state of operator %s, subtask %s on node %s: %w", c.ids[o.at], c.subtask, c.home.node, cause))
}

// fetchRows downloads the files of a handle.
func (o *keyedOperator[K]) fetchRows(h keyedHandle, dir string) (filesIndex, error) {
	if err := withinOwned(h.handle.KeyGroups, o.keyed.groups); err != nil {
		return filesIndex{}, err
	}
	r, err := h.open()
	if err != nil {
		return filesIndex{}, err
	}
	defer r.close()
	x, err := r.filesIndex()
	if err != nil {
		return x, err
	}
	if x.groups.Intersect(h.handle.KeyGroups) != h.handle.KeyGroups {
		return x, fmt.Errorf("%w: files of the key groups %d to %d, for %d to %d", errState,
			x.groups.First, x.groups.Last, h.handle.KeyGroups.First, h.handle.KeyGroups.Last)
	}
	for name, kind := range x.tables {
		if err := o.keyed.checkTable(name, kind); err != nil {
			return x, err
		}
	}
	return x, r.fetch(x, dir)
}

// withinOwned refuses key groups that are not all the subtask's.
func withinOwned(got, owned checkpoint.KeyGroupRange) error {
	if got.Intersect(owned) != got {
		return fmt.Errorf("keyed state of the key groups %d to %d, this subtask owns %d to %d", got.First, got.Last, owned.First, owned.Last)
	}
	return nil
}

// closeRows ends the operator's store.
func (o *keyedOperator[K]) closeRows() error {
	if o.keyed.rows == nil {
		return nil
	}
	return o.keyed.rows.Close()
}
