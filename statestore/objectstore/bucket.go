package objectstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"cairn/statestore"
)

// maxReads is how often a request that changes nothing is tried.
const maxReads = 4

// bucket is an S3-compatible bucket, or the part of one below a prefix. Objects are sent whole, in one request each: they
// have a known size, and an upload that is cut off leaves nothing.
type bucket struct {
	at Location
	// reads tries again what failed, changes does not: who stores or deletes decides what to do then.
	reads, changes *minio.Client
}

var _ statestore.Objects = (*bucket)(nil)

func openBucket(l Location) (*bucket, error) {
	id, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if id == "" || secret == "" {
		return nil, fmt.Errorf("%s: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set in the environment", l)
	}
	transport, err := newTransport(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	client := func(tries int) (*minio.Client, error) {
		return minio.New(l.endpoint.Host, &minio.Options{
			Creds:  credentials.NewStaticV4(id, secret, os.Getenv("AWS_SESSION_TOKEN")),
			Secure: l.endpoint.Scheme == "https", Transport: transport,
			Region:       l.region, // known, so that it is not asked for
			BucketLookup: minio.BucketLookupPath, MaxRetries: tries,
		})
	}
	b := &bucket{at: l}
	if b.reads, err = client(maxReads); err != nil {
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	if b.changes, err = client(1); err != nil {
		return nil, fmt.Errorf("%s: %w", l, err)
	}
	return b, nil
}

// Name implements statestore.Objects.
func (b *bucket) Name() string { return b.at.String() }

// Put implements statestore.Objects. The content's hash is signed and sent ahead, and the server checks what has arrived
// against it. A server may otherwise take a connection that breaks for the end of the object.
func (b *bucket) Put(ctx context.Context, key string, content io.ReadSeeker, size int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	sum, err := hashOf(content, size)
	if err != nil {
		return b.failed(ctx, "put", key, err)
	}
	body := &lentBody{content: content}
	defer body.takeBack()
	_, err = minio.Core{Client: b.changes}.PutObject(ctx, b.at.bucket, b.at.prefix+key, body, size, "", sum, minio.PutObjectOptions{
		ContentType: "application/octet-stream", DisableContentSha256: true, // it is not to be hashed again as it is sent
	})
	return b.failed(ctx, "put", key, err)
}

// hashOf returns the SHA-256 of the content, in hexadecimal digits, and leaves it at its beginning.
func hashOf(content io.ReadSeeker, size int64) (string, error) {
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(content, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("the content has not the %d bytes that it should have", size)
	}
	if err == nil {
		_, err = content.Seek(0, io.SeekStart)
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// Read implements statestore.Objects. A body that ends early is asked for again.
func (b *bucket) Read(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	for tries := 1; ; tries++ {
		var begun bool
		data, begun, err = b.readOnce(ctx, key, offset, length)
		if err == nil || !begun || tries == maxReads || ctx.Err() != nil {
			return data, b.failed(ctx, "read", key, err)
		}
	}
}

// readOnce reports with begun that the server had begun to send the content.
func (b *bucket) readOnce(ctx context.Context, key string, offset, length int64) (data []byte, begun bool, err error) {
	var opts minio.GetObjectOptions
	if offset > 0 {
		if err := opts.SetRange(offset, offset+max(length, 1)-1); err != nil {
			return nil, false, err
		}
	}
	body, info, _, err := minio.Core{Client: b.reads}.GetObject(ctx, b.at.bucket, b.at.prefix+key, opts)
	if err != nil {
		if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
			return []byte{}, false, nil // it ends before the offset
		}
		return nil, false, err
	}
	data, err = readBody(body, info.Size, length)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, true, err
	}
	return data, true, nil
}

// readBody returns up to length bytes of a body that is said to have size bytes, or -1 when that is not said.
func readBody(body io.Reader, size, length int64) ([]byte, error) {
	if size < 0 {
		return io.ReadAll(io.LimitReader(body, length))
	}
	data := make([]byte, min(size, length))
	_, err := io.ReadFull(body, data)
	return data, err
}

// Head implements statestore.Objects.
func (b *bucket) Head(ctx context.Context, key string) (statestore.ObjectInfo, error) {
	info, err := b.reads.StatObject(ctx, b.at.bucket, b.at.prefix+key, minio.StatObjectOptions{})
	if err != nil {
		return statestore.ObjectInfo{}, b.failed(ctx, "look up", key, err)
	}
	return statestore.ObjectInfo{Key: key, Size: info.Size}, nil
}

// List implements statestore.Objects. It holds a page of a thousand objects in memory.
func (b *bucket) List(ctx context.Context, prefix string) iter.Seq2[statestore.ObjectInfo, error] {
	return func(yield func(statestore.ObjectInfo, error) bool) {
		withOwner := false
		opts := minio.ListObjectsOptions{Prefix: b.at.prefix + prefix, Recursive: true, FetchOwner: &withOwner}
		for object := range b.reads.ListObjectsIter(ctx, b.at.bucket, opts) {
			if object.Err != nil {
				yield(statestore.ObjectInfo{}, b.failed(ctx, "list", prefix, object.Err))
				return
			}
			if !yield(statestore.ObjectInfo{Key: strings.TrimPrefix(object.Key, b.at.prefix), Size: object.Size}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(statestore.ObjectInfo{}, err) // the library just ends
		}
	}
}

// Delete implements statestore.Objects.
func (b *bucket) Delete(ctx context.Context, key string) error {
	err := b.changes.RemoveObject(ctx, b.at.bucket, b.at.prefix+key, minio.RemoveObjectOptions{})
	if err = b.failed(ctx, "delete", key, err); errors.Is(err, statestore.ErrNoObject) {
		return nil
	}
	return err
}
