// Package socket reads lines from a TCP connection, for a quick try:
//
//	nc -lk 9999
//
// What comes through a socket comes once. The source keeps no position, and after a failure the records since the last
// completed checkpoint are lost: at most once, and no more can be had without something that keeps the input. It also
// loses what the other side had sent when a connection breaks. Use it to look at a job, not to run one.
//
// There is one connection, so the source runs with parallelism 1.
package socket

import (
	"context"
	"fmt"
	"net"
	"time"

	"cairn/dataflow"
)

// DefaultMaxLine is the length in bytes, line end included, beyond which a line is an error.
const DefaultMaxLine = 64 << 10

// Source reads lines from a TCP connection. It is not changed after New and safe for concurrent use.
type Source struct {
	address     string
	maxLine     int
	untilClosed bool
	firstPause  time.Duration
	mostPause   time.Duration
	dial        func(ctx context.Context, address string) (net.Conn, error)
}

var _ dataflow.Source[string] = (*Source)(nil)

// Option changes a Source.
type Option func(*Source)

// MaxLine sets the length in bytes, line end included, beyond which a line is an error.
func MaxLine(bytes int) Option { return func(s *Source) { s.maxLine = bytes } }

// UntilClosed ends the stream when the other side closes the connection. Without it the source connects again, without
// end.
func UntilClosed() Option { return func(s *Source) { s.untilClosed = true } }

// Backoff sets how long the source waits before it connects again: first after a connection that gave a line, then
// twice as long each time, up to most. The default is from 100 ms to 10 s.
func Backoff(first, most time.Duration) Option {
	return func(s *Source) { s.firstPause, s.mostPause = first, most }
}

// New returns a source of the lines, without their line ends, that come from a TCP address, host:port.
func New(address string, opts ...Option) *Source {
	var d net.Dialer
	s := &Source{
		address: address, maxLine: DefaultMaxLine, firstPause: 100 * time.Millisecond, mostPause: 10 * time.Second,
		dial: func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) },
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// Open starts to connect. What cannot be connected to is tried again and again.
func (s *Source) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[string], error) {
	if err := s.validate(ctx.Parallelism); err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("socket source of %s: %w", s.address, err))
	}
	if ctx.Restored {
		ctx.Logger.Warn("a socket cannot be read again: what it gave after the checkpoint is lost", "address", s.address)
	}
	r := &reader{source: s, log: ctx.Logger, enough: ctx.Enough, lines: make(chan string, queuedLines), ready: make(chan struct{}, 1)}
	r.start()
	return r, nil
}

func (s *Source) validate(parallelism int) error {
	if _, _, err := net.SplitHostPort(s.address); err != nil {
		return fmt.Errorf("want an address host:port: %w", err)
	}
	switch {
	case parallelism != 1:
		return fmt.Errorf("its parallelism is %d: want 1, dataflow.Parallelism(1), since there is one connection", parallelism)
	case s.maxLine < 1:
		return fmt.Errorf("MaxLine is %d: want at least 1", s.maxLine)
	case s.firstPause <= 0 || s.mostPause < s.firstPause:
		return fmt.Errorf("Backoff is from %s to %s: want more than 0, and the second not below the first", s.firstPause, s.mostPause)
	}
	return nil
}
