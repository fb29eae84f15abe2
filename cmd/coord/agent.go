package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"cairn/coordinator"
	"cairn/internal/cliargs"
	"cairn/internal/daemon"
	"cairn/membership"
)

func agentCommand() *cli.Command {
	raft, compaction, upkeep := coordinator.DefaultRaftTiming(), coordinator.DefaultCompaction(), coordinator.DefaultUpkeep()
	repair := coordinator.DefaultRepair()
	return &cli.Command{
		Name:  "agent",
		Usage: "run a coordinator until a signal",
		Description: "Joins the other coordinators by gossip. As soon as --bootstrap-expect of them are there for the first\n" +
			"time, they form a cluster. One that finds a cluster running joins it, and gets a vote when it has kept up for\n" +
			"--raft-stabilization; so it may take the place of one that is gone. SIGTERM lets the pending checkpoints\n" +
			"finish, hands leadership over and leaves; a second signal stops at once.",
		Flags: append(daemon.EndpointFlags("127.0.0.1:7480", "127.0.0.1:7481"),
			&cli.StringFlag{Name: "data-dir", Usage: "`DIR` for this coordinator's Raft files", EnvVars: []string{"CAIRN_DATA_DIR"}},
			&cli.IntFlag{Name: "bootstrap-expect", Usage: "coordinators that form a new cluster", Value: 3, EnvVars: []string{"CAIRN_BOOTSTRAP_EXPECT"}},
			&cli.IntFlag{Name: "replicas", Usage: "nodes that hold a copy of each chunk of state; give the task nodes the same number", Value: 2, EnvVars: []string{"CAIRN_REPLICAS"}},
			&cli.DurationFlag{Name: "repair-delay", Usage: "copies of a node that has been gone for this are made elsewhere", Value: repair.Delay, EnvVars: []string{"CAIRN_REPAIR_DELAY"}},
			&cli.StringFlag{Name: "repair-rate", Usage: "`SIZE` that the cluster copies per second for that, such as 64MiB", Value: sizeFlag(repair.Rate), EnvVars: []string{"CAIRN_REPAIR_RATE"}},
			&cli.DurationFlag{Name: "raft-heartbeat", Usage: "a follower without news of the leader stands for election after this", Value: raft.Heartbeat, EnvVars: []string{"CAIRN_RAFT_HEARTBEAT"}},
			&cli.DurationFlag{Name: "raft-election", Usage: "a candidate without a majority tries again after this", Value: raft.Election, EnvVars: []string{"CAIRN_RAFT_ELECTION"}},
			&cli.DurationFlag{Name: "raft-lease", Usage: "a leader that reaches no majority steps down after this", Value: raft.Lease, EnvVars: []string{"CAIRN_RAFT_LEASE"}},
			&cli.DurationFlag{Name: "raft-stabilization", Usage: "a coordinator that joins gets a vote after having kept up for this, and a dead one may be replaced after it", Value: upkeep.Stabilization, EnvVars: []string{"CAIRN_RAFT_STABILIZATION"}},
			&cli.Uint64Flag{Name: "raft-snapshot-threshold", Usage: "log `ENTRIES` since the last snapshot of the state that are worth a new one", Value: compaction.Threshold, EnvVars: []string{"CAIRN_RAFT_SNAPSHOT_THRESHOLD"}},
			&cli.DurationFlag{Name: "raft-snapshot-interval", Usage: "how often the log is looked at for that", Value: compaction.Interval, EnvVars: []string{"CAIRN_RAFT_SNAPSHOT_INTERVAL"}},
			&cli.Uint64Flag{Name: "raft-trailing-logs", Usage: "`ENTRIES` kept in front of a snapshot, for coordinators that are a little behind", Value: compaction.Trailing, EnvVars: []string{"CAIRN_RAFT_TRAILING_LOGS"}},
		),
		Action: runAgent,
	}
}

func runAgent(c *cli.Context) error {
	endpoint, err := daemon.EndpointFrom(c, membership.RoleCoordinator)
	if err != nil {
		return err
	}
	endpoint.BootstrapExpect = c.Int("bootstrap-expect")
	rate, err := parseSize(c.String("repair-rate"))
	if err != nil {
		return cliargs.Usagef(c, "--repair-rate %q: %v", c.String("repair-rate"), err)
	}
	a, err := newAgent(agentConfig{
		EndpointConfig: endpoint, DataDir: c.String("data-dir"), Replicas: c.Int("replicas"),
		Raft: coordinator.RaftTiming{
			Heartbeat: c.Duration("raft-heartbeat"), Election: c.Duration("raft-election"), Lease: c.Duration("raft-lease"),
		},
		Upkeep: coordinator.Upkeep{Stabilization: c.Duration("raft-stabilization")},
		Compaction: coordinator.Compaction{
			Threshold: c.Uint64("raft-snapshot-threshold"), Interval: c.Duration("raft-snapshot-interval"),
			Trailing: c.Uint64("raft-trailing-logs"),
		},
		Timing: coordinator.DefaultTiming(),
		Repair: coordinator.Repair{Delay: c.Duration("repair-delay"), Rate: rate},
	})
	if err != nil {
		return err
	}
	ctx, release := daemon.UntilSignal(context.Background(), endpoint.Logger)
	defer release()
	return a.run(ctx)
}
