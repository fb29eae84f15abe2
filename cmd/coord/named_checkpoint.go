package main

import (
	"context"
	"strconv"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

// namedCheckpoint is a checkpoint or savepoint as the arguments name it.
type namedCheckpoint struct {
	job string // name or ID
	id  uint64
}

// withNamed returns the action of a command whose arguments are JOB/ID or JOB ID. kind is the command that lists what can
// be named.
func withNamed(kind string, action func(namedCheckpoint) cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		named, err := namedIn(c, kind)
		if err != nil {
			return err
		}
		return action(named)(c)
	}
}

func namedIn(c *cli.Context, kind string) (namedCheckpoint, error) {
	arg := c.Args().First()
	if c.Args().Len() == 1 {
		job, id, err := parseReference(arg)
		if err != nil {
			return namedCheckpoint{}, cliargs.Usagef(c, `%s %q: %v; "coord %s list" shows them`, kind, arg, err, kind)
		}
		return namedCheckpoint{job, id}, nil
	}
	id, err := strconv.ParseUint(c.Args().Get(1), 10, 64)
	if err != nil || id == 0 {
		return namedCheckpoint{}, cliargs.Usagef(c, `%s ID %q: must be a positive whole number; "coord %s list" shows them`, kind, c.Args().Get(1), kind)
	}
	return namedCheckpoint{arg, id}, nil
}

// inTime returns a function of a command as an action that makes its calls within --timeout.
func (con *console) inTime(f func(context.Context, session, namedCheckpoint) error) func(namedCheckpoint) cli.ActionFunc {
	return func(named namedCheckpoint) cli.ActionFunc {
		return con.call(func(ctx context.Context, s session) error { return f(ctx, s, named) })
	}
}

// located returns where the chunks of a checkpoint or savepoint are, and the nodes that are alive.
func (s session) located(ctx context.Context, named namedCheckpoint) (at api.CheckpointLocation, nodes []api.Node, err error) {
	err = s.within(ctx, func(ctx context.Context) (err error) {
		if at, err = s.service.LocateCheckpoint(ctx, named.job, named.id); err == nil {
			nodes, err = s.aliveNodes(ctx)
		}
		return err
	})
	return at, nodes, err
}
