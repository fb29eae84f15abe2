package membership

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

// foreigner is a node of memberlist with any metadata, in place of a process of another version of Cairn.
func (n *network) foreigner(t *testing.T, name string, addr string, meta []byte) *memberlist.Memberlist {
	t.Helper()
	conf := DefaultConfig().Timing.memberlist()
	conf.Name, conf.Transport, conf.Delegate = name, n.listen(addr), metaOnly{meta: meta}
	conf.Logger = newLibraryLogger(slog.New(slog.DiscardHandler))
	list, err := memberlist.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { list.Shutdown() })
	return list
}

type metaOnly struct {
	delegate
	meta []byte
}

func (m metaOnly) NodeMeta(int) []byte           { return m.meta }
func (m metaOnly) NotifyMsg([]byte)              {}
func (m metaOnly) LocalState(bool) []byte        { return nil }
func (m metaOnly) MergeRemoteState([]byte, bool) {}

// A member that speaks another version of the protocol stays out, whoever calls first, and the log says why.
func TestForeignersAreRefused(t *testing.T) {
	self := testConfig("n9", 9).Self
	self.ProtocolVersion = ProtocolVersion
	ours, err := encodeMeta(self)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Clone(ours)
	newer[1]++
	for _, test := range []struct {
		name, node string
		meta       []byte
		want       string
	}{
		{"newer protocol", self.process().String(), newer, "incompatible protocol version: it speaks 2, this process speaks 1"},
		{"another program", "consul", nil, "bad member metadata: 0 bytes"},
		{"a wrong name", "n8#0000000000000009", ours, "bad member metadata: it describes n9#0000000000000009"},
	} {
		t.Run(test.name+" gossips", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var log lockedBuffer
				c1 := n.startLogged(t, &log, c1Addr)
				// That it is alive travels with the ping.
				addr := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(c1Addr))
				if _, err := n.foreigner(t, test.node, n1Addr, test.meta).Ping(c1.g.process.String(), addr); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if n := c1.g.list.Load().NumMembers(); n != 1 {
					t.Errorf("%d members", n)
				}
				if !strings.Contains(log.String(), test.want) {
					t.Errorf("want %q in the log:\n%s", test.want, log.String())
				}
			})
		})
		t.Run(test.name+" joins", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				var log lockedBuffer
				c1 := n.startLogged(t, &log, c1Addr)
				n.foreigner(t, test.node, n1Addr, test.meta).Join([]string{c1Addr})
				synctest.Wait()
				if members := c1.g.Members(); len(members) != 1 {
					t.Errorf("members %+v", members)
				}
				if !strings.Contains(log.String(), test.want) {
					t.Errorf("want %q in the log:\n%s", test.want, log.String())
				}
			})
		})
		t.Run(test.name+" is joined", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				n.foreigner(t, test.node, n1Addr, test.meta)
				var log lockedBuffer
				c1 := n.startLogged(t, &log, c1Addr, n1Addr)
				pass(time.Minute)
				if isClosed(c1.g.Ready()) || len(c1.g.Members()) != 1 {
					t.Errorf("joined: %+v", c1.g.Members())
				}
				if !strings.Contains(log.String(), test.want) {
					t.Errorf("want %q in the log:\n%s", test.want, log.String())
				}
			})
		})
	}
}

func (n *network) startLogged(t *testing.T, log *lockedBuffer, addr string, join ...string) *host {
	t.Helper()
	cfg := testConfig("c1", 1)
	cfg.Transport, cfg.Join = n.listen(addr), join
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	return startHost(t, cfg)
}
