package main

import (
	"fmt"
	"maps"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/checkpoint"
	"cairn/internal/cliargs"
)

// shortFlags are the flags that stand for keys of a job's configuration: those that may change while it runs.
var shortFlags = []struct{ flag, key, usage string }{
	{"interval", "checkpointing.interval", "`DURATION` between checkpoints, 0 for none but manual ones"},
	{"min-pause", "checkpointing.min_pause", "least `DURATION` from one checkpoint's completion to the next one's begin"},
	{"checkpoint-timeout", "checkpointing.timeout", "`DURATION` after which an unfinished checkpoint is given up"},
	{"tolerable-failures", "checkpointing.tolerable_failures", "failed checkpoints in a row, a `NUMBER`, before the job restarts"},
	{"retain", "checkpointing.retain", "completed checkpoints kept, a `NUMBER`"},
	{"fallback", "restore.fallback", "go back to an older checkpoint when the newest cannot be read any more, although sinks may then publish records twice"},
}

// policyFlags are the short flags; withDefaults shows what each key is without them.
func policyFlags(withDefaults bool) []cli.Flag {
	defaults := checkpoint.DefaultConfig().Values()
	var flags []cli.Flag
	for _, f := range shortFlags {
		text, usage := "", f.usage+"; short for "+f.key
		if withDefaults {
			text = defaults[f.key]
		}
		switch {
		case strings.Contains(usage, "`NUMBER`"):
			flags = append(flags, &cli.IntFlag{Name: f.flag, Usage: usage, DefaultText: text})
		case strings.Contains(usage, "`DURATION`"):
			flags = append(flags, &cli.DurationFlag{Name: f.flag, Usage: usage, DefaultText: text})
		default:
			flags = append(flags, &cli.BoolFlag{Name: f.flag, Usage: usage, DefaultText: text})
		}
	}
	return flags
}

// withShortFlags adds what the short flags say to config, which was given otherwise on the command line.
func withShortFlags(c *cli.Context, config map[string]string, otherwise string) (map[string]string, error) {
	config = maps.Clone(config)
	for _, f := range shortFlags {
		if !c.IsSet(f.flag) {
			continue
		}
		if _, given := config[f.key]; given {
			return nil, cliargs.Usagef(c, "--%s and %s%s are the same: give one of them", f.flag, otherwise, f.key)
		}
		config[f.key] = fmt.Sprint(c.Value(f.flag))
	}
	return config, nil
}
