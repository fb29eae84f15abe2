// Package s3server runs a real S3 server for tests: versitygw, built by "make test-s3", over a temporary directory.
package s3server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Binary is the environment variable that names the server's binary.
const Binary = "CAIRN_TEST_S3"

const (
	// Bucket is the bucket that a Server has.
	Bucket = "cairn-test"
	// AccessKey and SecretKey are the credentials that it knows.
	AccessKey = "test-access"
	SecretKey = "test-secret"

	startLimit = 30 * time.Second
)

// Server is a running server. It is for one goroutine.
type Server struct {
	Endpoint string // http://HOST:PORT or https://HOST:PORT
	// CA is the file of the certificate authority, for AWS_CA_BUNDLE; empty without TLS.
	CA string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	log  *lockedBuffer
}

// Start starts a server for the length of the test, with TLS if asked to. It skips the test when there is no binary.
func Start(t *testing.T, withTLS bool) *Server {
	t.Helper()
	binary := os.Getenv(Binary)
	if binary == "" {
		t.Skipf("%s is not set: no S3 server to test with; make test-s3 builds one and sets it", Binary)
	}
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, Bucket), 0o750); err != nil {
		t.Fatal(err)
	}
	s := &Server{done: make(chan struct{}), log: &lockedBuffer{}}
	address := freeAddress(t)
	args := []string{"--port", address, "--access", AccessKey, "--secret", SecretKey, "--quiet", "--keep-alive"}
	s.Endpoint = "http://" + address
	if withTLS {
		cert := newCertificate(t)
		args = append(args, "--cert", cert.certificate, "--key", cert.key)
		s.Endpoint, s.CA = "https://"+address, cert.authority
	}
	s.cmd = exec.Command(binary, append(args, "posix", data)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended does not matter: it was killed, or the log says why
		close(s.done)
	}()
	t.Cleanup(s.Kill)
	if err := s.await(address); err != nil {
		t.Fatalf("%v; it printed:\n%s", err, s.log)
	}
	return s
}

// await waits until the server listens. One with data in a directory without extended attributes ends at once.
func (s *Server) await(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return errors.New("the S3 server ended at once: does the temporary directory have extended attributes?")
		case <-ctx.Done():
			return fmt.Errorf("the S3 server does not listen after %s: %w", startLimit, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// URL is the --store of a part of the bucket.
func (s *Server) URL(prefix string) string {
	return fmt.Sprintf("s3://%s/%s?endpoint=%s", Bucket, prefix, s.Endpoint)
}

// Environment returns the variables that a process needs to use the server, as NAME=VALUE.
func (s *Server) Environment() []string {
	return []string{"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey, "AWS_SESSION_TOKEN=", "AWS_CA_BUNDLE=" + s.CA}
}

// Use sets these variables for the length of the test.
func (s *Server) Use(t *testing.T) {
	t.Helper()
	for _, pair := range s.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		t.Setenv(name, value)
	}
}

// Kill ends the server at once, as a crash would, and waits until it is gone. Killing it twice is fine.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill() // it has ended otherwise
	<-s.done
}

// freeAddress returns an address of this machine on which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// lockedBuffer is what the server has printed.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
