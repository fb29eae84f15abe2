package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

func programCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "program",
		Usage: "list and show the programs that can be run as jobs",
		Description: "The nodes run the programs that they were built with, and say what they do. Nodes of different builds\n" +
			"may stand side by side.",
		Subcommands: []*cli.Command{
			{
				Name:   "list",
				Usage:  "list the programs of the nodes that are alive",
				Flags:  clientFlags(defaultTimeout),
				Action: con.call(listPrograms),
			},
			{
				Name:      "show",
				Usage:     "show what a program does, and its parameters",
				ArgsUsage: "PROGRAM",
				Flags:     clientFlags(defaultTimeout),
				Action:    con.call(showProgram),
			},
		},
	}
}

func listPrograms(ctx context.Context, s session) error {
	programs, err := s.service.ListPrograms(ctx)
	if err != nil {
		return err
	}
	for i := range programs {
		programs[i] = withLists(programs[i])
	}
	if s.asJSON() {
		return writeJSON(s.out, list(programs))
	}
	var rows [][]string
	for _, p := range programs {
		rows = append(rows, []string{p.Name, strings.Join(p.Nodes, ","), p.Doc})
	}
	return writeTable(s.out, "No node is alive, so no program can be run.", []column{left("PROGRAM"), left("NODES"), left("WHAT IT DOES")}, rows)
}

func showProgram(ctx context.Context, s session) error {
	name := s.Args().First()
	programs, err := s.service.ListPrograms(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(programs, func(p api.Program) bool { return p.Name == name })
	if i < 0 {
		return unknownProgram(name, programs)
	}
	p := withLists(programs[i])
	if s.asJSON() {
		return writeJSON(s.out, p)
	}
	if err := writeFacts(s.out,
		say("Program", p.Name),
		say("Does", cmp.Or(p.Doc, "not said by its nodes")),
		say("Nodes", strings.Join(p.Nodes, ", ")),
	); err != nil {
		return err
	}
	return sections(s, func() error { return writeParams(s, p) })
}

func writeParams(s session, p api.Program) error {
	var rows [][]string
	for _, param := range p.Params {
		rows = append(rows, []string{param.Name, param.Doc})
	}
	return writeTable(s.out, "Its parameters are not documented.", []column{left("PARAMETER"), left("MEANING")}, rows)
}

func unknownProgram(name string, programs []api.Program) error {
	var known []string
	for _, p := range programs {
		known = append(known, p.Name)
	}
	if len(known) == 0 {
		return fmt.Errorf("no node is alive, so no program is known")
	}
	hint := ""
	if near := cliargs.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("; did you mean %s?", oneLine(near))
	}
	return fmt.Errorf("no node has a program %q; they have %s%s", name, oneLine(strings.Join(known, ", ")), hint)
}

// withLists makes empty lists of what JSON would show as null.
func withLists(p api.Program) api.Program {
	p.Params, p.Nodes = list(p.Params), list(p.Nodes)
	return p
}
