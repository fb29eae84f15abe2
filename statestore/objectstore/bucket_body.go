package objectstore

import (
	"errors"
	"io"
	"sync"
)

// errTakenBack says that an upload is over, though the HTTP client still reads its content.
var errTakenBack = errors.New("the content is no longer lent")

// lentBody is the content of an upload. The HTTP client may go on reading for a while behind an answer that came before
// all was sent: the memory that the content lies in is the caller's again by then, who may put other content there.
type lentBody struct {
	mu      sync.Mutex    // held while the content is read
	content io.ReadSeeker // nil when it was taken back
}

// Read implements io.Reader.
func (b *lentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.content == nil {
		return 0, errTakenBack
	}
	return b.content.Read(p)
}

// Seek implements io.Seeker.
func (b *lentBody) Seek(offset int64, whence int) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.content == nil {
		return 0, errTakenBack
	}
	return b.content.Seek(offset, whence)
}

// takeBack returns when nobody reads the content any more, nor will.
func (b *lentBody) takeBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content = nil
}
