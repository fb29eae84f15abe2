package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

const drainDescription = `The node is given no more subtasks, and those that it has move to other nodes: each job takes a
checkpoint and goes on from it elsewhere. A job for which there is no room elsewhere stays where it
is, and moves when there is. The node stays drained, whatever happens to the cluster, until "coord
node undrain". Its copies of snapshots stay on it: when it is stopped, others have them.

It waits until no subtask is left on the node. With --no-wait it returns at once.`

func drainCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "drain",
		Usage:       "take a node out of service: its subtasks leave at a checkpoint",
		Description: drainDescription,
		ArgsUsage:   "ID",
		Flags: clientFlags(patientTimeout,
			waitFlags("wait until no subtask is left on the node", "return as soon as the cluster has taken the order")...),
		Action: func(c *cli.Context) error {
			if err := checkWait(c); err != nil {
				return err
			}
			return con.call(drainNode)(c)
		},
	}
}

func drainNode(ctx context.Context, s session) error {
	n, err := s.service.DrainNode(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.waits() {
		if n, err = waitForDrained(ctx, s, n); err != nil {
			return err
		}
	}
	if s.asJSON() {
		return writeJSON(s.out, n)
	}
	if n.Subtasks == 0 {
		return s.printf("Node %s is drained: no subtask is left on it.\n", oneLine(n.ID))
	}
	return s.printf("Node %s is draining: %s.\n", oneLine(n.ID), remaining(n))
}

// waitForDrained returns the node as it is once no subtask is left on it. The leader may change meanwhile, so it goes on
// while the cluster is unavailable. What keeps a job there is said once, also where nobody watches the progress.
func waitForDrained(ctx context.Context, s session, n api.Node) (api.Node, error) {
	ticks := time.NewTicker(waitInterval)
	defer ticks.Stop()
	said := make(map[string]bool)
	for n.Subtasks > 0 {
		s.showDraining(n, said)
		select {
		case <-ctx.Done():
			return n, api.Errorf(api.Unavailable, "node %s stays drained, but has %s", n.ID, remaining(n))
		case <-ticks.C:
		}
		next, err := nodeOnce(ctx, s.service, n.ID)
		switch {
		case err == nil:
			n = next
		case api.CodeOf(err) != api.Unavailable:
			return n, fmt.Errorf("wait until node %s is drained: %w", n.ID, err)
		}
	}
	if s.interactive {
		fmt.Fprint(s.err, clearLine)
	}
	return n, nil
}

// showDraining shows what is left: as a line that changes, where a person sits, otherwise each reason once.
func (s session) showDraining(n api.Node, said map[string]bool) {
	if s.interactive {
		fmt.Fprint(s.err, clearLine+oneLine(n.ID)+": "+remaining(n))
		return
	}
	for _, why := range n.Leaving {
		if !said[why] {
			said[why] = true
			fmt.Fprintln(s.err, oneLine(why))
		}
	}
}

// remaining says how many subtasks are left on a node, and why.
func remaining(n api.Node) string {
	text := count(n.Subtasks, "subtask") + " left"
	if len(n.Leaving) > 0 {
		text += ": " + oneLine(strings.Join(n.Leaving, "; "))
	}
	return text
}

// nodeOnce bounds one question, so that a coordinator that hangs does not use up the time for all.
func nodeOnce(ctx context.Context, service api.Service, id string) (api.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	nodes, err := service.ListNodes(ctx)
	if err != nil {
		return api.Node{}, err
	}
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.ID == id })
	if i < 0 {
		return api.Node{}, api.Errorf(api.NotFound, "node %s is not known any more", id)
	}
	return nodes[i], nil
}
