package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"cairn/api"
	"cairn/internal/cliargs"
)

// The restore modes, in Flink's words.
const (
	modeClaim   = "claim"
	modeNoClaim = "no_claim"
)

func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name:  "from-savepoint",
			Usage: "start from savepoint `JOB/ID`, or from an exported one, which is imported first: a directory, written with / or ./ in front",
		},
		&cli.StringFlag{Name: "from-checkpoint", Usage: "start from a retained checkpoint, `JOB/ID`"},
		&cli.StringFlag{
			Name: "restore-mode", DefaultText: modeNoClaim,
			Usage: "`MODE` of ownership: with claim the new job deletes it in time, with no_claim it stays whose it is",
		},
		&cli.BoolFlag{
			Name: "allow-non-restored-state", DisableDefaultText: true,
			Usage: "leave out state that belongs to no operator of the new graph",
		},
	}
}

// origin is what the source flags say: nothing, a checkpoint or savepoint that the cluster knows, or a directory.
type origin struct {
	source    *api.Source // nil for a fresh start
	directory string      // of an exported savepoint; then source does not name one yet
}

func originFrom(c *cli.Context) (origin, error) {
	savepoint, retained := c.String("from-savepoint"), c.String("from-checkpoint")
	switch {
	case savepoint != "" && retained != "":
		return origin{}, cliargs.Usagef(c, "--from-savepoint and --from-checkpoint: a job starts from one of them")
	case savepoint == "" && retained == "":
		for _, flag := range []string{"restore-mode", "allow-non-restored-state"} {
			if c.IsSet(flag) {
				return origin{}, cliargs.Usagef(c, "--%s belongs to --from-savepoint or --from-checkpoint, which are missing", flag)
			}
		}
		return origin{}, nil
	}
	source := &api.Source{AllowNonRestoredState: c.Bool("allow-non-restored-state")}
	switch mode := c.String("restore-mode"); mode {
	case "", modeNoClaim:
	case modeClaim:
		source.Claim = true
	default:
		return origin{}, cliargs.Usagef(c, "--restore-mode %q: allowed are %s and %s", mode, modeClaim, modeNoClaim)
	}
	if isDirectory(savepoint) {
		return origin{source: source, directory: savepoint}, nil
	}
	flag, value := "from-savepoint", savepoint
	source.Kind = "savepoint"
	if retained != "" {
		flag, value = "from-checkpoint", retained
		source.Kind = "checkpoint"
	}
	var err error
	if source.Job, source.Checkpoint, err = parseReference(value); err != nil {
		hint := ""
		if source.Kind == "savepoint" {
			hint = ", or a directory such as ./" + value
		}
		return origin{}, cliargs.Usagef(c, "--%s %q: %v%s", flag, value, err, hint)
	}
	return origin{source: source}, nil
}

// isDirectory reports whether a value is written as a path, so that what it means does not depend on what lies
// around.
func isDirectory(value string) bool {
	return value == "." || value == ".." || strings.HasPrefix(value, "/") ||
		strings.HasPrefix(value, "./") || strings.HasPrefix(value, "../")
}

// asDirectory writes a path so that isDirectory takes it for one.
func asDirectory(path string) string {
	if isDirectory(path) {
		return path
	}
	return "./" + path
}

// parseReference reads JOB/ID.
func parseReference(value string) (job string, id uint64, err error) {
	slash := strings.LastIndexByte(value, '/')
	if slash <= 0 {
		return "", 0, errors.New("want JOB/ID, for example wordcount/7")
	}
	id, err = strconv.ParseUint(value[slash+1:], 10, 64)
	if err != nil || id == 0 {
		return "", 0, fmt.Errorf("want JOB/ID with a positive whole number as ID, for example %s/7", value[:slash])
	}
	return value[:slash], id, nil
}
