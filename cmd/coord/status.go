package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

const (
	exitNoLeader  = 2
	watchInterval = time.Second
	clearScreen   = "\x1b[H\x1b[2J"
)

const statusDescription = `Exit code: 0 when the cluster has a leader, healthy or not (see "healthy" in --json);
2 when it has none; 1 when no coordinator answers.

With --watch the status is shown anew every second until interrupted, and the exit
code is 0.`

func statusCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "show the leader, the coordinators, the nodes and the jobs",
		Description: statusDescription,
		Flags: readFlags(defaultTimeout,
			&cli.BoolFlag{DisableDefaultText: true, Name: "watch", Aliases: []string{"w"}, Usage: "show it every second until interrupted"}),
		Action: con.open(func(ctx context.Context, s session) error {
			if s.Bool("watch") {
				return watchStatus(ctx, s)
			}
			return showStatus(ctx, s)
		}),
	}
}

func showStatus(ctx context.Context, s session) error {
	status, err := fetchStatus(ctx, s)
	if err != nil {
		return err
	}
	if s.asJSON() {
		err = writeJSON(s.out, status)
	} else {
		err = writeStatusText(s.out, s.now(), status)
	}
	if err != nil {
		return err
	}
	if status.Leader.ID == "" {
		return cli.Exit("the cluster has no leader", exitNoLeader)
	}
	return nil
}

// watchStatus shows the status again and again until ctx ends. A status that cannot be had is shown as such: the
// next one may be there again.
func watchStatus(ctx context.Context, s session) error {
	ticks := time.NewTicker(watchInterval)
	defer ticks.Stop()
	for {
		if err := watchOnce(ctx, s); err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func watchOnce(ctx context.Context, s session) error {
	status, err := fetchStatus(ctx, s)
	if ctx.Err() != nil {
		return nil
	}
	if s.asJSON() {
		if err == nil {
			return writeJSON(s.out, status)
		}
		_, err = fmt.Fprintf(s.App.ErrWriter, "Error: %v\n", err)
		return err
	}
	// Built first and written at once, so that a terminal does not flicker.
	var screen bytes.Buffer
	if s.terminal {
		screen.WriteString(clearScreen)
	}
	now := s.now()
	fmt.Fprintf(&screen, "Every %s: coord status, at %s\n\n", watchInterval, now.Format(time.DateTime))
	if err != nil {
		fmt.Fprintf(&screen, "Error: %v\n", err)
	} else if err := writeStatusText(&screen, now, status); err != nil {
		return err
	}
	if !s.terminal {
		screen.WriteByte('\n')
	}
	_, err = screen.WriteTo(s.out)
	return err
}

func fetchStatus(ctx context.Context, s session) (status api.Status, err error) {
	err = s.within(ctx, func(ctx context.Context) error {
		status, err = s.service.Status(ctx)
		return err
	})
	status.Voters, status.Problems = list(status.Voters), list(status.Problems)
	status.Nodes, status.Jobs = list(status.Nodes), list(status.Jobs)
	return status, err
}
