package cliargs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is a mistake in the command line.
type usageError struct {
	message string
	usage   string // how the command is used, in one line; empty when that does not help
}

// Error returns the message and, on a second line, the usage.
func (e *usageError) Error() string {
	if e.usage == "" {
		return e.message
	}
	return e.message + "\nUsage: " + e.usage
}

// ExitCode makes it a cli.ExitCoder.
func (e *usageError) ExitCode() int { return exitUsage }

// Usagef returns an error about the command line of the command that c runs. Run prints it with the command's
// usage line and exits with code 2.
func Usagef(c *cli.Context, format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...), usage: usageLine(c.Command)}
}

func usageLine(c *cli.Command) string {
	line := c.HelpName
	if len(c.VisibleFlags()) > 0 {
		line += " [options]"
	}
	switch {
	case c.ArgsUsage != "":
		line += " " + c.ArgsUsage
	case len(c.Subcommands) > 0:
		line += " COMMAND"
	}
	return line
}

// makeStrict sets what the App leaves open, so that every mistake comes back as a usageError and cli neither
// prints errors nor exits by itself.
func makeStrict(app *cli.App) {
	app.HideHelpCommand = true
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = flagError
	app.Action = noCommand
	makeCommandsStrict(app.Commands)
}

func makeCommandsStrict(commands []*cli.Command) {
	for _, c := range commands {
		// Without this, cli adds a command "help" below every command, which an argument of that name runs.
		c.HideHelpCommand = true
		c.OnUsageError = flagError
		if len(c.Subcommands) == 0 {
			c.Action = countedArguments(c.ArgsUsage, c.Action)
			continue
		}
		c.Action = noCommand
		if c.ArgsUsage == "" {
			c.ArgsUsage = "COMMAND"
		}
		makeCommandsStrict(c.Subcommands)
	}
}

// noCommand is the action of the App and of a command that only groups others. It runs when none of the others
// was named.
func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return &usageError{message: unknown("command", name, c.Command.HelpName, commandNames(c.Command.Subcommands), "")}
	}
	if c.Command.HelpName == c.App.HelpName {
		cli.HelpPrinter(c.App.ErrWriter, cli.AppHelpTemplate, c.App)
	} else {
		cli.HelpPrinter(c.App.ErrWriter, cli.SubcommandHelpTemplate, c.Command)
	}
	return &usageError{} // the help says it all
}

func commandNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// countedArguments wraps a command's action in the check of its number of arguments.
func countedArguments(argsUsage string, action cli.ActionFunc) cli.ActionFunc {
	words := strings.Fields(argsUsage)
	required, unbounded := 0, strings.HasSuffix(strings.TrimSuffix(argsUsage, "]"), "...")
	for _, w := range words {
		if !strings.HasPrefix(w, "[") {
			required++
		}
	}
	return func(c *cli.Context) error {
		got := c.Args().Slice()
		switch {
		case len(got) < required:
			return Usagef(c, "%q needs %s, got %d of %d arguments", c.Command.HelpName, argsUsage, len(got), required)
		case unbounded:
		case len(got) > len(words) && len(words) == 0:
			return Usagef(c, "%q takes no arguments, got %q", c.Command.HelpName, got[0])
		case len(got) > len(words):
			return Usagef(c, "%q takes only %s, got also %q", c.Command.HelpName, argsUsage, got[len(words)])
		}
		return action(c)
	}
}

// What package flag, which has no typed errors, says of a flag: unknown, without its value, or with a bad one.
const (
	notDefined = "flag provided but not defined: -"
	noValue    = "flag needs an argument: -"
)

var badValue = regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?-([^ :]+): (.*)$`)

// flagError rewords what package flag says.
func flagError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, is := strings.CutPrefix(text, notDefined); is {
		return Usagef(c, "%s", unknown("flag", dashed(name), c.Command.HelpName, flagNames(c.Command), "--"))
	}
	if name, is := strings.CutPrefix(text, noValue); is {
		return Usagef(c, "%s needs a value", dashed(name))
	}
	if m := badValue.FindStringSubmatch(text); m != nil {
		value, name, cause := m[1], m[2], m[3]
		if cause == "parse error" {
			cause = "want " + wanted(lookup(c.Command.Flags, dashed(name)))
		}
		return Usagef(c, "%s %s: %s", dashed(name), value, cause)
	}
	return Usagef(c, "%s: %s", c.Command.HelpName, err)
}

// wanted says what values a flag takes.
func wanted(f cli.Flag) string {
	switch f.(type) {
	case *cli.DurationFlag:
		return "a duration, for example 500ms or 10s"
	case *cli.IntFlag, *cli.Int64Flag, *cli.UintFlag, *cli.Uint64Flag:
		return "a whole number"
	case *cli.BoolFlag:
		return "true or false"
	}
	return "another value"
}

func flagNames(c *cli.Command) []string {
	var names []string
	for _, f := range c.VisibleFlags() {
		names = append(names, dashed(f.Names()[0]))
	}
	slices.Sort(names)
	return names
}

func dashed(flag string) string {
	if len(flag) == 1 {
		return "-" + flag
	}
	return "--" + flag
}

// unknown words the error about a command or flag that does not exist. The prefix, which all names of the kind
// share, does not count in the search for the nearest.
func unknown(kind, name, of string, known []string, prefix string) string {
	text := fmt.Sprintf("unknown %s %q for %q; known: %s", kind, name, of, strings.Join(known, ", "))
	var bare []string
	for _, k := range known {
		bare = append(bare, strings.TrimPrefix(k, prefix))
	}
	if nearest := Nearest(strings.TrimPrefix(name, prefix), bare); nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", prefix+nearest)
	}
	return text
}
