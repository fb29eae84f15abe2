package membership

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
)

// loopback runs a member over real sockets, on a port that is picked.
func loopback(t *testing.T, id string, inc checkpoint.Incarnation, join ...string) *host {
	t.Helper()
	cfg := testConfig(id, inc)
	cfg.BindAddr, cfg.Join = "127.0.0.1:0", join
	return startHost(t, cfg)
}

// eventually waits for a condition in real time; the limit only bounds a test that fails.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // also for clean-ups
	defer cancel()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

func TestRealSockets(t *testing.T) {
	// Last of all, after the members have ended: memberlist finishes the probes it is in.
	t.Cleanup(func() { eventually(t, "memberlist has ended", func() bool { return goleak.Find() == nil }) })
	c1 := loopback(t, "c1", 1)
	_, port, err := net.SplitHostPort(c1.g.LocalAddr())
	if err != nil || port == "0" {
		t.Fatalf("bound to %q", c1.g.LocalAddr())
	}
	n1 := loopback(t, "n1", 0x11, net.JoinHostPort("localhost", port))
	n2 := loopback(t, "n2", 0x21, c1.g.LocalAddr())
	for _, h := range []*host{c1, n1, n2} {
		eventually(t, "everybody is known", func() bool { return len(h.g.Members()) == 3 })
		<-h.g.Ready()
	}
	if err := n1.g.UpdateMeta(t.Context(), "127.0.0.1:7490", ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new address is known", func() bool { return memberNamed(t, c1, "n1").RPCAddr == "127.0.0.1:7490" })

	n1.leave()
	eventually(t, "the leave is known", func() bool { return c1.state("n1") == "left" && n2.state("n1") == "left" })
	n2.crash()
	eventually(t, "the crash is known", func() bool { return c1.state("n2") == "failed" })

	again := loopback(t, "n2", 0x22, c1.g.LocalAddr())
	eventually(t, "the restart is known", func() bool { return memberNamed(t, c1, "n2") == again.g.Self() })
	duplicate := loopback(t, "n2", 0x23, c1.g.LocalAddr())
	<-duplicate.done
	if !errors.Is(duplicate.runErr, ErrDuplicateID) {
		t.Errorf("duplicate: %v", duplicate.runErr)
	}
}

func TestAddressInUse(t *testing.T) {
	cfg := testConfig("c1", 1)
	for _, network := range []string{"tcp", "udp"} {
		addr := occupy(t, network)
		cfg.BindAddr = addr
		if _, err := New(cfg); !errors.Is(err, ErrAddressInUse) || !strings.Contains(err.Error(), addr) {
			t.Errorf("%s port in use: %v", network, err)
		}
	}
}

// occupy takes a free port of one protocol and returns its address.
func occupy(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket(network, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.LocalAddr().String()
	}
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

func TestAdvertise(t *testing.T) {
	for name, test := range map[string]struct{ bind, advertise, want, err string }{
		"bound":            {"127.0.0.1:0", "", "127.0.0.1:PORT", ""},
		"name":             {"localhost:0", "", "127.0.0.1:PORT", ""},
		"host only":        {"127.0.0.1:0", "192.0.2.7", "192.0.2.7:PORT", ""},
		"host and port":    {"127.0.0.1:0", "192.0.2.7:99", "192.0.2.7:99", ""},
		"port 0":           {"127.0.0.1:0", "192.0.2.7:0", "192.0.2.7:PORT", ""},
		"everything":       {"0.0.0.0:0", "192.0.2.7", "192.0.2.7:PORT", ""},
		"unspecified":      {"127.0.0.1:0", "0.0.0.0", "", "not an address others can reach"},
		"bad port":         {"127.0.0.1:0", "192.0.2.7:x", "", "must be host or host:port"},
		"not a local host": {"192.0.2.7:0", "", "", "gossip address 192.0.2.7:0"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig("c1", 1)
			cfg.BindAddr, cfg.AdvertiseAddr = test.bind, test.advertise
			g, err := New(cfg)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			want, usesPort := strings.CutSuffix(test.want, ":PORT")
			got := g.LocalAddr()
			if usesPort {
				host, port, _ := net.SplitHostPort(got)
				if port == "0" || port == "" {
					t.Errorf("no port in %q", got)
				}
				got = host
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
