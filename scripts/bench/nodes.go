package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/executor"
	"cairn/membership"
	"cairn/node"
	"cairn/statestore"
	"cairn/transport"
)

// benchNodes are task nodes in this process: executors with stores of their own, which reach each other over connections
// of the loopback interface.
type benchNodes []*benchNode

// benchNode is what a node process consists of, without gossip and sessions.
type benchNode struct {
	self     checkpoint.NodeRef
	mux      *transport.Mux
	dialer   *transport.Dialer
	own      *ownStore
	store    *statestore.Replicated // as tasks use it: a copy here, and one on another node if there is one
	executor *executor.Executor
	server   *transport.Server
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// openNodes opens and starts so many nodes, which run the programs. The caller closes them.
func openNodes(dir string, count int, programs ...dataflow.Program) (_ benchNodes, err error) {
	var nodes benchNodes
	defer func() {
		if err != nil {
			err = errors.Join(err, nodes.close())
		}
	}()
	var members roster
	for i := range count {
		id := checkpoint.NodeID(fmt.Sprint("n", i+1))
		n, err := openNode(filepath.Join(dir, string(id)), id)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		members = append(members, membership.Member{
			ID: n.self.ID, Role: membership.RoleNode, RPCAddr: n.self.Address, State: membership.StateAlive,
		})
	}
	for _, n := range nodes {
		if err := n.start(members, programs...); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

func openNode(dir string, id checkpoint.NodeID) (*benchNode, error) {
	mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{})
	if err != nil {
		return nil, err
	}
	own, err := openStore(dir)
	if err != nil {
		return nil, errors.Join(err, mux.Close())
	}
	self := checkpoint.NodeRef{ID: id, Incarnation: 1, Address: mux.Addr().String()}
	return &benchNode{self: self, mux: mux, own: own, dialer: transport.NewDialer(transport.DialerOptions{})}, nil
}

func (n *benchNode) start(members roster, programs ...dataflow.Program) (err error) {
	n.store = n.own.replicated(n.self.ID, members, n.dialer)
	n.executor, err = executor.New(executor.Config{
		Self: n.self, Slots: 16, Registry: dataflow.NewRegistry(programs...), Store: n.store,
		Sweeper: n.own.swept, Dialer: node.Connector(n.dialer), Logger: quiet,
	})
	if err != nil {
		return err
	}
	n.server = transport.NewServer(node.PeerServices(n.executor, n.own.swept, quiet))
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.running.Go(func() { _ = n.server.Serve(n.mux.GRPC()) }) // without it, the others' calls fail
	n.running.Go(func() { _ = n.executor.Run(ctx) })
	return nil
}

// delete removes what a checkpoint has and a newer one has not, on all nodes.
func (nodes benchNodes) delete(ctx context.Context, old, newer *taken) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, n.own.delete(ctx, old, newer))
	}
	return errors.Join(errs...)
}

func (nodes benchNodes) close() error {
	var errs []error
	for _, n := range nodes {
		if n.stop != nil {
			n.stop()
		}
	}
	for _, n := range nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}

func (n *benchNode) close() error {
	closing, cancel := context.WithCancel(context.Background())
	cancel() // nobody is waited for
	errs := []error{n.dialer.Close()}
	if n.server != nil {
		if err := n.server.Close(closing); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, n.mux.Close())
	n.running.Wait()
	return errors.Join(append(errs, n.own.close())...)
}
