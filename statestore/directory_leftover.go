package statestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// leftoverAge is how old an unfinished object has to be for nobody to be writing it any more.
const leftoverAge = time.Hour

// removeLeftovers removes what crashed processes were writing. Ages are taken from the file system alone: over a network
// its clock is not this machine's. Who writes that slowly finds its file gone, and fails: nothing is lost by it.
func (d *Directory) removeLeftovers() error {
	folder := filepath.Join(d.dir, tempFolder)
	probe, err := os.CreateTemp(folder, "now-")
	if err != nil {
		return err
	}
	now, err := probe.Stat()
	if err = errors.Join(err, probe.Close(), os.Remove(probe.Name())); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	removed := 0
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || now.ModTime().Sub(info.ModTime()) < leftoverAge {
			continue
		}
		if err := os.Remove(filepath.Join(folder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed++
	}
	if removed > 0 {
		d.log.Info("removed unfinished objects", "path", folder, "files", removed)
	}
	return nil
}
