package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"cairn/dataflow/executor"
	"cairn/dataflow/pebblestate"
	"cairn/internal/daemon"
	"cairn/internal/version"
	"cairn/transport"
)

// Agent is a running task node. Create one with New.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	endpoint *daemon.Endpoint
	server   *transport.Server
	store    *ownStore
	rows     *pebblestate.Backend
	executor *executor.Executor
}

// workFolder is the folder of a node's data directory that holds the state of running tasks, for jobs with
// state.backend pebble.
const workFolder = "work"

// New opens the node's ports and its data directory. It takes part in nothing before Run.
func New(cfg Config) (_ *Agent, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, log: cfg.Logger.With("node", cfg.ID)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.endpoint, err = daemon.OpenEndpoint(cfg.EndpointConfig); err != nil {
		return nil, err
	}
	if err = daemon.ClaimDataDir(cfg.DataDir, cfg.Role, cfg.ID); err != nil {
		return nil, err
	}
	if a.store, err = openStore(cfg, a.endpoint, a.log); err != nil {
		return nil, err
	}
	workDir := filepath.Join(cfg.DataDir, workFolder)
	if err = os.RemoveAll(workDir); err != nil { // what the tasks of a process that crashed have left
		return nil, err
	}
	if a.rows, err = pebblestate.New(pebblestate.Options{Logger: a.log}); err != nil {
		return nil, err
	}
	a.executor, err = executor.New(executor.Config{
		Self: a.endpoint.Self, Slots: cfg.Slots, Zone: cfg.Zone, SharedStore: a.store.shared, Version: version.Version, Registry: cfg.Registry,
		Store: a.store.tasks, Sweeper: a.store.swept, Custodian: a.store.custodian, Dialer: Connector(a.endpoint.Dialer), OrphanTimeout: cfg.OrphanTimeout,
		CancellationTimeout: cfg.CancellationTimeout, Fatal: a.fatal, Logger: cfg.Logger,
		Rows: a.rows, WorkDir: workDir,
	})
	if err != nil {
		return nil, err
	}
	a.server = transport.NewServer(PeerServices(a.executor, a.store.swept, a.log))
	return a, nil
}

// Run serves until ctx is done, or until something it cannot do without fails. It returns nil after a stop that
// ctx asked for.
func (a *Agent) Run(ctx context.Context) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var serving, running sync.WaitGroup
	start := func(group *sync.WaitGroup, what string, run func(context.Context) error) {
		group.Go(func() {
			if err := run(work); err != nil && work.Err() == nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	start(&serving, "server", func(context.Context) error { return a.server.Serve(a.endpoint.Mux.GRPC()) })
	start(&running, "executor", a.executor.Run)
	start(&running, "gossip", a.endpoint.Gossip.Run)
	start(&running, "sessions", a.keepSessions)
	start(&running, "scrub", a.scrub)
	a.log.Info("node is up", "address", a.endpoint.Self.Address, "gossip", a.endpoint.Gossip.LocalAddr(), "slots", a.cfg.Slots,
		"data_dir", a.cfg.DataDir, "store", a.cfg.Store, "programs", a.cfg.Registry.Names())

	select {
	case <-ctx.Done():
		a.endpoint.SayGoodbye()
	case <-work.Done():
	}
	cancel(nil)
	err := context.Cause(work)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	running.Wait()
	err = errors.Join(err, a.endpoint.CloseServer(a.server))
	serving.Wait()
	return errors.Join(err, a.close())
}

// exitFatal is the exit code of a node that has given itself up, as Flink's.
const exitFatal = 239

// fatal ends the process as a crash would: what made it necessary does not let it stop in order. The leader sees the
// sessions break, and whoever supervises the process starts it anew.
func (a *Agent) fatal(cause error) {
	a.log.Error("fatal: the process ends", "cause", cause, "exit_code", exitFatal)
	os.Exit(exitFatal)
}

// close releases what New has opened.
func (a *Agent) close() error {
	var err error
	if a.endpoint != nil {
		err = a.endpoint.Close()
	}
	if a.rows != nil {
		a.rows.Close()
	}
	if a.store != nil {
		err = errors.Join(err, a.store.close())
	}
	return err
}
