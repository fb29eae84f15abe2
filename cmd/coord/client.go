package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

const (
	defaultAddress = "127.0.0.1:7480"
	// defaultTimeout is longer than a coordinator waits for a leader before it says why there is none.
	defaultTimeout = 5 * time.Second
	// patientTimeout is for calls that wait for the work of the whole job: longer than the 10 minutes that a
	// checkpoint may take by default, so that one which expires is heard to say what it waited for.
	patientTimeout = 11 * time.Minute
)

// clientFlags are the flags that every client command has, followed by its own.
func clientFlags(timeout time.Duration, own ...cli.Flag) []cli.Flag {
	return append([]cli.Flag{
		&cli.StringSliceFlag{
			Name: "addr", EnvVars: []string{"CAIRN_ADDR"}, DefaultText: defaultAddress,
			Usage: "`HOST:PORT` of coordinators, separated by commas or the flag repeated; any one will do",
		},
		&cli.DurationFlag{Name: "timeout", Value: timeout, Usage: "`DURATION` that the whole call may take"},
		&cli.BoolFlag{DisableDefaultText: true, Name: "json", Usage: "print JSON: times in milliseconds since the epoch, sizes in bytes"},
	}, own...)
}

// transferFlags are those of a command that moves or reads state, which takes as long as it takes: --timeout bounds each
// question to a coordinator.
func transferFlags(own ...cli.Flag) []cli.Flag {
	flags := clientFlags(defaultTimeout, own...)
	for _, f := range flags {
		if timeout, is := f.(*cli.DurationFlag); is && timeout.Name == "timeout" {
			timeout.Usage = "`DURATION` that each question to a coordinator may take; the work itself is not bounded"
		}
	}
	return flags
}

// readFlags are the flags of a command that only reads.
func readFlags(timeout time.Duration, own ...cli.Flag) []cli.Flag {
	return clientFlags(timeout, append([]cli.Flag{&cli.BoolFlag{
		Name: "stale", DisableDefaultText: true,
		Usage: "show what the addressed coordinator knows by itself; works without a leader, and may be old",
	}}, own...)...)
}

// session is one run of a client command: its command line, and a client of the cluster.
type session struct {
	*console
	*cli.Context // the command line; calls take their context as an argument
	service      api.Service
	addrs        []string
	timeout      time.Duration
}

// asJSON reports whether the user wants JSON.
func (s session) asJSON() bool { return s.Bool("json") }

// call returns the action of a command that makes its calls within --timeout.
func (con *console) call(f func(context.Context, session) error) cli.ActionFunc {
	return con.open(func(ctx context.Context, s session) error {
		return s.within(ctx, func(ctx context.Context) error { return f(ctx, s) })
	})
}

// open returns the action of a command that calls within as it needs it. The context ends with an interrupt.
func (con *console) open(f func(context.Context, session) error) cli.ActionFunc {
	return func(c *cli.Context) (err error) {
		s := session{console: con, Context: c, timeout: c.Duration("timeout")}
		if s.timeout <= 0 {
			return cliargs.Usagef(c, "--timeout %s: must be positive", s.timeout)
		}
		if s.addrs, err = addresses(c); err != nil {
			return err
		}
		var closer io.Closer
		if s.service, closer, err = con.dial(s.addrs, s.timeout); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closer.Close()) }()
		ctx, release := con.untilInterrupted(c.Context)
		defer release()
		if c.Bool("stale") {
			ctx = api.WithStale(ctx)
		}
		return f(ctx, s)
	}
}

// within runs f with a context that ends after --timeout. When f fails because of the context, and no coordinator
// said so better, the error names what ran out.
func (s session) within(ctx context.Context, f func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := f(bounded)
	var said *api.Error
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case bounded.Err() != nil && !errors.As(err, &said):
		return fmt.Errorf("no answer from %s within --timeout %s", strings.Join(s.addrs, ", "), s.timeout)
	}
	return err
}

// addresses returns the coordinators to ask, in the order given.
func addresses(c *cli.Context) ([]string, error) {
	var addrs []string
	for _, value := range c.StringSlice("addr") {
		for addr := range strings.SplitSeq(value, ",") {
			if addr = strings.TrimSpace(addr); addr == "" {
				continue // a trailing comma
			}
			if _, _, err := net.SplitHostPort(addr); err != nil {
				return nil, cliargs.Usagef(c, "--addr %q: must be host:port, for example %s", addr, defaultAddress)
			}
			addrs = append(addrs, addr)
		}
	}
	if len(addrs) == 0 {
		addrs = []string{defaultAddress}
	}
	return addrs, nil
}
