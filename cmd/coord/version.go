package main

import (
	"runtime"

	"github.com/urfave/cli/v2"

	"cairn/internal/version"
)

// buildInfo is what "coord version --json" prints.
type buildInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func versionCommand(con *console) *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "show the version of this binary",
		Flags: []cli.Flag{&cli.BoolFlag{DisableDefaultText: true, Name: "json", Usage: "print JSON"}},
		Action: func(c *cli.Context) error {
			info := buildInfo{Version: version.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if c.Bool("json") {
				return writeJSON(con.out, info)
			}
			return con.printf("coord %s (%s, %s)\n", info.Version, info.Go, info.Platform)
		},
	}
}
