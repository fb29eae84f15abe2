// Bench measures the task runtime against yardsticks that it takes in the same run, prints a table, writes
// results.json, and exits 1 when a bar is missed. docs/BENCHMARKS.md says what each figure means.
//
// A group of figures is a file of its own with a function in groups. Everything that is written while measuring lies in
// one temporary directory below -out, on the disk that is measured, and is removed at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"cairn/node"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		node.Main(nodeKillProgram()) // one of the nodes that measureNodeKill starts
	}
	var opts options
	flag.BoolVar(&opts.quick, "quick", false, "smaller states and fewer repetitions: about two minutes")
	flag.StringVar(&opts.group, "group", "", "measure only this group: "+strings.Join(groupNames(), ", "))
	flag.StringVar(&opts.out, "out", "bench", "directory for results.json, and on whose disk is measured")
	flag.StringVar(&opts.bin, "bin", "bin", "directory of the coord binary, for what is measured with real processes")
	flag.BoolVar(&opts.profile, "profile", false, "write a CPU profile per group to -out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, opts)
	stop()
	os.Exit(code)
}

type options struct {
	quick, profile bool
	group, out     string
	bin            string
}

func run(ctx context.Context, opts options) int {
	figures, err := measure(ctx, opts)
	if len(figures) > 0 {
		printTable(os.Stdout, figures)
		err = errors.Join(err, writeResults(filepath.Join(opts.out, "results.json"), figures))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	missed := 0
	for _, f := range figures {
		if !f.OK {
			missed++
		}
	}
	if missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d of %d figures miss their bar\n", missed, len(figures))
		return 1
	}
	return 0
}

// measure runs the groups one after the other: nothing else of ours is to use the machine meanwhile. What has been
// measured before an error is returned with it.
func measure(ctx context.Context, opts options) (_ []figure, err error) {
	chosen, err := chooseGroups(opts.group)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.out, 0o755); err != nil {
		return nil, err
	}
	var figures []figure
	for _, g := range chosen {
		got, err := measureGroup(ctx, opts, g)
		figures = append(figures, got...)
		if err != nil {
			return figures, fmt.Errorf("group %s: %w", g.name, err)
		}
	}
	return figures, nil
}

func measureGroup(ctx context.Context, opts options, g group) (_ []figure, err error) {
	dir, err := os.MkdirTemp(opts.out, "data-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if opts.profile {
		end, err := startProfile(filepath.Join(opts.out, g.name+".pprof"))
		if err != nil {
			return nil, err
		}
		defer func() { end() }()
	}
	start := time.Now()
	fmt.Fprintf(os.Stderr, "%s: %s …\n", g.name, g.doc)
	b := &bench{quick: opts.quick, dir: dir, bin: opts.bin}
	err = g.measure(ctx, b)
	runtime.GC() // what one group leaves is no burden to the next
	fmt.Fprintf(os.Stderr, "%s: %.0f s\n", g.name, time.Since(start).Seconds())
	return b.figures, err
}

func startProfile(path string) (end func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short shows when it is read
	}, nil
}
