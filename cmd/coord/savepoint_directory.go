package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/membership"
	"cairn/node"
	"cairn/statestore"
	"cairn/transport"
)

// savepointDirectories copies savepoints between nodes and directories. progress is told how many bytes of how many
// have been dealt with.
type savepointDirectories interface {
	// save copies a savepoint, with every chunk that it names, into a directory that must be new or empty.
	save(ctx context.Context, nodes []api.Node, from exportable, dir string, progress func(done, total int64)) (exported, error)
	// open verifies all of an exported savepoint.
	open(ctx context.Context, dir string, progress func(done, total int64)) (importable, error)
}

// exportable is a savepoint that is kept in the cluster.
type exportable struct {
	manifest checkpoint.ChunkRef
	jobName  string
}

// exported says what was written.
type exported struct {
	Directory string `json:"directory"`
	Chunks    int    `json:"chunks"`
	Bytes     int64  `json:"bytes"`
}

// importable is an exported savepoint that has been verified.
type importable interface {
	about() aboutExported
	// storeManifest stores the manifest on the nodes, and storeChunks, behind it, what of the chunks is not there yet. It
	// returns how many it has stored.
	storeManifest(ctx context.Context, nodes []api.Node) error
	storeChunks(ctx context.Context, nodes []api.Node, progress func(done, total int64)) (stored int, err error)
}

// aboutExported says what is in a directory.
type aboutExported struct {
	directory string
	job       string // ID
	jobName   string // empty when it is not known
	id        uint64
	manifest  checkpoint.ChunkRef
	chunks    int
	bytes     int64
}

// aliveNodes returns the nodes that could hold or take chunks.
func (s session) aliveNodes(ctx context.Context) ([]api.Node, error) {
	status, err := s.service.Status(ctx)
	if err != nil {
		return nil, err
	}
	var alive []api.Node
	for _, n := range status.Nodes {
		if n.State == "alive" {
			alive = append(alive, n)
		}
	}
	if len(alive) == 0 {
		return nil, errors.New("no task node is alive that could hold the savepoint's state; see coord status")
	}
	return alive, nil
}

// checkEmpty refuses a directory that has something in it, before anything is done for it.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("it is not empty (it holds %s): name a new or an empty directory", entries[0].Name())
	}
	return nil
}

// nodeDirectories talks to the nodes' chunk service.
type nodeDirectories struct{}

func (nodeDirectories) save(ctx context.Context, nodes []api.Node, from exportable, dir string, progress func(done, total int64)) (exported, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return exported{}, err
	}
	var m checkpoint.Manifest
	err = withChunks(nodes, func(store *statestore.Remote) error {
		m, err = statestore.Export(ctx, store, from.manifest, from.jobName, abs, progress)
		return err
	})
	e := exported{Directory: abs}
	e.Chunks, e.Bytes = chunksOf(m)
	return e, err
}

func (nodeDirectories) open(ctx context.Context, dir string, progress func(done, total int64)) (importable, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	x, err := statestore.OpenExported(ctx, abs, progress)
	return directory{x, abs}, err
}

// directory is an exported savepoint on this machine.
type directory struct {
	*statestore.Exported
	path string
}

func (d directory) about() aboutExported {
	m := d.Manifest()
	a := aboutExported{directory: d.path, job: m.Job.String(), jobName: d.JobName(), id: uint64(m.ID), manifest: d.Ref()}
	a.chunks, a.bytes = d.Size()
	return a
}

func (d directory) storeManifest(ctx context.Context, nodes []api.Node) error {
	return withChunks(nodes, func(store *statestore.Remote) error { return d.StoreManifest(ctx, store) })
}

func (d directory) storeChunks(ctx context.Context, nodes []api.Node, progress func(done, total int64)) (stored int, err error) {
	err = withChunks(nodes, func(store *statestore.Remote) error {
		stored, err = d.StoreChunks(ctx, store, progress)
		return err
	})
	return stored, err
}

// withChunks lets f use the chunks of the nodes.
func withChunks(nodes []api.Node, f func(*statestore.Remote) error) error {
	dialer := transport.NewDialer(transport.DialerOptions{})
	options := statestore.DefaultOptions()
	err := f(statestore.NewRemote(node.StorePeers(roster(nodes), dialer, "", options.Replicas), options))
	return errors.Join(err, dialer.Close())
}

// roster is a node.Roster of nodes that a coordinator called alive.
type roster []api.Node

// Members implements node.Roster.
func (r roster) Members() []membership.Member {
	members := make([]membership.Member, len(r))
	for i, n := range r {
		members[i] = membership.Member{
			ID: checkpoint.NodeID(n.ID), Role: membership.RoleNode, RPCAddr: n.Address, State: membership.StateAlive,
		}
	}
	return members
}

// chunksOf counts the chunks that a manifest names, each once, and their bytes.
func chunksOf(m checkpoint.Manifest) (n int, bytes int64) {
	seen := make(map[checkpoint.ChunkID]bool)
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			for _, c := range h.Chunks {
				if !seen[c.ID] {
					seen[c.ID] = true
					bytes += c.Size
				}
			}
		}
	}
	return len(seen), bytes
}
