package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v2"

	"cairn/internal/cliargs"
)

const setDescription = `Each KEY=VALUE changes a key of the job's configuration, at once and without a restart. These
keys can be changed; the others are fixed when the job is submitted. Either all changes are
taken, or none.`

func setCommand(con *console) *cli.Command {
	description := setDescription + "\n"
	for _, f := range shortFlags {
		description += "\n   " + f.key
	}
	return &cli.Command{
		Name:        "set",
		Usage:       "change the configuration of a job that has not ended",
		Description: description,
		ArgsUsage:   "JOB [KEY=VALUE...]",
		Flags:       clientFlags(defaultTimeout, policyFlags(false)...),
		Action: func(c *cli.Context) error {
			config, err := changes(c)
			if err != nil {
				return err
			}
			return con.call(func(ctx context.Context, s session) error { return setJob(ctx, s, config) })(c)
		},
	}
}

// changes are what the command line asks for.
func changes(c *cli.Context) (map[string]string, error) {
	given := pairs{}
	for _, arg := range c.Args().Tail() {
		if err := given.Set(arg); err != nil {
			return nil, cliargs.Usagef(c, "%q: %v", arg, err)
		}
	}
	config, err := withShortFlags(c, given, "")
	if err == nil && len(config) == 0 {
		err = cliargs.Usagef(c, "nothing to change: name at least one KEY=VALUE")
	}
	return config, err
}

func setJob(ctx context.Context, s session, config map[string]string) error {
	job, err := s.service.SetJob(ctx, s.Args().First(), config)
	if err != nil {
		return err
	}
	if s.asJSON() {
		return writeJSON(s.out, withoutNulls(job))
	}
	now := make(map[string]string, len(config))
	for key := range config {
		now[key] = job.Config[key]
	}
	return writeFacts(s.out, say(fmt.Sprintf("Job %s now has", oneLine(job.Name)), assignments(now)...))
}
