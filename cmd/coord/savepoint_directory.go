package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"cairn/api"
	"cairn/checkpoint"
)

// savepointDirectories copies savepoints between the nodes, whose addresses it is given, and directories.
type savepointDirectories interface {
	// save copies a savepoint, with every chunk that it names, into a directory that must be new or empty.
	save(ctx context.Context, nodes []string, manifest checkpoint.ChunkRef, dir string) (exported, error)
	// load copies an exported savepoint to the nodes, and returns what a job is to be submitted from. What the nodes
	// have already is not copied again.
	load(ctx context.Context, nodes []string, dir string) (api.Source, error)
}

// exported says how much was written into a directory.
type exported struct {
	Directory string `json:"directory"`
	Chunks    int    `json:"chunks"`
	Bytes     int64  `json:"bytes"`
}

// nodeAddresses returns where the living nodes are.
func (s session) nodeAddresses(ctx context.Context) ([]string, error) {
	status, err := s.service.Status(ctx)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for _, n := range status.Nodes {
		if n.State == "alive" {
			addresses = append(addresses, n.Address)
		}
	}
	if len(addresses) == 0 {
		return nil, errors.New("no task node is alive that could hold the savepoint's state; see coord status")
	}
	return addresses, nil
}

type nodeDirectories struct{}

func (nodeDirectories) save(ctx context.Context, nodes []string, manifest checkpoint.ChunkRef, dir string) (exported, error) {
	return exported{}, errors.New("not wired")
}

func (nodeDirectories) load(ctx context.Context, nodes []string, dir string) (api.Source, error) {
	return api.Source{}, errors.New("not wired")
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
