package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

const (
	progressInterval = 500 * time.Millisecond
	clearLine        = "\r\x1b[K"
)

// watchCheckpoint shows on a terminal how far the newest pending checkpoint of a kind has come, until the function
// that it returns is called. That waits for the line to be gone.
func (s session) watchCheckpoint(ctx context.Context, job string, kind checkpoint.Kind) (stop func()) {
	if !s.interactive {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{}) // closed when the goroutine has ended
	go func() {
		defer close(done)
		ticks := time.NewTicker(progressInterval)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
			}
			if line := s.progressOf(ctx, job, kind); line != "" && ctx.Err() == nil {
				fmt.Fprint(s.err, clearLine+line)
			}
		}
	}()
	return func() {
		cancel()
		<-done
		fmt.Fprint(s.err, clearLine)
	}
}

// progressOf says how far the checkpoint has come, or nothing when there is nothing to say: progress is for people,
// and an error of these questions is nobody's.
func (s session) progressOf(ctx context.Context, job string, kind checkpoint.Kind) string {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	checkpoints, err := s.service.ListCheckpoints(ctx, job)
	if err != nil {
		return ""
	}
	for _, c := range checkpoints { // newest first
		if c.Status != inProgress || c.Kind != kind.String() {
			continue
		}
		line := fmt.Sprintf("%s %d: %s subtasks after %s", c.Kind, c.ID, acknowledged(c), duration(c.EndToEndDurationMillis))
		detail, err := s.service.ShowCheckpoint(ctx, job, c.ID)
		if err == nil && detail.Slowest != nil {
			line += ", waiting for " + slowestText(*detail.Slowest)
		}
		return line
	}
	return fmt.Sprintf("waiting for the %s to begin", kind)
}

// progressLine returns a function that shows on a terminal how much of a transfer is done, now and then, and how fast it
// goes, and one that takes the line away. Neither may be called from two goroutines at once.
func (s session) progressLine(what string) (show func(done, total int64), clear func()) {
	if !s.interactive {
		return func(int64, int64) {}, func() {}
	}
	began := s.now()
	next := began.Add(progressInterval)
	show = func(done, total int64) {
		if now := s.now(); now.After(next) {
			next = now.Add(progressInterval)
			rate := size(int64(float64(done) / now.Sub(began).Seconds()))
			fmt.Fprintf(s.err, "%s%s: %s %s of %s, %s/s", clearLine, what, bar(done, total), size(done), size(total), rate)
		}
	}
	return show, func() { fmt.Fprint(s.err, clearLine) }
}

// barWidth is that of a progress bar, without its ends.
const barWidth = 20

// bar draws how much of a whole is done.
func bar(done, total int64) string {
	full := barWidth
	if total > 0 {
		full = int(float64(min(done, total)) / float64(total) * barWidth)
	}
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full) + "]"
}

// slowestText names a subtask, its phase and how long that takes.
func slowestText(s api.SlowestSubtask) string {
	node := ""
	if s.Node != "" {
		node = " on " + s.Node
	}
	return fmt.Sprintf("%s%s: %s in %s", s.ID, node, duration(s.Millis), s.Phase)
}
