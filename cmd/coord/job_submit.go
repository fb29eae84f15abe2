package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

const submitDescription = `PROGRAM is a job that the nodes were built with. Each --param goes to the program; each --set
changes a key of the job's configuration from its default.

--config reads a YAML file with any of the keys name, program and params, and the keys of the
configuration, dotted or nested. What the command line says goes before what the file says.

   program: wordcount
   params: {input: /shared/text, output: /shared/words}
   checkpointing:
     interval: 10s
     alignment: adaptive
   restart:
     strategy: fixed_delay
     delay: 2s
     fixed_delay: {attempts: 3}

It returns when the job is accepted; with --wait, when every subtask of it runs. "coord program list"
says which programs there are, "coord program show" which parameters they have.

An unknown key is refused. "coord job show" lists every key with its value.`

func submitCommand(con *console) *cli.Command {
	own := append([]cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "YAML `FILE` with the job's configuration"},
		&cli.StringFlag{Name: "name", Usage: "`NAME` of the job (default: the program's)"},
		&cli.GenericFlag{Name: "param", Value: pairs{}, Usage: "`KEY=VALUE` for the program; may be repeated"},
		&cli.GenericFlag{
			Name: "parallelism", Value: newParallelism(),
			Usage: "`NUMBER` of subtasks of every operator, or OPERATOR=NUMBER of one, instead of the program's; may be repeated",
		},
		&cli.GenericFlag{Name: "set", Value: pairs{}, Usage: "`KEY=VALUE` of the configuration; may be repeated"},
		&cli.BoolFlag{Name: "wait", DisableDefaultText: true, Usage: "wait until every subtask runs"},
	}, policyFlags(true)...)
	return &cli.Command{
		Name:        "submit",
		Usage:       "run a program of the nodes as a job",
		Description: submitDescription,
		ArgsUsage:   "[PROGRAM]",
		Flags:       clientFlags(defaultTimeout, append(own, sourceFlags()...)...),
		Action: func(c *cli.Context) error {
			from, err := originFrom(c)
			if err != nil {
				return err
			}
			request, err := submission(c)
			if err != nil {
				return err
			}
			return con.open(func(ctx context.Context, s session) error { return importAndSubmit(ctx, s, request, from) })(c)
		},
	}
}

// submission is what the file and the command line say together, without where the job starts from.
func submission(c *cli.Context) (api.SubmitJobRequest, error) {
	config, err := withShortFlags(c, c.Generic("set").(pairs), "--set ")
	if err != nil {
		return api.SubmitJobRequest{}, err
	}
	request := api.SubmitJobRequest{
		Program: c.Args().First(), Name: c.String("name"), Params: c.Generic("param").(pairs), Config: config,
		Parallelism: *c.Generic("parallelism").(parallelism).asked,
	}
	if path := c.String("config"); path != "" {
		if request, err = withJobFile(request, path); err != nil {
			return api.SubmitJobRequest{}, err
		}
	}
	if request.Program == "" {
		return api.SubmitJobRequest{}, cliargs.Usagef(c, "name the PROGRAM to run, as an argument or in the file of --config")
	}
	return request, nil
}

// withJobFile adds what a file says to what the command line does not say.
func withJobFile(request api.SubmitJobRequest, path string) (api.SubmitJobRequest, error) {
	f, err := readJobFile(path)
	if err != nil {
		return request, err
	}
	request.Program, request.Name = cmp.Or(request.Program, f.program), cmp.Or(request.Name, f.name)
	maps.Copy(f.params, request.Params)
	request.Params = f.params
	merged := maps.Clone(f.config)
	maps.Copy(merged, request.Config)
	request.Config = merged
	return request, f.check(merged)
}

// importAndSubmit imports the savepoint first when it lies in a directory: that takes the time that it takes, and --timeout
// is for what comes then.
func importAndSubmit(ctx context.Context, s session, request api.SubmitJobRequest, from origin) error {
	request.Source = from.source
	var savepoint *imported
	if from.directory != "" {
		i, err := s.importFrom(ctx, from.directory)
		if err != nil {
			return err
		}
		savepoint = &i
		source := *from.source
		source.Job, source.Checkpoint, source.Kind = i.Job, i.ID, "savepoint"
		request.Source = &source
	}
	if (from.source != nil || s.Bool("wait")) && !s.IsSet("timeout") {
		s.timeout = patientTimeout
	}
	err := s.within(ctx, func(ctx context.Context) error { return submitJob(ctx, s, request, savepoint) })
	if err != nil && savepoint != nil {
		err = fmt.Errorf("%w; the savepoint stays imported, as --from-savepoint %s", err, reference(savepoint.Savepoint))
	}
	return err
}

func submitJob(ctx context.Context, s session, request api.SubmitJobRequest, savepoint *imported) error {
	job, err := s.service.SubmitJob(ctx, request)
	if err != nil {
		return err
	}
	if !s.asJSON() {
		if err := writeSubmitted(s, job, request, savepoint); err != nil {
			return err
		}
	}
	if s.Bool("wait") {
		detail, err := s.waitUntilRunning(ctx, api.JobDetail{Job: job})
		if err != nil {
			return err
		}
		job = detail.Job
		if !s.asJSON() {
			if err := s.printf("%s\n", runningText(detail)); err != nil {
				return err
			}
		}
	}
	if s.asJSON() {
		return writeJSON(s.out, job)
	}
	return s.printf("Next: coord job show %s\n", job.ID)
}

func writeSubmitted(s session, job api.Job, request api.SubmitJobRequest, savepoint *imported) error {
	if savepoint != nil {
		if err := s.printf("%s\n", importedText(*savepoint)); err != nil {
			return err
		}
	}
	if err := s.printf("Submitted job %s with ID %s: %s.\n", oneLine(job.Name), job.ID, stateText(job)); err != nil {
		return err
	}
	if savepoint == nil || request.Source.Claim {
		return nil
	}
	return s.printf("The savepoint stays until you give it up: coord savepoint dispose %s\n", reference(savepoint.Savepoint))
}

// stateText says where the job stands, and why.
func stateText(job api.Job) string {
	if job.Reason == "" {
		return job.State
	}
	return job.State + ", " + oneLine(job.Reason)
}
