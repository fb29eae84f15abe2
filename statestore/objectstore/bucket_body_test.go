package objectstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"cairn/statestore"
)

// heldContent is content whose upload hangs in the second read. What is sent is read behind the first Seek: before it the
// content is hashed.
type heldContent struct {
	*bytes.Reader
	sending atomic.Bool
	reads   atomic.Int32  // of what is sent
	second  chan struct{} // closed when the second has begun
	release chan struct{} // closed when it may go on
	inRead  atomic.Bool
}

func (c *heldContent) Seek(offset int64, whence int) (int64, error) {
	c.sending.Store(true)
	return c.Reader.Seek(offset, whence)
}

func (c *heldContent) Read(p []byte) (int, error) {
	if !c.sending.Load() {
		return c.Reader.Read(p)
	}
	if n := c.reads.Add(1); n > 1 {
		c.inRead.Store(true)
		defer c.inRead.Store(false)
		if n == 2 {
			close(c.second)
		}
		<-c.release
	}
	return c.Reader.Read(p)
}

// A server may answer before it has got all of an object. The HTTP client returns then, and may go on reading what it was
// to send: an upload that has failed must leave that alone, since other chunks will lie in its memory.
func TestRefusedUploadKeepsNothing(t *testing.T) {
	data := make([]byte, 4<<20)
	c := &heldContent{Reader: bytes.NewReader(data), second: make(chan struct{}), release: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-c.second:
		case <-t.Context().Done():
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "id")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	objects := open(t, fmt.Sprintf("s3://bucket/x?endpoint=%s", server.URL))
	done := make(chan error, 1)
	go func() { done <- objects.Put(t.Context(), "key", c, int64(len(data))) }()
	// Time for a Put to return that does not wait for the reading.
	time.AfterFunc(500*time.Millisecond, func() { close(c.release) })
	if err := <-done; !errors.Is(err, statestore.ErrRefused) {
		t.Errorf("Put: %v, want it refused", err)
	}
	if c.inRead.Load() {
		t.Error("the content is still being read")
	}
}
