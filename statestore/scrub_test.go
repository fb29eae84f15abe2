package statestore

import (
	"context"
	"errors"
	"testing"
	"time"

	"cairn/checkpoint"
)

// fakeClock is time that passes when somebody sleeps.
type fakeClock struct {
	now   time.Time
	slept int
	// stopAfter ends every sleep with errStopped from that one on, when it is not 0.
	stopAfter int
}

var errStopped = errors.New("stopped")

func newFakeClock() *fakeClock { return &fakeClock{now: time.UnixMilli(1_000_000)} }

func (c *fakeClock) options(interval time.Duration) ScrubOptions {
	return ScrubOptions{
		Interval: interval, Now: func() time.Time { return c.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			if c.slept++; c.stopAfter > 0 && c.slept >= c.stopAfter {
				return errStopped
			}
			c.now = c.now.Add(d)
			return ctx.Err()
		},
	}
}

func (c *fakeClock) stamp() checkpoint.Timestamp { return checkpoint.Timestamp(c.now.UnixMilli()) }

// fillForScrub stores chunks of every kind.
func fillForScrub(t *testing.T, s *Local) (chunks [][]byte) {
	t.Helper()
	for i := range uint64(10) {
		alone := [][]byte{noise(i, 100_000), prose(i, 100_000)}
		together := [][]byte{noise(100+i, 200), prose(100+i, 2000), noise(200+i, 300)}
		for _, data := range alone {
			if _, err := s.Put(t.Context(), data); err != nil {
				t.Fatal(err)
			}
		}
		if err := putTogether(s, together...); err != nil {
			t.Fatal(err)
		}
		chunks = append(append(chunks, alone...), together...)
	}
	return chunks
}

func TestScrubTakesItsInterval(t *testing.T) {
	s := mustOpenCrashFS(t, newCrashFS())
	fillForScrub(t, s)
	clock := newFakeClock()
	began := clock.now
	const interval = 10 * time.Second // the slowest rate would take twice as long
	for pass := 1; pass <= 2; pass++ {
		if err := s.Scrub(t.Context(), clock.options(interval)); err != nil {
			t.Fatal(err)
		}
		if took := clock.now.Sub(began); (took - time.Duration(pass)*interval).Abs() > interval/20 {
			t.Errorf("%d passes took %s, want %s each", pass, took, interval)
		}
		if p := s.ScrubProgress(); p != (checkpoint.ScrubProgress{CompletedAt: clock.stamp()}) {
			t.Errorf("behind the pass: %+v", p)
		}
	}
}

// A store that is soon read waits for the next pass.
func TestScrubWaitsForTheNextPass(t *testing.T) {
	s := mustOpenCrashFS(t, newCrashFS())
	fillForScrub(t, s)
	clock := newFakeClock()
	began := clock.now
	if err := s.Scrub(t.Context(), clock.options(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if took := clock.now.Sub(began); took < 10*time.Second || took > time.Minute {
		t.Errorf("at the slowest rate the pass took %s", took)
	}
	clock.stopAfter = clock.slept + 2
	if err := s.Scrub(t.Context(), clock.options(time.Hour)); !errors.Is(err, errStopped) {
		t.Fatal(err)
	}
	if p := s.ScrubProgress(); p.StartedAt != checkpoint.Timestamp(began.Add(time.Hour).UnixMilli()) {
		t.Errorf("the next pass: %+v, the first began at %d", p, began.UnixMilli())
	}
}

// A scrub that is interrupted again and again, with the process ending each time, reads every byte once.
func TestScrubGoesOnBehindARestart(t *testing.T) {
	fsys := newCrashFS()
	s, err := openLocal(fsys, crashDir, LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fillForScrub(t, s)
	stats, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	clock := newFakeClock()
	began := clock.stamp()
	reads := make(map[string]int)
	lives := 0
	for done := int64(-1); ; lives++ {
		fsys.fault = func(op, path string) error {
			if op == "read" && path != s.scrubState() {
				reads[path]++
			}
			return nil
		}
		clock.stopAfter = clock.slept + 5
		err := s.Scrub(t.Context(), clock.options(time.Hour))
		fsys.fault = nil
		if err == nil {
			break
		}
		if !errors.Is(err, errStopped) {
			t.Fatal(err)
		}
		p := s.ScrubProgress()
		if p.StartedAt != began || p.Done <= done || p.Total != stats.StoredBytes {
			t.Fatalf("life %d: %+v behind %d of %d bytes", lives, p, done, stats.StoredBytes)
		}
		done = p.Done
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = openLocal(fsys, crashDir, LocalOptions{}); err != nil {
			t.Fatal(err)
		}
		if again := s.ScrubProgress(); again != p {
			t.Fatalf("behind the restart %+v, before it %+v", again, p)
		}
	}
	if lives < 5 || len(reads) != 30 {
		t.Errorf("%d lives, %d of 30 files read", lives, len(reads))
	}
	for path, n := range reads {
		if n != 1 {
			t.Errorf("%s was read %d times", path, n)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedScrubStateStartsOver(t *testing.T) {
	state := scrubState{Running: true, BeganAt: 5, Done: 77, InPacks: true, Pack: 9}
	good, err := state.encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeScrubState(good); err != nil || got != state {
		t.Fatalf("%+v, %v", got, err)
	}
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1
		if got, err := decodeScrubState(bad); err == nil && i < len(good)-1 {
			t.Fatalf("byte %d: %+v", i, got)
		}
	}
	fsys := newCrashFS()
	mustOpenCrashFS(t, fsys)
	good[70] ^= 1
	writeUnsynced(t, fsys, crashDir+"/SCRUB", good)
	s := mustOpenCrashFS(t, fsys.afterKill())
	if p := s.ScrubProgress(); p != (checkpoint.ScrubProgress{}) {
		t.Errorf("%+v", p)
	}
	if err := s.Scrub(t.Context(), newFakeClock().options(time.Hour)); err != nil {
		t.Error(err)
	}
}

func TestScrubEnds(t *testing.T) {
	s, err := openLocal(newCrashFS(), crashDir, LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fillForScrub(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Scrub(ctx, newFakeClock().options(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	s.scrubbing.running.Lock()
	if err := s.Scrub(t.Context(), ScrubOptions{}); !errors.Is(err, ErrScrubbing) {
		t.Errorf("two at a time: %v", err)
	}
	s.scrubbing.running.Unlock()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Scrub(t.Context(), newFakeClock().options(time.Hour)); !errors.Is(err, ErrClosed) {
		t.Errorf("of a closed store: %v", err)
	}
}

func TestScrubRate(t *testing.T) {
	const week = 7 * 24 * time.Hour
	for _, tc := range []struct {
		left int64
		time time.Duration
		want int64
	}{
		{1 << 40, week, 1 << 40 / (7 * 24 * 3600)},
		{0, week, scrubMinRate},
		{1 << 20, week, scrubMinRate},
		{1 << 50, week, scrubMaxRate},
		{1, 0, scrubMaxRate},
		{1, -time.Second, scrubMaxRate},
		{1 << 30, time.Second, scrubMaxRate},
	} {
		if got := ScrubRate(tc.left, tc.time); got != tc.want {
			t.Errorf("%d bytes in %s: %d, want %d", tc.left, tc.time, got, tc.want)
		}
	}
}
