package main

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/internal/daemon"
)

func agentCommand() *cli.Command {
	raft := coordinator.DefaultRaftTiming()
	return &cli.Command{
		Name:  "agent",
		Usage: "run a coordinator until a signal",
		Description: "Joins the other coordinators by gossip. As soon as --bootstrap-expect of them are there for the first\n" +
			"time, they form a cluster. SIGTERM hands leadership over and leaves; a second signal stops at once.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "id", Usage: "unique name of this coordinator", Value: daemon.DefaultID(), EnvVars: []string{"CAIRN_ID"}},
			&cli.StringFlag{Name: "bind", Usage: "`HOST:PORT` of Raft and gRPC", Value: "127.0.0.1:7480", EnvVars: []string{"CAIRN_BIND"}},
			&cli.StringFlag{Name: "advertise", Usage: "`HOST:PORT` at which others reach --bind, where it differs", EnvVars: []string{"CAIRN_ADVERTISE"}},
			&cli.StringFlag{Name: "gossip-bind", Usage: "`HOST:PORT` of gossip, UDP and TCP", Value: "127.0.0.1:7481", EnvVars: []string{"CAIRN_GOSSIP_BIND"}},
			&cli.StringSliceFlag{Name: "join", Usage: "gossip `HOST:PORT` of any member; may be repeated", EnvVars: []string{"CAIRN_JOIN"}},
			&cli.StringFlag{Name: "data-dir", Usage: "`DIR` for this coordinator's Raft files", EnvVars: []string{"CAIRN_DATA_DIR"}},
			&cli.IntFlag{Name: "bootstrap-expect", Usage: "coordinators that form a new cluster", Value: 3, EnvVars: []string{"CAIRN_BOOTSTRAP_EXPECT"}},
			&cli.IntFlag{Name: "replicas", Usage: "nodes that hold a copy of each manifest", Value: 2, EnvVars: []string{"CAIRN_REPLICAS"}},
			&cli.DurationFlag{Name: "raft-heartbeat", Usage: "a follower without news of the leader stands for election after this", Value: raft.Heartbeat, EnvVars: []string{"CAIRN_RAFT_HEARTBEAT"}},
			&cli.DurationFlag{Name: "raft-election", Usage: "a candidate without a majority tries again after this", Value: raft.Election, EnvVars: []string{"CAIRN_RAFT_ELECTION"}},
			&cli.DurationFlag{Name: "raft-lease", Usage: "a leader that reaches no majority steps down after this", Value: raft.Lease, EnvVars: []string{"CAIRN_RAFT_LEASE"}},
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info", EnvVars: []string{"CAIRN_LOG_LEVEL"}},
			&cli.StringFlag{Name: "log-format", Usage: "text or json", Value: "text", EnvVars: []string{"CAIRN_LOG_FORMAT"}},
		},
		Action: runAgent,
	}
}

func runAgent(c *cli.Context) error {
	log, err := daemon.Logger(os.Stderr, c.String("log-format"), c.String("log-level"))
	if err != nil {
		return err
	}
	a, err := newAgent(agentConfig{
		ID: checkpoint.NodeID(c.String("id")), Bind: c.String("bind"), Advertise: c.String("advertise"),
		GossipBind: c.String("gossip-bind"), Join: c.StringSlice("join"), DataDir: c.String("data-dir"),
		BootstrapExpect: c.Int("bootstrap-expect"), Replicas: c.Int("replicas"),
		Raft: coordinator.RaftTiming{
			Heartbeat: c.Duration("raft-heartbeat"), Election: c.Duration("raft-election"), Lease: c.Duration("raft-lease"),
		},
		Timing: coordinator.DefaultTiming(), Logger: log,
	})
	if err != nil {
		return err
	}
	ctx, release := daemon.UntilSignal(context.Background(), log)
	defer release()
	return a.run(ctx)
}
