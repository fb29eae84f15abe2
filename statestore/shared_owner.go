package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cairn/checkpoint"
)

// errDeparted says that an owner was taken for gone: what it has stored may be deleted by others.
var errDeparted = errors.New("this process was taken for gone")

// maxOwnerRecord bounds what is read of an owner's record.
const maxOwnerRecord = 1 << 10

// confirmTimeout bounds one reading of it.
const confirmTimeout = 30 * time.Second

// owner is one life of a process in a shared store: a name, and the objects that it has stored under it. It is safe for
// concurrent use.
type owner struct {
	name    string
	objects Objects

	mu struct {
		sync.Mutex
		lastSerial uint64
		// own are the objects that are there as far as this process knows. Who changes the entry of a chunk holds its lock.
		own map[checkpoint.ChunkID]ownObject
		// doubtful are the serials of uploads and deletions whose outcome is not known: they may be there.
		doubtful map[checkpoint.ChunkID][]objectName
		// next is the confirmation that has not begun yet; confirming says that one is under way.
		next       *confirmation
		confirming bool
	}
}

// ownObject is an object of the process.
type ownObject struct {
	size     int64 // of the content
	stored   int64 // of the object
	serial   uint64
	encoding Encoding
}

func newOwner(objects Objects, name string) *owner {
	o := &owner{name: name, objects: objects}
	o.mu.own = make(map[checkpoint.ChunkID]ownObject)
	o.mu.doubtful = make(map[checkpoint.ChunkID][]objectName)
	return o
}

// register announces the owner. It comes before its first object: nobody deletes for owners that were never there.
func (o *owner) register(ctx context.Context) error {
	return o.objects.Put(ctx, ownerKey(o.name), bytes.NewReader(nil), 0)
}

// lookup returns the object of a chunk, if there is one, and its size as it is stored.
func (o *owner) lookup(id checkpoint.ChunkID) (n objectName, stored int64, found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	object, found := o.mu.own[id]
	if !found {
		return objectName{}, 0, false
	}
	n = objectName{chunk: checkpoint.ChunkRef{ID: id, Size: object.size}, owner: o.name, serial: object.serial, encoding: object.encoding}
	return n, object.stored, true
}

// begin returns a name for an upload, which counts as doubtful until it is done.
func (o *owner) begin(ref checkpoint.ChunkRef, encoding Encoding) objectName {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.lastSerial++
	n := objectName{chunk: ref, owner: o.name, serial: o.mu.lastSerial, encoding: encoding}
	o.mu.doubtful[ref.ID] = append(o.mu.doubtful[ref.ID], n)
	return n
}

// stored says that an upload of so many bytes has ended well.
func (o *owner) stored(n objectName, size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settleLocked(n)
	o.mu.own[n.chunk.ID] = ownObject{size: n.chunk.Size, stored: size, serial: n.serial, encoding: n.encoding}
}

// doubt says that an object is not to be relied on any more.
func (o *owner) doubt(n objectName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if object, found := o.mu.own[n.chunk.ID]; found && object.serial == n.serial {
		delete(o.mu.own, n.chunk.ID)
		o.mu.doubtful[n.chunk.ID] = append(o.mu.doubtful[n.chunk.ID], n)
	}
}

// deleted says that an object is gone.
func (o *owner) deleted(n objectName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settleLocked(n)
}

func (o *owner) settleLocked(n objectName) {
	left := o.mu.doubtful[n.chunk.ID]
	for i, d := range left {
		if d == n {
			left = append(left[:i:i], left[i+1:]...)
			break
		}
	}
	if len(left) == 0 {
		delete(o.mu.doubtful, n.chunk.ID)
	} else {
		o.mu.doubtful[n.chunk.ID] = left
	}
}

// condemn makes all objects of a chunk doubtful and returns them.
func (o *owner) condemn(id checkpoint.ChunkID) []objectName {
	if n, _, found := o.lookup(id); found {
		o.doubt(n)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]objectName(nil), o.mu.doubtful[id]...)
}

// usage returns how many chunks the owner has stored, the bytes of their content, and what those take.
func (o *owner) usage() (chunks, size, stored int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, object := range o.mu.own {
		size += object.size
		stored += object.stored
	}
	return int64(len(o.mu.own)), size, stored
}

// confirmation is one look at the owner's record, for all who asked for it before it began.
type confirmation struct {
	done chan struct{} // closed when err is there
	err  error
}

// confirm returns nil when a look at the owner's record, begun after the call, has found that the owner may store; and
// errDeparted when it may not.
func (o *owner) confirm(ctx context.Context) error {
	o.mu.Lock()
	if o.mu.next == nil {
		o.mu.next = &confirmation{done: make(chan struct{})}
	}
	c := o.mu.next
	if !o.mu.confirming {
		o.mu.confirming = true
		go o.serveConfirmations() // it ends when nobody waits
	}
	o.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *owner) serveConfirmations() {
	for {
		o.mu.Lock()
		c := o.mu.next
		o.mu.next = nil
		o.mu.confirming = c != nil
		o.mu.Unlock()
		if c == nil {
			return
		}
		c.err = o.look()
		close(c.done)
	}
}

func (o *owner) look() error {
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	record, err := o.objects.Read(ctx, ownerKey(o.name), 0, maxOwnerRecord)
	switch {
	case errors.Is(err, ErrNoObject):
		return fmt.Errorf("%w: %s is not there any more", errDeparted, ownerKey(o.name))
	case err != nil:
		return err
	case len(record) > 0:
		return fmt.Errorf("%w: %s", errDeparted, bytes.TrimSpace(record))
	}
	return nil
}
