package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/dataflow"
	"cairn/internal/cliargs"
	"cairn/internal/daemon"
	"cairn/jobs"
	"cairn/membership"
	"cairn/node"
	"cairn/transport"
)

func devCommand() *cli.Command {
	return &cli.Command{
		Name:  "dev",
		Usage: "run a whole cluster inside this process, for a laptop",
		Description: "Starts coordinators and task nodes in this process, with everything real but the separation. With --job it\n" +
			"submits the job, waits for its end and stops (--keep goes on until a signal).",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "coordinators", Usage: "how many", Value: 3},
			&cli.IntFlag{Name: "nodes", Usage: "how many", Value: 3},
			&cli.IntFlag{Name: "slots", Usage: "of each node", Value: 4},
			&cli.StringFlag{Name: "bind", Usage: "`HOST:PORT` of the first coordinator, whose gossip takes the next port; all others take free ones", Value: "127.0.0.1:7480"},
			&cli.StringFlag{Name: "data-dir", Usage: "`DIR` for all data; a temporary one, removed at the end, if not set"},
			&cli.StringFlag{Name: "store", Usage: "of the nodes: nodes, or a store that they share, as in mem://dev", Value: node.NodesStore, EnvVars: []string{"CAIRN_STORE"}},
			&cli.StringFlag{Name: "job", Usage: "`PROGRAM` to submit: one of " + strings.Join(dataflow.NewRegistry(jobs.Programs()...).Names(), ", ")},
			&cli.GenericFlag{Name: "param", Usage: "parameter of the job, `KEY=VALUE`; may be repeated", Value: pairs{}},
			&cli.GenericFlag{Name: "set", Usage: "configuration of the job, `KEY=VALUE`; may be repeated", Value: pairs{}},
			&cli.BoolFlag{Name: "keep", Usage: "go on after the job's end"},
			&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "error"},
		},
		Action: runDev,
	}
}

func runDev(c *cli.Context) error {
	if c.Int("coordinators") < 1 || c.Int("nodes") < 0 {
		return cliargs.Usagef(c, "--coordinators %d, --nodes %d: need at least one coordinator and no negative number", c.Int("coordinators"), c.Int("nodes"))
	}
	request, err := devJob(c)
	if err != nil {
		return err
	}
	log, err := daemon.Logger(os.Stderr, "text", c.String("log-level"))
	if err != nil {
		return err
	}
	dir := c.String("data-dir")
	if dir == "" {
		if dir, err = os.MkdirTemp("", "cairn-dev-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	ctx, release := daemon.UntilSignal(context.Background(), log)
	defer release()
	cluster := &devCluster{out: c.App.Writer, log: log, dir: dir, context: c}
	return cluster.run(ctx, request)
}

// devJob returns the job to submit, nil for none.
func devJob(c *cli.Context) (*api.SubmitJobRequest, error) {
	if c.String("job") == "" {
		if c.IsSet("param") || c.IsSet("set") {
			return nil, cliargs.Usagef(c, "--param and --set belong to --job, which is missing")
		}
		return nil, nil
	}
	if _, err := dataflow.NewRegistry(jobs.Programs()...).Lookup(c.String("job")); err != nil {
		return nil, cliargs.Usagef(c, "--job: %v", err)
	}
	return &api.SubmitJobRequest{
		Program: c.String("job"), Params: c.Generic("param").(pairs), Config: c.Generic("set").(pairs),
	}, nil
}

// devCluster is coordinators and nodes in one process.
type devCluster struct {
	out     io.Writer
	log     *slog.Logger
	dir     string
	context *cli.Context
	addrs   []string // RPC addresses of the coordinators
	seed    string   // gossip address of the first one
	runs    []func(context.Context) error
}

func (d *devCluster) run(ctx context.Context, request *api.SubmitJobRequest) error {
	if err := d.open(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan error, len(d.runs))
	for _, run := range d.runs {
		go func() {
			err := run(ctx)
			if err != nil {
				cancel(err)
			}
			ended <- err
		}()
	}
	err := d.use(ctx, request)
	cancel(nil)
	for range d.runs {
		err = errors.Join(err, <-ended)
	}
	return err
}

// open binds everything, so that an address in use is an error before anything runs.
func (d *devCluster) open() error {
	log := d.log
	coordinators := d.context.Int("coordinators")
	for i := range coordinators {
		bind, gossip, join := "127.0.0.1:0", "127.0.0.1:0", []string{d.seed}
		if i == 0 {
			bind, join = d.context.String("bind"), nil
			gossip = nextPort(bind)
		}
		id := fmt.Sprintf("c%d", i+1)
		a, err := newAgent(agentConfig{
			EndpointConfig: daemon.EndpointConfig{
				ID: checkpoint.NodeID(id), Role: membership.RoleCoordinator, Bind: bind, GossipBind: gossip, Join: join,
				BootstrapExpect: coordinators, Logger: log,
			},
			DataDir: filepath.Join(d.dir, id), Replicas: 2, Raft: coordinator.DefaultRaftTiming(),
			Upkeep: coordinator.DefaultUpkeep(), Compaction: coordinator.DefaultCompaction(), Timing: coordinator.DefaultTiming(),
			Repair: coordinator.DefaultRepair(),
		})
		if err != nil {
			return err
		}
		if i == 0 {
			d.seed = a.endpoint.Gossip.LocalAddr()
		}
		d.addrs = append(d.addrs, a.endpoint.Self.Address)
		d.runs = append(d.runs, a.run)
	}
	for i := range d.context.Int("nodes") {
		cfg := node.DefaultConfig()
		cfg.ID = checkpoint.NodeID(fmt.Sprintf("n%d", i+1))
		cfg.Bind, cfg.GossipBind, cfg.Join = "127.0.0.1:0", "127.0.0.1:0", []string{d.seed}
		cfg.DataDir, cfg.Slots = filepath.Join(d.dir, string(cfg.ID)), d.context.Int("slots")
		cfg.Store = d.context.String("store")
		cfg.Registry, cfg.Logger = dataflow.NewRegistry(jobs.Programs()...), log
		n, err := node.New(cfg)
		if err != nil {
			return err
		}
		d.runs = append(d.runs, n.Run)
	}
	return nil
}

// nextPort returns the address with the port behind the given one, or any when that is any. What is no address stays as it
// is: whoever binds it complains.
func nextPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	if n, bad := strconv.Atoi(port); err == nil && bad == nil && n > 0 {
		return net.JoinHostPort(host, strconv.Itoa(n+1))
	}
	return address
}

// use waits for the cluster, runs the job if there is one, and returns when there is nothing left to do.
func (d *devCluster) use(ctx context.Context, request *api.SubmitJobRequest) error {
	client := transport.NewClient(d.addrs, transport.ClientOptions{})
	defer client.Close()
	status, err := d.awaitReady(ctx, client)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Up: coordinators %d, nodes %d; %s leads in term %d\n", len(d.addrs), len(status.Nodes), status.Leader.ID, status.Leader.Term)
	fmt.Fprintf(d.out, "In another terminal: coord status --addr %s\n", strings.Join(d.addrs, ","))
	fmt.Fprintf(d.out, "Nodes of your own join it with --join %s\n", d.seed)
	if request == nil {
		fmt.Fprintln(d.out, "Ctrl-C stops it.")
		return d.untilStopped(ctx)
	}
	if err := d.runJob(ctx, client, *request); err != nil {
		return err
	}
	if d.context.Bool("keep") {
		fmt.Fprintln(d.out, "Ctrl-C stops the cluster.")
		return d.untilStopped(ctx)
	}
	return nil
}

// untilStopped waits for a signal, which is no error, or for a part of the cluster to fail, which is.
func (d *devCluster) untilStopped(ctx context.Context) error {
	<-ctx.Done()
	if errors.As(context.Cause(ctx), new(daemon.ErrInterrupted)) {
		return nil
	}
	return context.Cause(ctx)
}

const devPoll = 100 * time.Millisecond

func (d *devCluster) awaitReady(ctx context.Context, client api.Service) (api.Status, error) {
	for {
		s, err := client.Status(ctx)
		if err == nil && s.Leader.ID != "" && len(s.Nodes) == d.context.Int("nodes") {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, context.Cause(ctx)
		case <-time.After(devPoll):
		}
	}
}

func (d *devCluster) runJob(ctx context.Context, client api.Service, request api.SubmitJobRequest) error {
	job, err := client.SubmitJob(ctx, request)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "Job %s submitted, ID %s\n", job.Name, job.ID)
	last := ""
	for {
		detail, err := client.ShowJob(ctx, job.ID)
		if err == nil {
			line := fmt.Sprintf("%s: attempt %d, checkpoints completed: %d", detail.State, detail.Attempt, detail.Checkpoints.Completed)
			if detail.Reason != "" {
				line += "; " + detail.Reason
			}
			if line != last {
				fmt.Fprintln(d.out, line)
				last = line
			}
			switch detail.State {
			case "FINISHED":
				return nil
			case "FAILED", "CANCELED":
				return fmt.Errorf("the job is %s: %s", detail.State, detail.Reason)
			}
		}
		select {
		case <-ctx.Done():
			return d.untilStopped(ctx)
		case <-time.After(5 * devPoll):
		}
	}
}
