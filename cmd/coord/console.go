package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cairn/api"
)

// dial makes a client of the cluster whose coordinators listen at addrs; any of them will do. Every call through
// it ends within timeout. The closer releases its connections.
type dial func(addrs []string, timeout time.Duration) (api.Service, io.Closer, error)

// console is what the client commands need of the world around them. It does not change once it is made.
type console struct {
	out      io.Writer
	terminal bool // out can be cleared
	// in and err are where a person is asked and told of progress; interactive says that one sits there.
	in          io.Reader
	err         io.Writer
	interactive bool
	dial        dial
	directories savepointDirectories
	replicas    replicas
	now         func() time.Time
	// untilInterrupted returns a context that ends when the user asks the command to stop, and a function that
	// releases what it took for that.
	untilInterrupted func(context.Context) (context.Context, context.CancelFunc)
}

// newConsole returns the console of a process with these standard files.
func newConsole(in, out, err *os.File) *console {
	return &console{
		out:         out,
		terminal:    isTerminal(out),
		in:          in,
		err:         err,
		interactive: isTerminal(in) && isTerminal(err),
		dial:        dialCluster,
		directories: nodeDirectories{},
		replicas:    nodeReplicas{},
		now:         time.Now,
		untilInterrupted: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		},
	}
}

// isTerminal reports whether f is a terminal. /dev/null and its like pass too: what is written to them does not
// matter.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printf writes to out. Its error is the command's: output that went nowhere is no success.
func (con *console) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(con.out, format, args...)
	return err
}

// writeJSON writes v, indented by two, as --json promises it.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // the names of chains hold "->"
	return e.Encode(v)
}

// list returns s so that JSON shows it as [] when it is empty, and never as null: scripts iterate over it.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
