package daemon

import (
	"fmt"
	"net"
	"os"
	"regexp"

	"github.com/urfave/cli/v2"

	"cairn/checkpoint"
	"cairn/membership"
)

// EndpointFlags are the flags of EndpointConfig and the logger, with the given default addresses.
func EndpointFlags(bind, gossipBind string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "id", Usage: "unique name of this process in the cluster", Value: defaultID(), EnvVars: []string{"CAIRN_ID"}},
		&cli.StringFlag{Name: "bind", Usage: "`HOST:PORT` of RPC", Value: bind, EnvVars: []string{"CAIRN_BIND"}},
		&cli.StringFlag{Name: "advertise", Usage: "`HOST:PORT` at which others reach --bind, where it differs", EnvVars: []string{"CAIRN_ADVERTISE"}},
		&cli.StringFlag{Name: "gossip-bind", Usage: "`HOST:PORT` of gossip, UDP and TCP", Value: gossipBind, EnvVars: []string{"CAIRN_GOSSIP_BIND"}},
		&cli.StringSliceFlag{Name: "join", Usage: "gossip `HOST:PORT` of any member; may be repeated", EnvVars: []string{"CAIRN_JOIN"}},
		&cli.StringFlag{Name: "log-level", Usage: "debug, info, warn or error", Value: "info", EnvVars: []string{"CAIRN_LOG_LEVEL"}},
		&cli.StringFlag{Name: "log-format", Usage: "text or json", Value: "text", EnvVars: []string{"CAIRN_LOG_FORMAT"}},
	}
}

// EndpointFrom reads the flags of EndpointFlags. Logs go to the standard error stream.
func EndpointFrom(c *cli.Context, role membership.Role) (EndpointConfig, error) {
	log, err := Logger(os.Stderr, c.String("log-format"), c.String("log-level"))
	if err != nil {
		return EndpointConfig{}, err
	}
	return EndpointConfig{
		ID: checkpoint.NodeID(c.String("id")), Role: role, Bind: c.String("bind"), Advertise: c.String("advertise"),
		GossipBind: c.String("gossip-bind"), Join: c.StringSlice("join"), Logger: log,
	}, nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// checkID returns an error unless id can name a node: it stands in logs, tables and file names.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("--id %q: must be 1 to 63 letters, digits, dots, dashes or underscores, and start with a letter or digit", id)
	}
	return nil
}

// checkAddress returns an error unless addr, the value of flag, is host:port.
func checkAddress(flag, addr, example string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("--%s %q: must be host:port, for example %s: %w", flag, addr, example, err)
	}
	return nil
}

// names reports whether an address to listen on is also one to be reached at.
func names(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsUnspecified()
}

// defaultID returns the host's name, which names a node unless it is told otherwise.
func defaultID() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}
