package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

func membersCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:   "members",
		Usage:  "list the processes that gossip knows, as the answering coordinator sees them",
		Flags:  clientFlags(defaultTimeout),
		Action: con.call(listMembers),
	}
}

func listMembers(ctx context.Context, s session) error {
	members, err := s.service.Members(ctx)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, list(members))
	}
	var rows [][]string
	for _, m := range members {
		rows = append(rows, []string{m.ID, m.Role, m.Address, m.Gossip, m.State, m.Version, m.Zone})
	}
	columns := []column{left("ID"), left("ROLE"), left("ADDRESS"), left("GOSSIP"), left("STATE"), left("VERSION"), left("ZONE")}
	return writeTable(s.out, "No members.", columns, rows)
}
