package node

import (
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"cairn/dataflow"
	"cairn/internal/cliargs"
	"cairn/internal/daemon"
	"cairn/internal/version"
	"cairn/membership"
)

// Job makes a program for Main: a name to submit it by, a line that says what it does, and the function that
// builds its graph from parameters. The function must build the same graph from the same parameters. What the parameters
// mean can be said for "coord program show".
func Job(name, doc string, build func(*dataflow.Graph, *dataflow.Params) error, params ...dataflow.Param) dataflow.Program {
	return dataflow.Program{Name: name, Doc: doc, Params: params, Build: build}
}

// Main runs a task node with the given programs: it reads the command line, serves until a signal, and exits
// the process. It panics when two programs have the same name.
func Main(programs ...dataflow.Program) {
	os.Exit(cliargs.Run(context.Background(), App(dataflow.NewRegistry(programs...)), os.Args[1:]))
}

// App is the command line of a task node with the given programs.
func App(registry *dataflow.Registry) *cli.App {
	return &cli.App{
		Name:    "node",
		Usage:   "a Cairn task node",
		Version: version.Version,
		Commands: []*cli.Command{
			{Name: "agent", Usage: "run a task node until a signal", Flags: agentFlags(), Action: func(c *cli.Context) error {
				return runAgent(c, registry)
			}},
			{Name: "version", Usage: "print the version", Action: func(c *cli.Context) error {
				_, err := fmt.Fprintln(c.App.Writer, version.Version)
				return err
			}},
		},
	}
}

func agentFlags() []cli.Flag {
	d := DefaultConfig()
	return append(daemon.EndpointFlags(d.Bind, d.GossipBind),
		&cli.StringFlag{Name: "data-dir", Usage: "`DIR` for this node's chunks", EnvVars: []string{"CAIRN_DATA_DIR"}},
		&cli.StringFlag{Name: "store", Usage: "where chunks are kept: " + NodesStore + ", in the nodes' data directories, or a store that all nodes share: file:///DIR or s3://BUCKET/PREFIX?endpoint=https://HOST:PORT; mem://NAME, the memory of this process, is for a node alone", Value: d.Store, EnvVars: []string{"CAIRN_STORE"}},
		&cli.IntFlag{Name: "slots", Usage: "subtasks of one vertex that may run here", Value: d.Slots, EnvVars: []string{"CAIRN_SLOTS"}},
		&cli.IntFlag{Name: "replicas", Usage: "nodes that hold a copy of each chunk", Value: d.Replicas, EnvVars: []string{"CAIRN_REPLICAS"}},
		&cli.StringFlag{Name: "zone", Usage: "`NAME` of what this node fails together with, a rack say; copies of a chunk are spread over zones", EnvVars: []string{"CAIRN_ZONE"}},
		&cli.DurationFlag{Name: "scrub-interval", Usage: "how long a pass over this node's chunks takes, which reads and checks them all; 0 for none", Value: d.ScrubInterval, EnvVars: []string{"CAIRN_SCRUB_INTERVAL"}},
		&cli.DurationFlag{Name: "orphan-timeout", Usage: "how long tasks go on without a leader", Value: d.OrphanTimeout, EnvVars: []string{"CAIRN_ORPHAN_TIMEOUT"}},
		&cli.DurationFlag{Name: "cancellation-timeout", Usage: "how long a cancelled task may take to return before this process ends; 0 for ever", Value: d.CancellationTimeout, EnvVars: []string{"CAIRN_CANCELLATION_TIMEOUT"}},
	)
}

func runAgent(c *cli.Context, registry *dataflow.Registry) error {
	endpoint, err := daemon.EndpointFrom(c, membership.RoleNode)
	if err != nil {
		return err
	}
	endpoint.Zone = c.String("zone")
	agent, err := New(Config{
		EndpointConfig: endpoint, DataDir: c.String("data-dir"), Store: c.String("store"), Slots: c.Int("slots"), Replicas: c.Int("replicas"),
		OrphanTimeout: c.Duration("orphan-timeout"), CancellationTimeout: c.Duration("cancellation-timeout"),
		ScrubInterval: c.Duration("scrub-interval"), Registry: registry,
	})
	if err != nil {
		return err
	}
	ctx, release := daemon.UntilSignal(context.Background(), endpoint.Logger)
	defer release()
	return agent.Run(ctx)
}
