package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"cairn/dataflow"
)

const (
	// queuedLines is how many lines may wait for the task; TCP's flow control holds back the others.
	queuedLines = 256
	// linesPerCall bounds how long a checkpoint waits for the reader.
	linesPerCall = 256
)

// reader gives the task what a goroutine of its own reads from the connection.
type reader struct {
	source *Source
	log    *slog.Logger
	enough func() bool   // the runtime's: Next is to return
	lines  chan string   // capacity queuedLines; closed by receive
	ready  chan struct{} // capacity 1; there is a line, or lines is closed
	cancel context.CancelFunc
	ended  sync.WaitGroup
	err    error // why lines is closed; nil at the end of the stream
	count  int64
}

func (r *reader) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.ended.Go(func() {
		r.err = r.receive(ctx)
		close(r.lines)
		r.wake()
	})
}

// Next emits the lines that have come.
func (r *reader) Next(emit func(string)) (dataflow.ReadStatus, error) {
	for range linesPerCall {
		select {
		case line, open := <-r.lines:
			if !open {
				return dataflow.End(), r.err
			}
			r.count++
			emit(line)
			if r.enough() {
				return dataflow.Ready(), nil
			}
		default:
			return dataflow.IdleOn(r.ready), nil
		}
	}
	return dataflow.Ready(), nil
}

// Snapshot returns nothing: there is no position to go back to.
func (r *reader) Snapshot() ([][]byte, error) { return nil, nil }

// Position names the address and the number of lines so far.
func (r *reader) Position() string { return fmt.Sprintf("%s line %d", r.source.address, r.count) }

// Close closes the connection and waits for the goroutine.
func (r *reader) Close() error {
	r.cancel()
	r.ended.Wait()
	return nil
}

func (r *reader) wake() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// receive reads one connection after the other. It returns at the end of the stream, when ctx is done, and for a line
// that is too long.
func (r *reader) receive(ctx context.Context) error {
	pause := r.source.firstPause
	for {
		lines, err := r.connection(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errTooLong):
			return dataflow.Permanent(fmt.Errorf("socket source of %s: %w", r.source.address, err))
		case err == nil && r.source.untilClosed:
			return nil
		}
		if lines > 0 {
			pause = r.source.firstPause
		}
		r.log.Warn("the socket is not connected", "address", r.source.address, "error", err, "lines", lines, "again_in", pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, r.source.mostPause)
	}
}

// connection reads one connection to its end and returns how many lines it gave. There is no error when the other side
// has closed it.
func (r *reader) connection(ctx context.Context) (lines int, err error) {
	conn, err := r.source.dial(ctx, r.source.address)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends a read that waits
	defer func() {
		if stop() {
			_ = conn.Close() // it has been read to its end
		}
	}()
	return r.readLines(ctx, conn)
}

var errTooLong = errors.New("the line is too long")

func (r *reader) readLines(ctx context.Context, conn net.Conn) (lines int, err error) {
	buf := bufio.NewReaderSize(conn, min(r.source.maxLine, DefaultMaxLine))
	for {
		line, err := readLine(buf, r.source.maxLine)
		if err != nil && !(errors.Is(err, io.EOF) && len(line) > 0) { // the last line need not have a line end
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return lines, err
		}
		select {
		case r.lines <- string(bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))):
			lines++
			r.wake()
		case <-ctx.Done():
			return lines, ctx.Err()
		}
	}
}

// readLine returns a line with its line end, or what there is of it with an error.
func readLine(buf *bufio.Reader, most int) (line []byte, err error) {
	for {
		part, err := buf.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > most {
			return nil, fmt.Errorf("%w: more than %d bytes, beginning with %q", errTooLong, most, line[:min(len(line), 64)])
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
