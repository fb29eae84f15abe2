package membership

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/hashicorp/memberlist"
)

// ErrAddressInUse says that another process listens on the gossip address.
var ErrAddressInUse = errors.New("address already in use")

// portAttempts bounds the search for a port that is free for TCP and for UDP.
const portAttempts = 10

// bind returns the transport to gossip over and the address that others reach it at.
func bind(cfg Config, logger *log.Logger) (memberlist.Transport, netip.AddrPort, error) {
	transport := cfg.Transport
	if transport == nil {
		var err error
		if transport, err = listen(cfg.BindAddr, logger); err != nil {
			return nil, netip.AddrPort{}, err
		}
	}
	advertise, err := advertiseAddr(transport, cfg.AdvertiseAddr)
	if err != nil {
		return nil, netip.AddrPort{}, errors.Join(err, transport.Shutdown())
	}
	return transport, advertise, nil
}

// listen opens UDP and TCP on addr.
func listen(addr string, logger *log.Logger) (*memberlist.NetTransport, error) {
	// memberlist takes anything that is not an IP for "all interfaces", so names are resolved here.
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("gossip address %q: %w", addr, err)
	}
	host := "0.0.0.0"
	if tcp.IP != nil {
		host = tcp.IP.String()
	}
	attempts := 1
	if tcp.Port == 0 {
		attempts = portAttempts
	}
	for range attempts {
		var transport *memberlist.NetTransport
		transport, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{host}, BindPort: tcp.Port, Logger: logger,
		})
		if err == nil {
			return transport, nil
		}
	}
	if inUse(tcp) {
		return nil, fmt.Errorf("gossip address %s: %w (UDP or TCP)", addr, ErrAddressInUse)
	}
	return nil, fmt.Errorf("gossip address %s: %w", addr, err)
}

// inUse finds out whether addr could not be bound because another process has it: memberlist's error keeps
// only the text of the cause.
func inUse(addr *net.TCPAddr) bool {
	if addr.Port == 0 {
		return false
	}
	l, err := net.ListenTCP("tcp", addr)
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	defer l.Close()
	u, err := net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP, Port: addr.Port, Zone: addr.Zone})
	if err != nil {
		return errors.Is(err, syscall.EADDRINUSE)
	}
	u.Close()
	return false
}

// advertiseAddr returns the IP and port that others reach the transport at; configured may be empty.
func advertiseAddr(transport memberlist.Transport, configured string) (netip.AddrPort, error) {
	_, bound, err := transport.FinalAdvertiseAddr("", 0)
	if err != nil && configured == "" {
		return netip.AddrPort{}, fmt.Errorf("gossip: no address to advertise, set one: %w", err)
	}
	host, port := "", 0
	if configured != "" {
		if host, port, err = splitAdvertise(configured, bound); err != nil {
			return netip.AddrPort{}, err
		}
	}
	ip, p, err := transport.FinalAdvertiseAddr(host, port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip.advertise %q: %w", configured, err)
	}
	addr, _ := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsUnspecified() || p == 0 {
		return netip.AddrPort{}, fmt.Errorf("gossip.advertise %q: %s:%d is not an address others can reach, set one",
			configured, ip, p)
	}
	return netip.AddrPortFrom(addr, uint16(p)), nil
}

// splitAdvertise resolves a host or host:port; without a port it is the bound one.
func splitAdvertise(configured string, bound int) (ip string, port int, err error) {
	host, digits, err := net.SplitHostPort(configured)
	if err != nil {
		host, digits = configured, strconv.Itoa(bound)
	}
	resolved, err := net.ResolveIPAddr("ip", host)
	if err != nil {
		return "", 0, fmt.Errorf("gossip.advertise %q: must be host or host:port: %w", configured, err)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("gossip.advertise %q: must be host or host:port: %w", configured, err)
	}
	if n == 0 {
		n = uint64(bound)
	}
	return resolved.String(), int(n), nil
}

// resolve returns the IP:port forms of a host:port.
func resolve(ctx context.Context, hostport string) ([]string, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", hostport, err)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{hostport}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", hostport, err)
	}
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return addrs, nil
}
