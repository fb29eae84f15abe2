package localcluster

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
)

// Cluster is three coordinators and three task nodes with four slots each.
type Cluster struct {
	Coordinators []*Process
	Nodes        []*Process
	Addrs        []string // RPC addresses of the coordinators
	Gossip       []string // gossip addresses of the coordinators

	bin string // directory of the binaries
}

// New prepares a cluster with the binaries in bin and everything it writes below dir. It starts nothing.
func New(bin, dir string) (*Cluster, error) {
	const size = 3
	ports, err := freePorts(4 * size)
	if err != nil {
		return nil, err
	}
	next := func() string {
		addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
		ports = ports[1:]
		return addr
	}
	c := &Cluster{bin: bin}
	for range size {
		c.Addrs = append(c.Addrs, next())
		c.Gossip = append(c.Gossip, next())
	}
	for i := range size {
		name := fmt.Sprintf("c%d", i+1)
		c.Coordinators = append(c.Coordinators, &Process{
			Name: name, path: filepath.Join(bin, "coord"), Log: filepath.Join(dir, name+".log"),
			args: []string{
				"agent", "--id", name, "--bind", c.Addrs[i], "--gossip-bind", c.Gossip[i], "--bootstrap-expect", fmt.Sprint(size),
				// Each knows one other: gossip finds the rest.
				"--join", c.Gossip[(i+1)%size], "--data-dir", filepath.Join(dir, name),
			},
		})
	}
	for i := range size {
		name := fmt.Sprintf("n%d", i+1)
		c.Nodes = append(c.Nodes, &Process{
			Name: name, path: filepath.Join(bin, "node"), Log: filepath.Join(dir, name+".log"),
			args: []string{
				"agent", "--id", name, "--bind", next(), "--gossip-bind", next(), "--slots", "4",
				"--join", c.Gossip[1], "--data-dir", filepath.Join(dir, name),
			},
		})
	}
	return c, nil
}

// UseNodeBinary makes the task nodes run another binary, built with jobs of its own.
func (c *Cluster) UseNodeBinary(path string) {
	for _, p := range c.Nodes {
		p.path = path
	}
}

// UseStore makes the task nodes keep chunks in a store that they share, with these environment variables besides their
// own.
func (c *Cluster) UseStore(url string, environment ...string) {
	for _, p := range c.Nodes {
		p.args = append(p.args, "--store", url)
		p.environment = append(p.environment, environment...)
	}
}

// NewCoordinator prepares another coordinator, which joins through the first one, with its files below dir.
func (c *Cluster) NewCoordinator(name, dir string) (*Process, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
	p := &Process{
		Name: name, path: filepath.Join(c.bin, "coord"), Log: filepath.Join(dir, name+".log"),
		args: []string{
			"agent", "--id", name, "--bind", addr, "--gossip-bind", fmt.Sprintf("127.0.0.1:%d", ports[1]),
			"--bootstrap-expect", fmt.Sprint(len(c.Gossip)), "--join", c.Gossip[0], "--data-dir", filepath.Join(dir, name),
		},
	}
	c.Coordinators, c.Addrs = append(c.Coordinators, p), append(c.Addrs, addr)
	return p, nil
}

// All returns every process, the nodes first: the order in which to stop them.
func (c *Cluster) All() []*Process { return slices.Concat(c.Nodes, c.Coordinators) }

// StopAll stops every process that runs.
func (c *Cluster) StopAll() {
	for _, p := range c.All() {
		p.Stop()
	}
}

// Find returns the process with the given name. It panics when there is none: names come from the cluster.
func (c *Cluster) Find(name string) *Process {
	for _, p := range c.All() {
		if p.Name == name {
			return p
		}
	}
	panic(fmt.Sprintf("localcluster: no process is named %q", name))
}

// freePorts returns ports that are free on the loopback interface for both TCP and UDP. They are all held until
// the last one is found, so that no two are the same.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range 50 * n {
		if len(ports) == n {
			return ports, nil
		}
		tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		defer tcp.Close()
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		defer udp.Close()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("found only %d of %d free ports", len(ports), n)
}
