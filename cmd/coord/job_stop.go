package main

import (
	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

const stopDescription = `Takes a savepoint and ends the job with it: nothing is processed behind it, and all output
up to it is committed. The job can be submitted again from there. When the savepoint fails,
the job restarts from its last checkpoint, and the command says what failed.

With --drain the input is ended first, so that windows and timers fire and the output is final.
Such a savepoint is the end of the data: do not go on from it.

"coord job cancel" ends a job without a savepoint.`

func stopCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:        "stop",
		Usage:       "end a job with a savepoint",
		Description: stopDescription,
		ArgsUsage:   "JOB",
		Flags: clientFlags(patientTimeout,
			&cli.BoolFlag{Name: "savepoint", Value: true, DisableDefaultText: true, Usage: "with a savepoint, as it always is"},
			&cli.BoolFlag{Name: "drain", DisableDefaultText: true, Usage: "end the input first"},
			dirFlag()),
		Action: func(c *cli.Context) error {
			if !c.Bool("savepoint") {
				return cliargs.Usagef(c, `--savepoint=false: a job is stopped with a savepoint; to end it without one use "coord job cancel"`)
			}
			stop := api.StopSuspend
			if c.Bool("drain") {
				stop = api.StopDrain
			}
			return con.takeSavepoint(c, stop)
		},
	}
}
