// Command coord is one coordinator of a Cairn cluster, and the command line to the whole of it.
//
// The client commands call api.Service on any coordinator and print what it says: a table, or with --json the
// very structs of package api. Their exit code is 0 when they did what they were told, 1 when the cluster could
// not be reached or refused, and 2 when the command line is wrong or, for status, when there is no leader.
package main

import (
	"context"
	"os"

	"github.com/urfave/cli/v2"

	"cairn/internal/cliargs"
	"cairn/internal/version"
)

func main() {
	con := newConsole(os.Stdin, os.Stdout, os.Stderr)
	app := newApp(append([]*cli.Command{agentCommand(), devCommand()}, clientCommands(con)...))
	os.Exit(cliargs.Run(context.Background(), app, os.Args[1:]))
}

func newApp(commands []*cli.Command) *cli.App {
	return &cli.App{
		Name:     "coord",
		Usage:    "coordinator of a Cairn cluster, and the command line to it",
		Version:  version.Version,
		Commands: commands,
	}
}

func clientCommands(con *console) []*cli.Command {
	return []*cli.Command{
		statusCommand(con),
		membersCommand(con),
		programCommand(con),
		jobCommand(con),
		checkpointCommand(con),
		savepointCommand(con),
		nodeCommand(con),
		storeCommand(con),
		operatorCommand(con),
		versionCommand(con),
	}
}
