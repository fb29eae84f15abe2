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
		Action:      con.call(setJob),
	}
}

func setJob(ctx context.Context, s session) error {
	given := pairs{}
	for _, arg := range s.Args().Tail() {
		if err := given.Set(arg); err != nil {
			return cliargs.Usagef(s.Context, "%q: %v", arg, err)
		}
	}
	config, err := withShortFlags(s.Context, given, "")
	if err != nil {
		return err
	}
	if len(config) == 0 {
		return cliargs.Usagef(s.Context, "nothing to change: name at least one KEY=VALUE")
	}
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
