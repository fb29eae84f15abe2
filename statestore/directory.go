package statestore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Directory keeps objects as files in a directory that several processes share, on this machine or, over a network file
// system, on several. An object is written under a temporary name, synced, renamed, and its folder synced: a crash
// leaves it whole or absent, and no acknowledged one absent.
//
//	DIR/<key>       an object; the folders of a key are made as they are needed, and stay
//	DIR/tmp/<name>  objects being written, named by chance; leftovers of crashes are removed when they are old
//
// A read opens the file, which makes a network file system ask its server: what another machine has replaced is seen.
type Directory struct {
	dir string // absolute
	fs  fileSystem
	log *slog.Logger

	mu sync.Mutex
	// durable are the folders whose names are known to be durable.
	durable map[string]bool
}

var _ Objects = (*Directory)(nil)

// tempFolder is the folder for what is being written. No key begins with it.
const tempFolder = "tmp"

// OpenDirectory returns the store in dir, an absolute path of a directory that exists: a directory that is missing is
// likely one that was not mounted. log may be nil.
func OpenDirectory(dir string, log *slog.Logger) (*Directory, error) {
	return openDirectory(osFS{}, dir, log)
}

func openDirectory(fsys fileSystem, dir string, log *slog.Logger) (*Directory, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{dir: filepath.Clean(dir), fs: fsys, log: log, durable: make(map[string]bool)}
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("directory %s: the path must be absolute", dir)
	}
	if _, err := fsys.ReadDir(d.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such directory; is it mounted? (%w)", d.Name(), err)
	} else if err != nil {
		return nil, d.failed("look into it", err)
	}
	if err := d.makeFolder(filepath.Join(d.dir, tempFolder)); err != nil {
		return nil, d.failed("write to it", err)
	}
	if err := d.removeLeftovers(); err != nil {
		return nil, d.failed("remove what crashed processes have left", err)
	}
	return d, nil
}

// Name implements Objects.
func (d *Directory) Name() string { return "file://" + d.dir }

func (d *Directory) path(key string) string { return filepath.Join(d.dir, filepath.FromSlash(key)) }

func (d *Directory) failed(doing string, err error) error {
	return fmt.Errorf("%s: %s: %w", d.Name(), doing, err)
}

// Put implements Objects.
func (d *Directory) Put(ctx context.Context, key string, content io.ReadSeeker, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	folder := filepath.Dir(d.path(key))
	temp := filepath.Join(d.dir, tempFolder, rand.Text())
	err := d.makeFolder(folder)
	if err == nil {
		err = d.writeTemp(temp, content, size)
	}
	if err == nil {
		err = d.fs.Rename(temp, d.path(key))
	}
	if err != nil {
		if removeErr := d.fs.Remove(temp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return d.failed("put "+key, err)
	}
	if err := d.fs.SyncDir(folder); err != nil {
		return d.failed("put "+key, err)
	}
	return nil
}

// writeTemp writes a file, durable. As in writeFile, one that failed to sync is not synced again.
func (d *Directory) writeTemp(temp string, content io.Reader, size int64) error {
	f, err := d.fs.Create(temp)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(content, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the content has not the %d bytes that it should have", size)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// makeFolder makes sure that a folder of the store is there, durably. It may have been made by another process, which
// need not have synced it yet.
func (d *Directory) makeFolder(folder string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.makeFolderLocked(folder)
}

func (d *Directory) makeFolderLocked(folder string) error {
	if folder == d.dir || d.durable[folder] {
		return nil
	}
	parent := filepath.Dir(folder)
	if err := d.makeFolderLocked(parent); err != nil {
		return err
	}
	if err := d.fs.Mkdir(folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.fs.SyncDir(parent); err != nil {
		return err
	}
	d.durable[folder] = true
	return nil
}

// Read implements Objects.
func (d *Directory) Read(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if offset == 0 { // nearly always all of it: no more memory is taken than it needs
		data, err := d.fs.ReadFile(d.path(key), length)
		if !errors.Is(err, errLonger) {
			return data, d.lookupFailed(key, err)
		}
	}
	data := make([]byte, length)
	n, err := d.fs.ReadAt(d.path(key), data, offset)
	return data[:n], d.lookupFailed(key, err)
}

// Head implements Objects.
func (d *Directory) Head(ctx context.Context, key string) (ObjectInfo, error) {
	if err := ctx.Err(); err != nil {
		return ObjectInfo{}, err
	}
	size, err := d.fs.Size(d.path(key))
	return ObjectInfo{Key: key, Size: size}, d.lookupFailed(key, err)
}

func (d *Directory) lookupFailed(key string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return d.failed(key, ErrNoObject)
	}
	return d.failed("read "+key, err)
}

// List implements Objects. It reads one folder at a time, and none ahead of the caller.
func (d *Directory) List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error] {
	return func(yield func(ObjectInfo, error) bool) { d.walk(ctx, path.Dir(prefix), prefix, yield) }
}

// walk yields what is below a folder and has the prefix. It reports false when that is to end.
func (d *Directory) walk(ctx context.Context, folder, prefix string, yield func(ObjectInfo, error) bool) bool {
	entries, err := d.fs.ReadDirPrefix(d.path(folder), nameIn(folder, prefix))
	if err = errors.Join(ctx.Err(), err); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true
		}
		yield(ObjectInfo{}, d.failed("list "+folder, err))
		return false
	}
	sortAsKeys(entries)
	for _, e := range entries {
		key := path.Join(folder, e.name)
		switch {
		case key == tempFolder:
		case e.regular && strings.HasPrefix(key, prefix):
			if !yield(ObjectInfo{Key: key, Size: e.size}, nil) {
				return false
			}
		case !e.regular && (strings.HasPrefix(key+"/", prefix) || strings.HasPrefix(prefix, key+"/")):
			if !d.walk(ctx, key, prefix, yield) {
				return false
			}
		}
	}
	return true
}

// nameIn returns what the names in a folder begin with of what has the prefix, as far as that is known: a chunk's objects
// are in one folder with those of thousands of others.
func nameIn(folder, prefix string) string {
	if folder != "." {
		var below bool
		if prefix, below = strings.CutPrefix(prefix, folder+"/"); !below {
			return "" // everything in the folder has the prefix
		}
	}
	name, _, _ := strings.Cut(prefix, "/")
	return name
}

// Delete implements Objects. The removal is durable when it returns.
func (d *Directory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := d.fs.Remove(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = d.fs.SyncDir(filepath.Dir(d.path(key)))
	}
	if err != nil {
		return d.failed("delete "+key, err)
	}
	return nil
}

// sortAsKeys orders entries as the keys below them are ordered.
func sortAsKeys(entries []dirEntry) {
	asKey := func(e dirEntry) string {
		if e.regular {
			return e.name
		}
		return e.name + "/"
	}
	slices.SortFunc(entries, func(a, b dirEntry) int { return strings.Compare(asKey(a), asKey(b)) })
}
