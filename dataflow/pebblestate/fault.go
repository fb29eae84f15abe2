package pebblestate

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// fault is the first thing that has gone wrong under a store. From then on the store is good for nothing but to be
// closed: what it is asked for returns the fault, and whoever waits for it stops waiting.
//
// Pebble by itself retries for ever what it does in the background, and ends the process when it cannot write down which
// files there are. Both suit a store that is all there is of the data; this one is a copy of what the checkpoints have.
type fault struct {
	tell   func(error) // called once; returns at once
	broken chan struct{}
	set    sync.Once
	first  atomic.Pointer[error] // nil as long as nothing is wrong
}

func newFault(tell func(error)) *fault {
	return &fault{tell: tell, broken: make(chan struct{})}
}

// note takes in what has gone wrong, which counts if it is the first, and returns what does. It may be called with any of
// Pebble's locks held.
func (f *fault) note(err error) error {
	f.set.Do(func() {
		f.first.Store(&err)
		close(f.broken)
		f.tell(err)
	})
	return f.err()
}

// err returns the fault, nil for none.
func (f *fault) err() error {
	if first := f.first.Load(); first != nil {
		return *first
	}
	return nil
}

// or returns the fault or, where there is none, err.
func (f *fault) or(err error) error {
	if first := f.err(); first != nil {
		return first
	}
	return err
}

// recover turns a panic of Pebble into a fault. It is deferred by goroutines of our own.
func (f *fault) recover(err *error) {
	if p := recover(); p != nil {
		*err = f.note(fmt.Errorf("panic: %v", p))
	}
}
