package cliargs

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name, args string
		code       int
		stderr     string // the whole of it
	}{
		{"success", "status", 0, ""},
		{"flags behind the arguments", "job show x --json --addr h", 0, ""},
		{"optional argument given", "job copy a b c", 0, ""},
		{"optional argument left out", "job copy a b", 0, ""},
		{"any number of arguments", "job set x a=1 b=2 c=3 --json", 0, ""},
		{"none of any number", "job set x", 0, ""},
		{"argument named help", "job show help", 0, ""},
		{"argument named h", "job show h", 0, ""},
		{"argument like a flag", "job show -- --json", 0, ""},
		{"hidden command", "job old", 0, ""},
		{"unknown command", "statsu", 2, `Error: unknown command "statsu" for "tool"; known: exec, job, status; did you mean "status"?`},
		{"unknown command far from all", "frobnicate", 2, `Error: unknown command "frobnicate" for "tool"; known: exec, job, status`},
		{"unknown command below", "job shwo x --json", 2, `Error: unknown command "shwo" for "tool job"; known: copy, list, set, show; did you mean "show"?`},
		{"unknown command after help", "help nope", 2, `Error: unknown command "nope" for "tool"; known: exec, job, status`},
		{"unknown flag", "job show x --jsn", 2,
			`Error: unknown flag "--jsn" for "tool job show"; known: --addr, --help, --json; did you mean "--json"?` +
				"\nUsage: tool job show [options] JOB"},
		{"unknown flag of the program", "--nope", 2,
			`Error: unknown flag "--nope" for "tool"; known: --config, --help, --version` + "\nUsage: tool [options] COMMAND"},
		{"bad value", "job list --json=maybe", 2,
			`Error: --json "maybe": want true or false` + "\nUsage: tool job list [options]"},
		{"missing value", "job list --addr", 2,
			"Error: --addr needs a value\nUsage: tool job list [options]"},
		{"too few arguments", "job copy a", 2,
			`Error: "tool job copy" needs FROM TO [NOTE], got 1 of 2 arguments` + "\nUsage: tool job copy [options] FROM TO [NOTE]"},
		{"too few before any number", "job set", 2,
			`Error: "tool job set" needs JOB [KEY=VALUE...], got 0 of 1 arguments` + "\nUsage: tool job set [options] JOB [KEY=VALUE...]"},
		{"too many arguments", "job show a b", 2,
			`Error: "tool job show" takes only JOB, got also "b"` + "\nUsage: tool job show [options] JOB"},
		{"no arguments wanted", "status a", 2,
			`Error: "tool status" takes no arguments, got "a"` + "\nUsage: tool status [options]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ran := 0
			code, stdout, stderr := runApp(t, newApp(func(*cli.Context) error { ran++; return nil }), c.args)
			if code != c.code || strings.TrimSpace(stderr) != c.stderr {
				t.Errorf("exit code %d, want %d; stderr:\n%s\nwant:\n%s", code, c.code, stderr, c.stderr)
			}
			if stdout != "" {
				t.Errorf("unexpected output: %s", stdout)
			}
			if want := map[bool]int{true: 1, false: 0}[c.code == 0]; ran != want {
				t.Errorf("the action ran %d times, want %d", ran, want)
			}
		})
	}
}

func TestRunReportsWhatTheCommandReturns(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		code   int
		stderr string
	}{
		{"error", errors.New("no such job"), 1, "Error: no such job\n"},
		{"exit code", cli.Exit("no leader", 2), 2, "Error: no leader\n"},
		{"exit code in silence", cli.Exit("", 3), 3, ""},
		{"success as an exit code", cli.Exit("", 0), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, stderr := runApp(t, newApp(func(*cli.Context) error { return c.err }), "status")
			if code != c.code || stderr != c.stderr {
				t.Errorf("exit code %d and %q, want %d and %q", code, stderr, c.code, c.stderr)
			}
		})
	}
}

func TestRunShowsHelp(t *testing.T) {
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"--help", "tool [global options] command", 0},
		{"help job", "tool job [command options] COMMAND", 0},
		{"job show x --help", "tool job show [command options] JOB", 0},
		{"help job show", "tool job show [command options] JOB", 0},
		{"--version", "tool version 1", 0},
		{"", "tool [global options] command", 2}, // nothing was done, so not a success
		{"job", "tool job [command options] COMMAND", 2},
	} {
		code, stdout, stderr := runApp(t, newApp(nil), c.args)
		shown, silent := stdout, stderr
		if c.code != 0 {
			shown, silent = stderr, stdout
		}
		if code != c.code || !strings.Contains(shown, c.want) || silent != "" {
			t.Errorf("%q: exit code %d, stdout:\n%s\nstderr:\n%s\nwant %d and %q", c.args, code, stdout, stderr, c.code, c.want)
		}
	}
}

func runApp(t *testing.T, app *cli.App, args string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	app.Writer, app.ErrWriter = &out, &errOut
	code = Run(t.Context(), app, strings.Fields(args))
	return code, out.String(), errOut.String()
}
