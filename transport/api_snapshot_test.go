package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"cairn/api"
)

// randomBytes returns n bytes, the same for every run.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// snapshots is a service that saves saved, and remembers what it was told to restore.
type snapshots struct {
	saved    []byte
	saveErr  error // after saved
	restored []byte
	readErr  error
	calls    atomic.Int32
}

var someInfo = api.SnapshotInfo{Version: 2, Index: 99, Term: 3, Size: 12345, SHA256: "ab", Jobs: 4, Checkpoints: 5, Savepoints: 6}

func (s *snapshots) service() *fakeService {
	return &fakeService{respond: func(_ context.Context, method string, argument any) (any, error) {
		s.calls.Add(1)
		if method == "SaveSnapshot" {
			// In writes of many sizes, none of which is that of a piece.
			if _, err := io.CopyBuffer(struct{ io.Writer }{argument.(io.Writer)}, iotest.HalfReader(bytes.NewReader(s.saved)), make([]byte, 100_000)); err != nil {
				return nil, err
			}
			return someInfo, s.saveErr
		}
		s.restored, s.readErr = io.ReadAll(argument.(io.Reader))
		return someInfo, s.readErr
	}}
}

func TestSnapshotsTravelBothWays(t *testing.T) {
	for _, size := range []int{0, 1, snapshotPiece, snapshotPiece + 1, MaxMessageSize + 12345} {
		s := &snapshots{saved: randomBytes(size)}
		c := client(t, ClientOptions{}, deadAddress(t), serve(t, ServerOptions{API: s.service()}))
		var saved bytes.Buffer
		info, err := c.SaveSnapshot(t.Context(), &saved)
		if err != nil || info != someInfo || !bytes.Equal(saved.Bytes(), s.saved) {
			t.Errorf("%d bytes: saved %d, %+v, %v", size, saved.Len(), info, err)
		}
		info, err = c.RestoreSnapshot(t.Context(), iotest.OneByteReader(bytes.NewReader(s.saved)))
		if err != nil || info != someInfo || !bytes.Equal(s.restored, s.saved) {
			t.Errorf("%d bytes: restored %d, %+v, %v", size, len(s.restored), info, err)
		}
	}
}

func TestSaveSnapshotThatBreaksOff(t *testing.T) {
	first := &snapshots{saved: randomBytes(snapshotPiece + 1), saveErr: api.Errorf(api.Internal, "disk fault")}
	second := &snapshots{saved: []byte("whole")}
	addresses := []string{serve(t, ServerOptions{API: first.service()}), serve(t, ServerOptions{API: second.service()})}
	var saved bytes.Buffer
	_, err := client(t, ClientOptions{}, addresses...).SaveSnapshot(t.Context(), &saved)
	if api.CodeOf(err) != api.Internal || !strings.Contains(err.Error(), "broke off after 524288 bytes: disk fault") || second.calls.Load() != 0 {
		t.Errorf("%v; the second coordinator was asked %d times", err, second.calls.Load())
	}

	first.saved, first.saveErr = nil, api.Errorf(api.Unavailable, "no leader")
	saved.Reset()
	if _, err := client(t, ClientOptions{}, addresses...).SaveSnapshot(t.Context(), &saved); err != nil || saved.String() != "whole" {
		t.Errorf("nothing was written yet, but the second coordinator was not asked: %q, %v", saved.String(), err)
	}
}

func TestSaveSnapshotNobodyTakes(t *testing.T) {
	s := &snapshots{saved: randomBytes(3 * snapshotPiece)}
	c := client(t, ClientOptions{}, serve(t, ServerOptions{API: s.service()}))
	_, err := c.SaveSnapshot(t.Context(), brokenWriter{})
	if api.CodeOf(err) != api.Internal || !strings.Contains(err.Error(), "writing it: disk full") {
		t.Errorf("got %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// A snapshot that cannot be read to its end must not look whole to the coordinator.
func TestRestoreSnapshotThatBreaksOff(t *testing.T) {
	read := make(chan error, 1)
	address := serve(t, ServerOptions{API: &fakeService{respond: func(_ context.Context, _ string, argument any) (any, error) {
		_, err := io.Copy(io.Discard, argument.(io.Reader))
		read <- err
		return api.SnapshotInfo{}, err
	}}})
	r := io.MultiReader(bytes.NewReader(randomBytes(2*snapshotPiece)), iotest.ErrReader(errors.New("bad sector")))
	_, err := client(t, ClientOptions{}, address).RestoreSnapshot(t.Context(), r)
	if api.CodeOf(err) != api.Invalid || !strings.Contains(err.Error(), "reading it: bad sector") {
		t.Errorf("got %v", err)
	}
	if err := wait(t, "the coordinator's reader", read); err == nil {
		t.Error("the coordinator took a part for the whole")
	}
}

// The coordinator's reason arrives also when it reads nothing.
func TestRestoreSnapshotRefused(t *testing.T) {
	refuse := serve(t, ServerOptions{API: failing(api.Errorf(api.Conflict, "not now"))})
	other := &snapshots{}
	c := client(t, ClientOptions{}, refuse, serve(t, ServerOptions{API: other.service()}))
	_, err := c.RestoreSnapshot(t.Context(), bytes.NewReader(randomBytes(MaxMessageSize)))
	if api.CodeOf(err) != api.Conflict || err.Error() != "not now" || other.calls.Load() != 0 {
		t.Errorf("%v; the other coordinator was asked %d times", err, other.calls.Load())
	}
}
