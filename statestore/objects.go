package statestore

import (
	"context"
	"errors"
	"io"
	"iter"
)

var (
	// ErrNoObject says that a store of objects has none of that key.
	ErrNoObject = errors.New("object not found")
	// ErrRefused says that a store of objects will not do what it was asked for, however often it is asked: no such
	// bucket, no permission, wrong credentials.
	ErrRefused = errors.New("refused")
)

// ObjectInfo is an object's key and its size in bytes.
type ObjectInfo struct {
	Key  string
	Size int64
}

// Objects is a store of whole objects that several processes use at once: a shared directory, or a bucket. Keys are
// parts joined by slashes, each of letters, digits, dots, dashes and underscores. Methods are safe for concurrent use and
// take a bounded time.
type Objects interface {
	// Name names the store in messages and tells it from others, without secrets.
	Name() string
	// Put stores an object of size bytes, in place of one that has the key. It is there whole and durably when Put
	// returns nil. After an error it may be there all the same, or come to be there; never a part of it.
	Put(ctx context.Context, key string, content io.ReadSeeker, size int64) error
	// Read returns length bytes of an object from offset on, and fewer where the object ends. It returns an error that is
	// ErrNoObject when there is none.
	Read(ctx context.Context, key string, offset, length int64) ([]byte, error)
	// Head returns what is known of an object without reading it, or ErrNoObject.
	Head(ctx context.Context, key string) (ObjectInfo, error)
	// List yields the objects whose keys begin with prefix, ascending by key, and holds few of them in memory. One that
	// is put or deleted meanwhile may or may not be among them. After an error it yields that, and ends.
	List(ctx context.Context, prefix string) iter.Seq2[ObjectInfo, error]
	// Delete removes an object. It returns nil when there is none. After an error the object may be there, or be removed
	// at some later time.
	Delete(ctx context.Context, key string) error
}
