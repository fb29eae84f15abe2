package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"cairn/api"
)

func listPeersCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:   "list-peers",
		Usage:  "list the members of Raft's configuration, with and without a vote",
		Flags:  readFlags(defaultTimeout),
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

func removePeerCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "remove-peer",
		Usage: "take a coordinator that will not come back out of Raft's configuration",
		Description: "The coordinator must have stopped: one that runs would join again. With a replacement in place there is no\n" +
			"need for this command: the leader removes the dead one by itself.",
		ArgsUsage: "ID",
		Flags:     clientFlags(defaultTimeout),
		Action:    con.call(removePeer),
	}
}

// removedPeer is what remove-peer --json prints.
type removedPeer struct {
	Removed string `json:"removed"`
	Voters  int    `json:"voters"` // that are left
	// FailureTolerance is how many of them may fail.
	FailureTolerance int `json:"failure_tolerance"`
}

func removePeer(ctx context.Context, s session) error {
	id := s.Args().First()
	if err := s.service.RemovePeer(ctx, id); err != nil {
		return err
	}
	peers, err := s.service.RaftPeers(ctx)
	if err != nil {
		return err
	}
	removed := afterRemoval(id, peers)
	if s.asJSON() {
		return writeJSON(s.out, removed)
	}
	if err := s.printf("Coordinator %s is removed: %s left.\n", oneLine(id), count(removed.Voters, "voter")); err != nil {
		return err
	}
	if removed.FailureTolerance > 0 {
		return nil
	}
	return s.printf("Warning: when one of them fails, the cluster has no majority. Start another coordinator with --join; it gets a vote by itself.\n")
}

func afterRemoval(id string, peers []api.Voter) removedPeer {
	voters, failed := 0, 0
	for _, p := range peers {
		if !p.Voter {
			continue
		}
		if voters++; p.State == "failed" {
			failed++
		}
	}
	return removedPeer{Removed: id, Voters: voters, FailureTolerance: max(0, (voters-1)/2-failed)}
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
