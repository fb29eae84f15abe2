package main

import (
	"context"

	"github.com/urfave/cli/v2"
)

func operatorCommand(con *console) *cli.Command {
	alias := transferCommand(con)
	alias.Hidden = true // the shorter form of "operator raft transfer-leadership"
	return &cli.Command{
		Name:  "operator",
		Usage: "look after the cluster itself",
		Subcommands: []*cli.Command{
			{
				Name:        "raft",
				Usage:       "look after the coordinators' consensus",
				Subcommands: []*cli.Command{listPeersCommand(con), transferCommand(con)},
			},
			alias,
		},
	}
}

func listPeersCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:   "list-peers",
		Usage:  "list the voters as Raft's configuration names them",
		Flags:  clientFlags(defaultTimeout),
		Action: con.call(listPeers),
	}
}

func listPeers(ctx context.Context, s session) error {
	voters, err := s.service.RaftPeers(ctx)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, list(voters))
	}
	return writeVoters(s.out, voters)
}

func transferCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "transfer-leadership",
		Usage: "hand the leadership to another coordinator; jobs and checkpoints in flight go on",
		Flags: clientFlags(defaultTimeout,
			&cli.StringFlag{Name: "to", Usage: "`ID` of the coordinator to lead (default: the most up to date)"}),
		Action: con.call(transferLeadership),
	}
}

func transferLeadership(ctx context.Context, s session) error {
	leader, err := s.service.TransferLeadership(ctx, s.String("to"))
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, leader)
	}
	return s.printf("The leader is now %s.\n", leaderText(leader))
}
