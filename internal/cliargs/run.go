package cliargs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
)

// Exit codes. A command may return others with cli.Exit.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Run makes app strict, runs it with args (a command line without the program's name) and returns the exit
// code: 0; 2 when the command line is wrong; what an error that is a cli.ExitCoder says; 1 for every other
// error. It prints the error on app.ErrWriter, as "Error: …", unless its text is empty. The context reaches the
// command as cli.Context.Context.
//
// A command without subcommands takes as many arguments as its ArgsUsage has words; a word in brackets is
// optional, and a last one that ends in "..." stands for any number. Do not mark flags as required: cli answers a missing one with a page of help; return Usagef instead.
func Run(ctx context.Context, app *cli.App, args []string) int {
	if app.ErrWriter == nil {
		app.ErrWriter = os.Stderr
	}
	makeStrict(app)
	app.Setup()
	return report(app.ErrWriter, app.RunContext(ctx, append([]string{app.Name}, Permute(app, args)...)))
}

// report prints the error and returns the exit code for it.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailed
	if exit := cli.ExitCoder(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if text := err.Error(); text != "" {
		// When standard error itself is gone there is nobody left to tell.
		_, _ = fmt.Fprintf(w, "Error: %s\n", text)
	}
	return code
}
