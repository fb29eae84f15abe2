package cliargs

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// Permute returns args, a command line without the program's name, in the only order in which cli parses
// all of it: each command's flags directly behind the command, and the arguments last.
//
//   - Flags and arguments of the last command may be mixed. "--" ends the flags.
//   - A flag in front of a command belongs to the command where the flag is not known but the command, or one
//     below it, knows it.
//   - "help", where no command has that name, and the help flag anywhere ask for the last command's help. What
//     else stands there is dropped, because cli would take arguments for topics.
//   - A flag that nobody knows stays in front of the arguments, and what follows an unknown command stays as it
//     is, so that cli finds the mistake.
//
// Flags that combine several letters (-ab for -a -b) are not supported.
func Permute(app *cli.App, args []string) []string {
	flags, commands := app.Flags, app.Commands
	if !app.HideVersion {
		flags = append(slices.Clip(flags), cli.VersionFlag)
	}
	var path []string    // commands, each with the flags of its own
	var carried []string // flags that stood in front of their command
	help := false
	for len(args) > 0 {
		token := args[0]
		child := command(commands, token)
		switch {
		case child != nil:
			path, args = append(path, token), args[1:]
			if len(child.Subcommands) == 0 {
				return slices.Concat(path, permuteLeaf(child, carried, args, help))
			}
			flags, commands = child.Flags, child.Subcommands
		case token == "help":
			help, args = true, args[1:]
		case isFlag(token):
			f, here := lookup(flags, token), true
			if f == nil {
				f, here = lookupBelow(commands, token), false
			}
			n := span(f, args)
			switch {
			case f != nil && here:
				path = append(path, args[:n]...)
			case f != nil:
				carried = append(carried, args[:n]...)
			case isHelp(token):
				help = true
			default:
				return slices.Concat(path, args)
			}
			args = args[n:]
		default: // an unknown command, or "--"
			return slices.Concat(path, args)
		}
	}
	if help {
		path = append(path, "--help")
	}
	return path
}

// permuteLeaf orders what follows the last command.
func permuteLeaf(c *cli.Command, carried, args []string, help bool) []string {
	if c.SkipFlagParsing {
		return slices.Concat(carried, args)
	}
	flags, positionals := carried, []string(nil)
	for len(args) > 0 {
		token := args[0]
		if token == "--" {
			// The first argument may look like a flag, so the mark stays.
			positionals = slices.Concat([]string{"--"}, positionals, args[1:])
			break
		}
		if !isFlag(token) {
			positionals, args = append(positionals, token), args[1:]
			continue
		}
		f := lookup(c.Flags, token)
		help = help || f == nil && isHelp(token)
		n := span(f, args)
		flags, args = append(flags, args[:n]...), args[n:]
	}
	if help {
		return []string{"--help"}
	}
	return append(flags, positionals...)
}

func command(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

// isFlag reports whether a token is a flag; a lone dash is an argument.
func isFlag(token string) bool { return len(token) > 1 && token[0] == '-' }

// flagName returns the name in -name, --name, -name=value or --name=value.
func flagName(token string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(token[1:], "-"), "=")
	return name
}

func isHelp(token string) bool {
	return cli.HelpFlag != nil && slices.Contains(cli.HelpFlag.Names(), flagName(token))
}

func lookup(flags []cli.Flag, token string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), flagName(token)) {
			return f
		}
	}
	return nil
}

// lookupBelow finds a flag of any command below. Flags of the same name are of the same kind, so the first will
// do.
func lookupBelow(commands []*cli.Command, token string) cli.Flag {
	for _, c := range commands {
		if f := lookup(c.Flags, token); f != nil {
			return f
		}
		if f := lookupBelow(c.Subcommands, token); f != nil {
			return f
		}
	}
	return nil
}

// span returns how many of args, which starts with a flag, the flag takes: itself, and its value when that is a
// token of its own. A value may look like a flag, as in package flag.
func span(f cli.Flag, args []string) int {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok || !d.TakesValue() || strings.Contains(args[0], "=") {
		return 1
	}
	return min(2, len(args))
}
