package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Probe stores an object under the key, reads it, and deletes it. The error names the store and what failed.
func Probe(ctx context.Context, objects Objects, key string) error {
	content := []byte("written to see whether this store can be used; may be removed\n")
	failed := func(what string, err error) error {
		return fmt.Errorf("shared store %s cannot be used: %s: %w", objects.Name(), what, err)
	}
	if err := objects.Put(ctx, key, bytes.NewReader(content), int64(len(content))); err != nil {
		return failed("writing", err)
	}
	got, err := objects.Read(ctx, key, 0, int64(len(content))+1)
	if err == nil && !bytes.Equal(got, content) {
		err = errors.New("it has not what was written")
	}
	if err != nil {
		return failed("reading", err)
	}
	if err := objects.Delete(ctx, key); err != nil {
		return failed("deleting", err)
	}
	return nil
}
