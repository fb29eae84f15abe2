package coordinator

import (
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"cairn/api"
)

// admit brings the configuration in step with the coordinators that have answered: newcomers become members without
// vote, moved ones get their new address, and one that has lost its state loses its vote with it.
func (u *upkeep) admit() {
	u.mu.Lock()
	var living []livingPeer
	for id, address := range u.c.livingPeers() {
		if a, found := u.mu.answers[id]; found && id != raft.ServerID(u.c.cfg.ID) {
			living = append(living, livingPeer{id: id, address: raft.ServerAddress(address), blank: a.replica.Blank, voters: a.voters})
		}
	}
	u.mu.Unlock()
	for _, change := range membershipChanges(u.c.replica.servers(), living) {
		u.apply(change)
	}
}

func (u *upkeep) apply(change membershipChange) {
	log := u.log.With("peer", change.id, "address", change.address)
	r := u.c.replica.raft
	var future raft.IndexFuture
	switch change.kind {
	case addMember:
		log.Info("coordinator joins without a vote")
		future = r.AddNonvoter(change.id, change.address, 0, 0)
	case moveMember:
		log.Info("coordinator has moved")
		future = r.AddNonvoter(change.id, change.address, 0, 0)
	case moveVoter:
		log.Info("coordinator has moved")
		future = r.AddVoter(change.id, change.address, 0, 0)
	case removeBlank:
		log.Warn("coordinator has lost its state; it loses its vote and joins anew")
		future = r.RemoveServer(change.id, 0, 0)
	case refuseForeign:
		if u.refused[change.id] {
			return
		}
		u.refused[change.id] = true
		log.Warn("coordinator has the state of another cluster, or of this one from before all its present members; " +
			"to let it join, clear its data directory")
		return
	}
	if err := future.Error(); err != nil {
		log.Warn("the configuration was not changed", "cause", err) // looked at again in the next round
	}
}

// livingPeer is a coordinator that gossip knows to be alive and that has answered.
type livingPeer struct {
	id      raft.ServerID
	address raft.ServerAddress
	blank   bool        // it has no state and waits to be admitted
	voters  []api.Voter // of its own configuration, empty when it has none
}

type changeKind uint8

const (
	addMember     changeKind = iota + 1 // a newcomer
	moveMember                          // a member without vote that is elsewhere now
	moveVoter                           // a voter that is elsewhere now
	removeBlank                         // a voter that has lost its state
	refuseForeign                       // nothing is changed
)

// membershipChange is one step of the configuration.
type membershipChange struct {
	kind    changeKind
	id      raft.ServerID
	address raft.ServerAddress
}

// membershipChanges returns what has to change for the living coordinators to be members, ordered by ID.
//
// A voter without state is removed, and added anew in a later round: it does not remember its votes and
// acknowledgements, and takes no part in Raft (see gate) until the leader lists it as a member without vote. The
// removal is safe because the leader has its majority without it.
func membershipChanges(servers []raft.Server, living []livingPeer) []membershipChange {
	slices.SortFunc(living, func(a, b livingPeer) int { return strings.Compare(string(a.id), string(b.id)) })
	var changes []membershipChange
	for _, p := range living {
		i := slices.IndexFunc(servers, func(s raft.Server) bool { return s.ID == p.id })
		kind := changeKind(0)
		switch {
		case i < 0 && !p.blank && foreign(servers, p.voters):
			kind = refuseForeign
		case i < 0:
			kind = addMember
		case servers[i].Suffrage == raft.Voter && p.blank:
			kind = removeBlank
		case servers[i].Address == p.address:
		case servers[i].Suffrage == raft.Voter:
			kind = moveVoter
		default:
			kind = moveMember
		}
		if kind != 0 {
			changes = append(changes, membershipChange{kind, p.id, p.address})
		}
	}
	return changes
}

// foreign reports whether a configuration that somebody brings along knows none of our members. Those of our own
// cluster do, unless all have been replaced meanwhile.
func foreign(servers []raft.Server, theirs []api.Voter) bool {
	return len(theirs) > 0 && !slices.ContainsFunc(theirs, func(v api.Voter) bool {
		return slices.ContainsFunc(servers, func(s raft.Server) bool {
			return v.ID == string(s.ID) && v.Address == string(s.Address)
		})
	})
}
