package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

func nodeCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "node",
		Usage: "list the task nodes, and take them out of service and back in",
		Subcommands: []*cli.Command{
			{
				Name:  "list",
				Usage: "list the task nodes",
				Description: "STATUS is ready; draining, when a drained node has still subtasks; drained; suspect, when its session\n" +
					"broke a moment ago; or lost.",
				Flags:  readFlags(defaultTimeout),
				Action: con.call(listNodes),
			},
			drainCommand(con),
			{
				Name:        "undrain",
				Usage:       "put a drained node back into service",
				Description: "It is given subtasks again when jobs start, restart or are rescaled: none moves back by itself.",
				ArgsUsage:   "ID",
				Flags:       clientFlags(defaultTimeout),
				Action:      con.call(undrainNode),
			},
		},
	}
}

func listNodes(ctx context.Context, s session) error {
	nodes, err := s.service.ListNodes(ctx)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, list(nodes))
	}
	var rows [][]string
	leaving := "" // what is said of the jobs on drained nodes
	for _, n := range nodes {
		rows = append(rows, []string{
			n.ID, n.Address, fmt.Sprint(n.Slots), fmt.Sprint(n.UsedSlots), fmt.Sprint(n.Subtasks), nodeStatusText(n),
		})
		for _, why := range n.Leaving {
			leaving += fmt.Sprintf("%s: %s\n", oneLine(n.ID), oneLine(why))
		}
	}
	columns := []column{left("ID"), left("ADDRESS"), right("SLOTS"), right("USED"), right("SUBTASKS"), left("STATUS")}
	if err := writeTable(s.out, "No node is known.", columns, rows); err != nil || leaving == "" {
		return err
	}
	return s.printf("\n%s", leaving)
}

// nodeStatusText says of a node that is gone whether it was drained, too.
func nodeStatusText(n api.Node) string {
	if n.Drained && !strings.HasPrefix(n.Status, "drain") {
		return n.Status + " (drained)"
	}
	return n.Status
}

func undrainNode(ctx context.Context, s session) error {
	n, err := s.service.UndrainNode(ctx, s.Args().First())
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, n)
	}
	return s.printf("Node %s is %s.\n", oneLine(n.ID), nodeStatusText(n))
}
