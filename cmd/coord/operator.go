package main

import (
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
				Subcommands: []*cli.Command{listPeersCommand(con), removePeerCommand(con), transferCommand(con)},
			},
			{
				Name:        "snapshot",
				Usage:       "save the coordinators' state to a file, and bring it back",
				Subcommands: []*cli.Command{saveSnapshotCommand(con), restoreSnapshotCommand(con), inspectSnapshotCommand(con)},
			},
			alias,
		},
	}
}
