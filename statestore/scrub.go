package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"cairn/checkpoint"
)

// DefaultScrubInterval is the time in which every copy is read again unless ScrubOptions say otherwise.
const DefaultScrubInterval = 7 * 24 * time.Hour

// scrubSaveInterval is how much of a pass is done again at most after the process has ended.
const scrubSaveInterval = 5 * time.Minute

// ErrScrubbing says that a scrub of the store is under way already.
var ErrScrubbing = errors.New("a scrub is under way")

// ScrubOptions says how Scrub goes about. Zero fields get their defaults.
type ScrubOptions struct {
	// Interval is how long a pass takes, and how long after the beginning of one the next begins.
	Interval time.Duration
	// Now is the clock, Sleep waits for a time or for ctx. The default is real time.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
}

func (o ScrubOptions) withDefaults() ScrubOptions {
	if o.Interval <= 0 {
		o.Interval = DefaultScrubInterval
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return o
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scrubbing is what is known of a store's scrubs.
type scrubbing struct {
	running sync.Mutex // held by the one that is under way

	mu    sync.Mutex
	state scrubState
}

func (s *scrubbing) get() scrubState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

func (s *scrubbing) change(f func(*scrubState)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.state)
}

// ScrubProgress says how far reading all chunks again has come, in the bytes that are stored.
func (l *Local) ScrubProgress() checkpoint.ScrubProgress {
	s := l.scrubbing.get()
	p := checkpoint.ScrubProgress{CompletedAt: s.CompletedAt, Corrupt: s.Corrupt}
	if s.Running {
		p.StartedAt, p.Done, p.Total = s.BeganAt, s.Done, max(s.Done, l.index.stats().StoredBytes)
	}
	return p
}

// Scrub makes one pass over the store: it reads every copy and checks it, at such a pace that the pass takes
// opts.Interval. Bad copies go to quarantine and are told to LocalOptions.OnChange. A pass that was interrupted, be it by
// the end of the process, goes on where it was; otherwise Scrub first waits until opts.Interval has passed since the
// beginning of the last one. To scrub all the time, call it in a loop. It returns nil at the end of a pass, ctx's error,
// ErrClosed, or ErrScrubbing. It does not keep the store from being closed.
func (l *Local) Scrub(ctx context.Context, opts ScrubOptions) error {
	if !l.scrubbing.running.TryLock() {
		return fmt.Errorf("state store %s: %w", l.dir, ErrScrubbing)
	}
	defer l.scrubbing.running.Unlock()
	s := &scrub{Local: l, opts: opts.withDefaults()}
	s.pace = pacer{now: s.opts.Now, sleep: s.opts.Sleep}
	if err := s.start(ctx); err != nil {
		return err
	}
	err := s.pass(ctx)
	if err == nil {
		l.scrubbing.change(func(st *scrubState) { st.complete(s.now()) })
		l.log.Info("all chunks were read again", "path", l.dir, "corrupt", l.scrubbing.get().Corrupt)
	}
	return errors.Join(err, s.save())
}

// scrub is one call of Scrub.
type scrub struct {
	*Local
	opts  ScrubOptions
	pace  pacer
	saved time.Time
}

func (s *scrub) now() checkpoint.Timestamp { return checkpoint.Timestamp(s.opts.Now().UnixMilli()) }

// start begins a pass when it is due, unless one is to be resumed.
func (s *scrub) start(ctx context.Context) error {
	state := s.scrubbing.get()
	if !state.Running {
		due := time.UnixMilli(int64(min(state.BeganAt, s.now()))).Add(s.opts.Interval)
		if wait := due.Sub(s.opts.Now()); state.BeganAt != 0 && wait > 0 {
			if err := s.opts.Sleep(ctx, wait); err != nil {
				return err
			}
		}
		s.scrubbing.change(func(st *scrubState) { st.begin(s.now()) })
	}
	s.saved = s.opts.Now()
	return ctx.Err()
}

// pass reads everything behind the position: first the files of single chunks, in the order of their IDs, then the
// packs. What is stored during the pass may or may not be read in it.
func (s *scrub) pass(ctx context.Context) error {
	at := s.scrubbing.get()
	for n := int(at.Chunk[0]); n < numShards && !at.InPacks; n++ {
		for _, e := range s.index.looseBehind(byte(n), at.Chunk) {
			if err := s.unit(ctx, int64(e.at.stored), func() (int, error) { return s.checkChunk(ctx, e.id) }); err != nil {
				return err
			}
			s.scrubbing.change(func(st *scrubState) { st.Chunk = e.id })
		}
	}
	s.scrubbing.change(func(st *scrubState) { st.InPacks = true })
	for _, number := range s.index.packsBehind(at.Pack) {
		info, found := s.index.packInfo(number)
		if !found {
			continue
		}
		if err := s.unit(ctx, info.bytes, func() (int, error) { return s.checkPack(ctx, number, info) }); err != nil {
			return err
		}
		s.scrubbing.change(func(st *scrubState) { st.Pack = number })
	}
	return ctx.Err()
}

// unit reads one file, when it is time to.
func (s *scrub) unit(ctx context.Context, size int64, check func() (bad int, err error)) error {
	state := s.scrubbing.get()
	left := max(size, s.index.stats().StoredBytes-state.Done)
	deadline := time.UnixMilli(int64(state.BeganAt)).Add(s.opts.Interval)
	if err := s.pace.wait(ctx, size, ScrubRate(left, deadline.Sub(s.opts.Now()))); err != nil {
		return err
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.running.Done()
	bad, err := check()
	if err != nil {
		return err
	}
	s.scrubbing.change(func(st *scrubState) {
		st.Done += size
		st.Found += int64(bad)
	})
	if now := s.opts.Now(); now.Sub(s.saved) >= scrubSaveInterval {
		s.saved = now
		if err := s.saveScrub(); err != nil {
			s.log.Warn("how far the scrub has come could not be noted", "path", s.scrubState(), "error", err)
		}
	}
	return nil
}

// checkChunk reads a chunk in a file of its own. One that cannot be read for the moment is left for the next pass.
func (s *scrub) checkChunk(ctx context.Context, id checkpoint.ChunkID) (bad int, err error) {
	at, found := s.index.lookup(id)
	if !found || s.checkAt(id, at) == nil {
		return 0, nil
	}
	wasBad, err := s.examine(ctx, id)
	if wasBad {
		bad = 1
	}
	return bad, err
}

// checkPack reads a pack, its directory and what lives in it. A pack with damage is written anew, without what is bad.
func (s *scrub) checkPack(ctx context.Context, number uint64, info packInfo) (bad int, err error) {
	size := min(info.bytes, int64(maxPackFile)) + 1
	scratch := borrow(int(size))
	defer scratch.giveBack()
	n, err := s.fs.ReadAt(s.pack(number), scratch.bytes[:size], 0)
	if err != nil && !isMediumError(err) && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("a pack cannot be read at the moment", "path", s.pack(number), "error", err)
		return 0, nil
	}
	if _, still := s.index.packInfo(number); !still {
		return 0, nil
	}
	file := scratch.bytes[:n]
	entries, err := decodePack(file, number)
	if err != nil || int64(n) > info.bytes {
		s.log.Warn("a pack is damaged beside its chunks, and is written anew", "path", s.pack(number), "error", err)
		s.index.damage(number)
		entries, bad = s.index.inPack(number), 1
	}
	for _, e := range entries {
		if at, found := s.index.lookup(e.id); !found || at != e.at {
			continue // dead
		}
		if _, good := storedIn(file, e); good {
			continue
		}
		wasBad, err := s.examine(ctx, e.id)
		if err != nil {
			return bad, err
		}
		if wasBad {
			bad++
		}
	}
	if now, _ := s.index.packInfo(number); now.dirty() {
		if err := s.rewritePacks(ctx); err != nil {
			s.log.Warn("a damaged pack could not be written anew", "path", s.pack(number), "error", err)
		}
	}
	return bad, nil
}

// save notes how far the scrub has come, unless the store is closed.
func (s *scrub) save() error {
	if s.begin() != nil {
		return nil
	}
	defer s.running.Done()
	return s.saveScrub()
}
