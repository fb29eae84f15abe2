package pebblestate

import "github.com/cockroachdb/pebble/v2/vfs"

// lastingNothing is a file system whose files are never synced: nothing in a store is needed when its process has ended,
// so no flush and no capture need wait for the disk.
type lastingNothing struct{ vfs.FS }

func (fs lastingNothing) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return unsynced(fs.FS.Create(name, category))
}

func (fs lastingNothing) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return unsynced(fs.FS.OpenReadWrite(name, category, opts...))
}

func (fs lastingNothing) OpenDir(name string) (vfs.File, error) { return unsynced(fs.FS.OpenDir(name)) }

func (fs lastingNothing) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return unsynced(fs.FS.ReuseForWrite(oldname, newname, category))
}

func (fs lastingNothing) Unwrap() vfs.FS { return fs.FS }

func unsynced(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return unsyncedFile{f}, nil
}

type unsyncedFile struct{ vfs.File }

func (unsyncedFile) Sync() error                { return nil }
func (unsyncedFile) SyncData() error            { return nil }
func (unsyncedFile) SyncTo(int64) (bool, error) { return false, nil }
