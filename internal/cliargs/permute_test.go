package cliargs

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"pgregory.net/rapid"
)

// newApp has one command of each kind: plain, nested, and one that parses its own flags.
func newApp(action cli.ActionFunc) *cli.App {
	shared := func() []cli.Flag {
		return []cli.Flag{
			&cli.StringSliceFlag{Name: "addr", Aliases: []string{"a"}},
			&cli.BoolFlag{Name: "json"},
		}
	}
	return &cli.App{
		Name:    "tool",
		Version: "1",
		Flags:   []cli.Flag{&cli.StringFlag{Name: "config"}},
		Commands: []*cli.Command{
			{Name: "status", Flags: shared(), Action: action},
			{Name: "job", Subcommands: []*cli.Command{
				{Name: "list", Aliases: []string{"ls"}, Flags: shared(), Action: action},
				{Name: "show", ArgsUsage: "JOB", Flags: shared(), Action: action},
				{Name: "copy", ArgsUsage: "FROM TO [NOTE]", Flags: shared(), Action: action},
				{Name: "set", ArgsUsage: "JOB [KEY=VALUE...]", Flags: shared(), Action: action},
				{Name: "old", Hidden: true, Action: action},
			}},
			{Name: "exec", ArgsUsage: "COMMAND", SkipFlagParsing: true, Action: action},
		},
	}
}

func TestPermute(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"nothing", "", ""},
		{"in order already", "job show --json x", "job show --json x"},
		{"flag after the argument", "job show x --json", "job show --json x"},
		{"value in a token of its own", "job show x --addr h:1 y", "job show --addr h:1 x y"},
		{"value behind an equals sign", "job show x --addr=h:1 y", "job show --addr=h:1 x y"},
		{"bool flag takes no token", "job show --json x --addr h y", "job show --json --addr h x y"},
		{"bool flag with a value", "job show x --json=false", "job show --json=false x"},
		{"one dash", "job show x -json -addr h", "job show -json -addr h x"},
		{"short alias", "job show x -a h", "job show -a h x"},
		{"repeated flag keeps its order", "job show -a 1 x -a 2 --addr 3", "job show -a 1 -a 2 --addr 3 x"},
		{"value that looks like a flag", "job show x --addr --json", "job show --addr --json x"},
		{"missing value", "job show x --addr", "job show --addr x"},
		{"double dash ends the flags", "job copy x --json -- --addr y", "job copy --json -- x --addr y"},
		{"double dash as a value", "job copy x --addr -- y", "job copy --addr -- x y"},
		{"lone dash is an argument", "job show - --json", "job show --json -"},
		{"unknown flag goes to the front", "job show x --nope --json", "job show --nope --json x"},
		{"unknown flag with a value", "job show x --nope=1", "job show --nope=1 x"},
		{"command alias", "job ls x --json", "job ls --json x"},
		{"flag before the command", "--json status", "status --json"},
		{"flags between the commands", "job --addr h --json show x", "job show --addr h --json x"},
		{"flag of the program stays", "--config f status --json", "--config f status --json"},
		{"version stays", "--version", "--version"},
		{"unknown flag before the command", "--nope job list", "--nope job list"},
		{"unknown command", "job nope x --json", "job nope x --json"},
		{"command missing", "job --json", "job"},
		{"double dash before the command", "job -- list", "job -- list"},
		{"own parsing is left alone", "exec ls -l --json x", "exec ls -l --json x"},
		{"help alone", "help", "--help"},
		{"help on a command", "help job show", "job show --help"},
		{"help below a command", "job help show", "job show --help"},
		{"help flag drops the arguments", "job show x --help --json", "job show --help"},
		{"help flag before the command", "-h job", "job --help"},
		{"help as an argument", "job show help", "job show help"},
		{"help as a value", "job show --addr --help x", "job show --addr --help x"},
		{"help after a double dash", "job show -- --help", "job show -- --help"},
		{"help on an unknown command", "help nope", "nope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := strings.Fields(c.args)
			given := slices.Clone(args)
			if got := strings.Join(Permute(newApp(nil), args), " "); got != c.want {
				t.Errorf("Permute(%s) = %s, want %s", c.args, got, c.want)
			}
			if !slices.Equal(args, given) {
				t.Errorf("the caller's arguments became %q", args)
			}
		})
	}
}

func TestPermuteLosesNothingAndHappensOnce(t *testing.T) {
	token := rapid.SampledFrom([]string{"x", "y", "-", "--json", "--addr", "--addr=h", "-a", "--nope", "--"})
	rapid.Check(t, func(t *rapid.T) {
		args := append([]string{"job", "copy"}, rapid.SliceOf(token).Draw(t, "args")...)
		once := Permute(newApp(nil), args)
		if a, b := sorted(args), sorted(once); !slices.Equal(a, b) {
			t.Fatalf("%q became %q: not the same tokens", args, once)
		}
		if twice := Permute(newApp(nil), once); !slices.Equal(once, twice) {
			t.Fatalf("%q became %q and then %q", args, once, twice)
		}
	})
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
