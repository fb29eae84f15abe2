package main

import (
	"context"
	"sync/atomic"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// stretch is how many records a stopwatch measures at a time.
const stretch = 10_000

// stopwatch is a sink that measures how long stretches of records take, and notes when it is asked to pre-commit. It has
// one subtask.
type stopwatch struct {
	records atomic.Int64
	// Both have capacity 1 and are never closed. What finds no room is dropped.
	laps   chan time.Duration // stretches
	behind chan afterSnapshot // one for each snapshot

	// The rest belongs to the task.
	began    time.Time // when the task has begun the capture
	started  time.Time // of the stretch
	left     int       // records of the stretch
	snapshot *afterSnapshot
}

// afterSnapshot is a snapshot and the first stretch behind it.
type afterSnapshot struct {
	pause   time.Duration // of the capture
	stretch time.Duration
}

func newStopwatch() *stopwatch {
	return &stopwatch{laps: make(chan time.Duration, 1), behind: make(chan afterSnapshot, 1)}
}

// lap measures a stretch that has no snapshot in it.
func (s *stopwatch) lap(ctx context.Context) (took time.Duration, err error) {
	for range 3 { // one of long ago, one that may have begun before a standstill, one that counts
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case took = <-s.laps:
		}
	}
	return took, nil
}

// lapBehind waits for the stretch behind a snapshot.
func (s *stopwatch) lapBehind(ctx context.Context) (afterSnapshot, error) {
	select {
	case <-ctx.Done():
		return afterSnapshot{}, ctx.Err()
	case l := <-s.behind:
		return l, nil
	}
}

func (s *stopwatch) Open(dataflow.SinkContext) (dataflow.SinkWriter[int64], error) { return s, nil }
func (s *stopwatch) Recover(context.Context, [][]byte) error                       { return nil }

func (s *stopwatch) Write(int64) error {
	s.records.Add(1)
	if s.left--; s.left <= 0 {
		s.turn()
	}
	return nil
}

func (s *stopwatch) turn() {
	now := time.Now()
	took := now.Sub(s.started)
	if s.snapshot != nil {
		s.snapshot.stretch = took
		offer(s.behind, *s.snapshot)
	} else {
		offer(s.laps, took)
	}
	s.started, s.left, s.snapshot = now, stretch, nil
}

func offer[T any](c chan<- T, v T) {
	select {
	case c <- v:
	default:
	}
}

// PreCommit is called at the end of the capture, as the sink is the last operator of its chain.
func (s *stopwatch) PreCommit(context.Context, checkpoint.ID) ([]byte, error) {
	now := time.Now()
	s.snapshot = &afterSnapshot{pause: now.Sub(s.began)}
	s.started, s.left = now, stretch
	return nil, nil
}

func (s *stopwatch) Commit(context.Context, []byte) error { return nil }
func (s *stopwatch) Close() error                         { return nil }
