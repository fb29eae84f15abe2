package node

import (
	"slices"
	"testing"

	"cairn/checkpoint"
	"cairn/membership"
	"cairn/transport"
)

type fixedRoster []membership.Member

func (r fixedRoster) Members() []membership.Member { return r }

// Gossip may be wrong about a failure. Where the living are too few for the replicas, its word is not taken.
func TestI9_FailedNodesAreAskedOnlyWhereTheLivingAreTooFew(t *testing.T) {
	member := func(id string, role membership.Role, state membership.State) membership.Member {
		return membership.Member{ID: checkpoint.NodeID(id), Role: role, State: state, RPCAddr: "127.0.0.1:1"}
	}
	roster := fixedRoster{
		member("c1", membership.RoleCoordinator, membership.StateAlive),
		member("n1", membership.RoleNode, membership.StateAlive),
		member("n2", membership.RoleNode, membership.StateAlive),
		member("n3", membership.RoleNode, membership.StateFailed),
		member("n4", membership.RoleNode, membership.StateLeft),
	}
	dialer := transport.NewDialer(transport.DialerOptions{})
	defer dialer.Close()
	for needed, want := range map[int][]checkpoint.NodeID{1: {"n2"}, 2: {"n2", "n3"}} {
		var got []checkpoint.NodeID
		for _, p := range StorePeers(roster, dialer, "n1", needed).Live() {
			got = append(got, p.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("n1 needs %d peers and is offered %v, want %v", needed, got, want)
		}
	}
}
