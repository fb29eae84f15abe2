package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/internal/s3server"
	"cairn/statestore"
	"cairn/statestore/objectstore"
	"cairn/statestore/storetest"
)

func open(t *testing.T, url string) statestore.Objects {
	t.Helper()
	at, err := objectstore.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := objectstore.Open(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// inBucket opens a part of the bucket of its own each time.
func inBucket(server *s3server.Server) func(*testing.T) statestore.Objects {
	var last atomic.Int64
	return func(t *testing.T) statestore.Objects {
		t.Helper()
		return open(t, server.URL(fmt.Sprintf("part/%d", last.Add(1))))
	}
}

func TestBucketConforms(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", withTLS), func(t *testing.T) {
			server := s3server.Start(t, withTLS)
			server.Use(t)
			storetest.RunObjects(t, inBucket(server))
		})
	}
}

func TestSharedInABucketConforms(t *testing.T) {
	server := s3server.Start(t, false)
	server.Use(t)
	storetest.RunShared(t, inBucket(server))
}

func put(t *testing.T, objects statestore.Objects, key string, data []byte) {
	t.Helper()
	if err := objects.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

// A list of more than a page is whole, and in order.
func TestBucketListsInPages(t *testing.T) {
	server := s3server.Start(t, false)
	server.Use(t)
	objects := open(t, server.URL("pages"))
	const count = 2100
	for i := range count {
		put(t, objects, fmt.Sprintf("chunks/%02x/%04d", i%7, i), nil)
	}
	seen, last := 0, ""
	for object, err := range objects.List(t.Context(), "chunks/") {
		if err != nil {
			t.Fatal(err)
		}
		if object.Key <= last {
			t.Fatalf("%s behind %s", object.Key, last)
		}
		seen, last = seen+1, object.Key
	}
	if seen != count {
		t.Errorf("%d objects of %d are listed", seen, count)
	}
}

// Two parts of a bucket know nothing of each other.
func TestPartsOfABucketAreApart(t *testing.T) {
	server := s3server.Start(t, false)
	server.Use(t)
	a, b, whole := open(t, server.URL("a")), open(t, server.URL("b/c")), open(t, server.URL(""))
	put(t, a, "x/y", []byte("of a"))
	if _, err := b.Head(t.Context(), "x/y"); !errors.Is(err, statestore.ErrNoObject) {
		t.Errorf("the other part has it: %v", err)
	}
	if data, err := whole.Read(t.Context(), "a/x/y", 0, 100); err != nil || string(data) != "of a" {
		t.Errorf("the whole bucket has %q, %v", data, err)
	}
}

// What cannot work says at the start what is wrong and where, without secrets, and does not try for long.
func TestBucketThatCannotBeUsed(t *testing.T) {
	server, secure := s3server.Start(t, false), s3server.Start(t, true)
	for name, test := range map[string]struct {
		url  string
		env  map[string]string
		want []string
	}{
		"wrong secret":    {server.URL("x"), map[string]string{"AWS_SECRET_ACCESS_KEY": "not-it-at-all"}, []string{"cannot be used: writing", "SignatureDoesNotMatch"}},
		"unknown key":     {server.URL("x"), map[string]string{"AWS_ACCESS_KEY_ID": "nobody"}, []string{"cannot be used: writing", "refused"}},
		"no such bucket":  {strings.Replace(server.URL("x"), s3server.Bucket, "no-such-bucket", 1), nil, []string{"cannot be used: writing", "NoSuchBucket"}},
		"unknown CA":      {secure.URL("x"), nil, []string{"cannot be used: writing", "unknown authority", "AWS_CA_BUNDLE"}},
		"http, not https": {strings.Replace(server.URL("x"), "http:", "https:", 1), nil, []string{"cannot be used: writing", "HTTP response to HTTPS client"}},
		"nobody there":    {"s3://bucket/x?endpoint=http://127.0.0.1:1", nil, []string{"cannot be used: writing", "connection refused"}},
	} {
		t.Run(name, func(t *testing.T) {
			server.Use(t)
			for variable, value := range test.env {
				t.Setenv(variable, value)
			}
			objects := open(t, test.url)
			started := time.Now()
			_, err := statestore.OpenShared(t.Context(), objects, statestore.SharedOptions{Node: checkpoint.NodeRef{ID: "n1", Incarnation: 1}})
			if err == nil {
				t.Fatal("it was opened")
			}
			for _, want := range append(test.want, objects.Name()) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			for _, secret := range []string{"not-it-at-all", s3server.SecretKey} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error says the secret: %v", err)
				}
			}
			if took := time.Since(started); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// secondTime is content that breaks in the middle when it is read the second time, while it is being sent.
type secondTime struct {
	*bytes.Reader
	again bool
}

func (s *secondTime) Seek(offset int64, whence int) (int64, error) {
	s.again = true
	return s.Reader.Seek(offset, whence)
}

func (s *secondTime) Read(p []byte) (int, error) {
	if s.again && int64(s.Len()) < s.Size()/2 {
		return 0, errors.New("the source broke")
	}
	return s.Reader.Read(p[:min(len(p), 1000)])
}

// An upload that breaks while it is sent leaves nothing, also where the server cannot tell that from its end.
func TestUploadThatBreaks(t *testing.T) {
	for _, withTLS := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%t", withTLS), func(t *testing.T) {
			server := s3server.Start(t, withTLS)
			server.Use(t)
			objects := open(t, server.URL("broken"))
			data := storetest.Chunk(1, 1<<20)
			// Nothing but Read and Seek: the methods of a bytes.Reader do not break.
			content := struct{ io.ReadSeeker }{&secondTime{Reader: bytes.NewReader(data)}}
			if err := objects.Put(t.Context(), "a/b", content, int64(len(data))); err == nil {
				t.Error("it was acknowledged")
			}
			for range 20 { // the server may be at it still
				if info, err := objects.Head(t.Context(), "a/b"); !errors.Is(err, statestore.ErrNoObject) {
					t.Fatalf("it left %+v, %v", info, err)
				}
			}
			put(t, objects, "a/b", data)
		})
	}
}

// killAt kills the server when so many bytes have been read the second time, to be sent.
type killAt struct {
	*bytes.Reader
	server *s3server.Server
	at     int64
	again  bool
}

func (k *killAt) Seek(offset int64, whence int) (int64, error) {
	k.again = true
	return k.Reader.Seek(offset, whence)
}

func (k *killAt) Read(p []byte) (int, error) {
	if k.again && k.Size()-int64(k.Len()) >= k.at {
		k.server.Kill()
	}
	return k.Reader.Read(p)
}

// A server that dies in the middle of an upload, and is gone from then on, makes for errors soon.
func TestServerDies(t *testing.T) {
	server := s3server.Start(t, false)
	server.Use(t)
	objects := open(t, server.URL("dying"))
	shared, err := statestore.OpenShared(t.Context(), objects, statestore.SharedOptions{Node: checkpoint.NodeRef{ID: "n1", Incarnation: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := shared.Put(t.Context(), storetest.Chunk(1, 1000))
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	data := storetest.Chunk(2, 32<<20)
	if err := objects.Put(t.Context(), "big", struct{ io.ReadSeeker }{&killAt{Reader: bytes.NewReader(data), server: server, at: 8 << 20}}, int64(len(data))); err == nil {
		t.Error("an upload to a server that died was acknowledged")
	}
	_, putErr := shared.Put(t.Context(), storetest.Chunk(3, 1000))
	_, getErr := shared.Get(t.Context(), ref)
	_, hasErr := shared.Has(t.Context(), ref)
	_, _, deleteErr := shared.Delete(t.Context(), []checkpoint.ChunkID{ref.ID}, func(checkpoint.ChunkID) bool { return false })
	var listErr error
	for _, err := range shared.List(t.Context()) {
		listErr = err
	}
	for call, err := range map[string]error{"Put": putErr, "Get": getErr, "Has": hasErr, "Delete": deleteErr, "List": listErr} {
		if err == nil || errors.Is(err, statestore.ErrNotFound) {
			t.Errorf("%s of a server that is gone: %v", call, err)
		}
	}
	if took := time.Since(started); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

// A server that takes requests and never answers does not hold anybody up who has a deadline.
func TestSilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			go io.Copy(io.Discard, conn)
		}
	}()
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	objects := open(t, "s3://bucket/x?endpoint=http://"+l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := objects.Put(ctx, "a", bytes.NewReader([]byte("x")), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Put: %v", err)
	}
	for _, err := range objects.List(ctx, "") {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("List: %v", err)
		}
	}
}
