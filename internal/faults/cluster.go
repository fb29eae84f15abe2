package faults

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/pebblestate"
)

const numCoordinators = 3

var (
	coordinatorIDs = []checkpoint.NodeID{"c1", "c2", "c3"}
	nodeIDs        = []checkpoint.NodeID{"n1", "n2", "n3", "n4"} // unless the scenario says how many
)

// cluster is the processes of a cluster and what they share. Its methods may be called from any goroutine of its bubble.
type cluster struct {
	log      *slog.Logger
	registry *dataflow.Registry
	network  *network
	rows     *pebblestate.Backend // of all nodes
	workDir  string               // for their rows
	slots    int                  // of each node
	initial  []checkpoint.NodeID  // the nodes at the start
	keeping  Keeping
	links    links
	hold     hold
	moments  moments
	running  sync.WaitGroup // everything that was started
	repairs  sync.WaitGroup // of what faults have broken

	mu struct {
		sync.Mutex
		replicas  map[checkpoint.NodeID]*replica // those that are alive
		nodes     map[checkpoint.NodeID]*node    // those that are alive
		disks     map[checkpoint.NodeID]disk
		damaged   map[damagedCopy]bool   // copies that the nodes have found to be bad
		processes checkpoint.Incarnation // of nodes, ever started
	}
}

// startCluster starts three coordinators and the nodes, which can run the scenario's program, as it is given here.
func startCluster(log *slog.Logger, random *rand.Rand, s Scenario, program dataflow.Program) (*cluster, error) {
	rows, err := pebblestate.New(pebblestate.Options{BlockCacheSize: 8 << 20, MemTableSize: 256 << 10, Logger: log})
	if err != nil {
		return nil, err
	}
	c := &cluster{
		initial: nodeIDs, keeping: s.Keeping.withDefaults(), moments: moments{waiting: make(map[*momentWait]bool)},
		log: log, registry: dataflow.NewRegistry(program), rows: rows, workDir: s.WorkDir, slots: s.Slots, network: newNetwork(rand.New(rand.NewPCG(random.Uint64(), 0))),
		links: links{open: make(map[*link]bool)},
	}
	c.mu.replicas, c.mu.nodes = make(map[checkpoint.NodeID]*replica), make(map[checkpoint.NodeID]*node)
	c.mu.disks, c.mu.damaged = make(map[checkpoint.NodeID]disk), make(map[damagedCopy]bool)
	if s.Nodes > 0 {
		c.initial = nodeIDs[:s.Nodes]
	}
	for _, id := range coordinatorIDs {
		if err := c.startCoordinator(id, blankDisk()); err != nil {
			return c, err
		}
	}
	for _, id := range c.initial {
		if err := c.startNode(id); err != nil {
			return c, err
		}
	}
	return c, nil
}

// close ends everything, after what faults have broken has been repaired.
func (c *cluster) close() {
	c.repairs.Wait()
	for _, id := range c.aliveNodes() {
		c.killNode(id)
	}
	for _, id := range coordinatorIDs {
		if r := c.coordinatorOf(id); r != nil {
			c.killCoordinator(r)
		}
	}
	for _, l := range c.links.matching(func(*link) bool { return true }) {
		l.fail(errDown)
	}
	c.running.Wait()
	c.rows.Close()
	time.Sleep(time.Second) // virtual time: what raft had on the way to those that are gone times out
}

// clientPatience is how long a client goes on asking.
const clientPatience = 30 * time.Second

// ask makes a call to the leader, whichever coordinator that is, and again while there is none. The call must be one that
// may be made twice.
func ask[T any](ctx context.Context, c *cluster, call func(context.Context, api.Service) (T, error)) (T, error) {
	until := time.Now().Add(clientPatience)
	for {
		v, err := askOnce(ctx, c, call)
		if err == nil || !noAnswer(err) || time.Now().After(until) {
			return v, err
		}
		time.Sleep(20 * time.Millisecond) // virtual time
	}
}

// noAnswer reports whether it takes another coordinator, or time, to get an answer.
func noAnswer(err error) bool {
	code := api.CodeOf(err)
	return code == api.NotLeader || code == api.Unavailable
}

// askOnce asks the coordinators one after the other until one answers.
func askOnce[T any](ctx context.Context, c *cluster, call func(context.Context, api.Service) (T, error)) (v T, err error) {
	err = api.Errorf(api.Unavailable, "no coordinator runs")
	for _, id := range coordinatorIDs {
		r := c.coordinatorOf(id)
		if r == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(forwarded(ctx), 5*time.Second)
		v, err = call(ctx, r.Service())
		cancel()
		if err == nil || !noAnswer(err) {
			return v, err
		}
	}
	return v, err
}

// status returns what the leader says of the cluster.
func (c *cluster) status(ctx context.Context) (api.Status, error) {
	return askOnce(ctx, c, func(ctx context.Context, s api.Service) (api.Status, error) {
		status, err := s.Status(ctx)
		if err == nil && status.Stale {
			err = api.Errorf(api.NotLeader, "%s does not lead", status.Replica.ID)
		}
		return status, err
	})
}

// job returns everything about a job.
func (c *cluster) job(ctx context.Context, name string) (api.JobDetail, error) {
	return ask(ctx, c, func(ctx context.Context, s api.Service) (api.JobDetail, error) { return s.ShowJob(ctx, name) })
}

// statistics returns what a job's checkpoints have come to.
func (c *cluster) statistics(ctx context.Context, name string) (api.CheckpointStatistics, error) {
	return ask(ctx, c, func(ctx context.Context, s api.Service) (api.CheckpointStatistics, error) {
		return s.CheckpointStatistics(ctx, name)
	})
}

// checkpoints returns the job's checkpoints that are remembered, newest first.
func (c *cluster) checkpoints(ctx context.Context, name string) ([]api.Checkpoint, error) {
	return ask(ctx, c, func(ctx context.Context, s api.Service) ([]api.Checkpoint, error) {
		return s.ListCheckpoints(ctx, name)
	})
}

// pick returns one of the items, none of an empty list.
func pick[T any](random *rand.Rand, items []T) (item T, found bool) {
	if len(items) == 0 {
		return item, false
	}
	return items[random.IntN(len(items))], true
}
