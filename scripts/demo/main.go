// Demo runs Cairn's main job with real processes and breaks things under it: it kills the leading coordinator
// while a checkpoint is in flight, kills a task node, brings both back, and compares the job's committed
// output with an independent count of the same input. It exits 0 only if everything it says held.
//
// Everything lives in one temporary directory and is stopped at the end, also on Ctrl-C and on failure; after
// a failure the directory with the logs is kept.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"cairn/internal/localcluster"
)

func main() {
	opts := options{}
	flag.StringVar(&opts.bin, "bin", "bin", "directory of the coord and node binaries")
	flag.StringVar(&opts.input, "input", "", "directory whose .go files are counted; Go's own source if not set")
	flag.DurationVar(&opts.duration, "duration", 25*time.Second, "how long the job is to last without the failures")
	flag.DurationVar(&opts.limit, "limit", 5*time.Minute, "how long the whole demo may take")
	flag.BoolVar(&opts.keep, "keep", false, "keep the working directory, also after success")
	flag.Parse()
	os.Exit(run(opts))
}

type options struct {
	bin, input      string
	duration, limit time.Duration
	keep            bool
}

func run(opts options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, opts.limit, fmt.Errorf("the demo took longer than %s", opts.limit))
	defer cancel()

	if opts.input == "" {
		var err error
		if opts.input, err = localcluster.GoSource(); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
			return 1
		}
	}
	dir, err := os.MkdirTemp("", "cairn-demo-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	d := &demo{opts: opts, dir: dir, say: narrator{start: time.Now()}}
	err = d.run(ctx)
	if d.cluster != nil {
		d.cluster.StopAll()
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		fmt.Fprintf(os.Stderr, "\ndemo failed: %v\nThe logs and data are kept in %s\n", err, dir)
		return 1
	}
	if opts.keep {
		fmt.Println("Logs and data are in", dir)
		return 0
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "demo: cleaning up:", err)
		return 1
	}
	return 0
}

// narrator prints what happens, a line per step with the elapsed time.
type narrator struct{ start time.Time }

func (n narrator) step(format string, args ...any) {
	fmt.Printf("\n[%5.1fs] %s\n", time.Since(n.start).Seconds(), fmt.Sprintf(format, args...))
}

func (n narrator) detail(format string, args ...any) {
	fmt.Printf("         %s\n", fmt.Sprintf(format, args...))
}
