package statestore

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// leftoverAge is how old an unfinished object has to be for nobody to be writing it any more.
const leftoverAge = time.Hour

// removeLeftovers removes what crashed processes were writing. Ages are taken from the file system alone: over a network
// its clock is not this machine's. Who writes that slowly finds its file gone, and fails: nothing is lost by it.
func (d *Directory) removeLeftovers() error {
	folder := filepath.Join(d.dir, tempFolder)
	now := rand.Text()
	if err := writeFile(d.fs, filepath.Join(folder, now)); err != nil {
		return err
	}
	entries, err := d.fs.ReadDir(folder)
	if err = errors.Join(err, d.fs.Remove(filepath.Join(folder, now))); err != nil {
		return err
	}
	removed := 0
	for _, e := range old(entries, now) {
		if err := d.fs.Remove(filepath.Join(folder, e.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed++
	}
	if removed > 0 {
		d.log.Info("removed unfinished objects", "path", folder, "files", removed)
	}
	return nil
}

// old returns the files that were written long before the one called now, which was just written.
func old(entries []dirEntry, now string) (files []dirEntry) {
	for _, present := range entries {
		if present.name != now {
			continue
		}
		for _, e := range entries {
			if e.regular && time.Duration(present.written-e.written) >= leftoverAge {
				files = append(files, e)
			}
		}
	}
	return files
}
